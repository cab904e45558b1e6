"""What models said of study versions."""

from pynamodb.transactions import TransactWrite

from firstread.messages import ResultRecorded
from firstread.records import outbox
from firstread.records.tables import ResultRow
from firstread.records.transactions import ConditionFailedError, commit
from firstread.result import Result


class ResultRepository:
    """What each model said about each study version; written once."""

    def record(self, result: Result, correlation_id: str = "") -> bool:
        """Record a result with its event; return False, with nothing written, where one is recorded.

        Parameters
        ----------
        result
            What to record.
        correlation_id
            Of the request it answers.
        """
        row = ResultRow(
            study_uid=result.study_uid, result_id=result.result_id, body=result.model_dump(mode="json")
        )
        event = ResultRecorded(
            study_uid=result.study_uid,
            version=result.version,
            result_id=result.result_id,
            correlation_id=correlation_id,
        )

        def build(transaction: TransactWrite) -> None:
            transaction.save(row, condition=ResultRow.result_id.does_not_exist())
            outbox.put(transaction, f"result#{result.study_uid}#{result.result_id}", event)

        try:
            commit(build)
        except ConditionFailedError:
            return False
        return True

    def get(self, study_uid: str, result_id: str) -> Result | None:
        """Return one result, or None."""
        try:
            row = ResultRow.get(study_uid, result_id, consistent_read=True)
        except ResultRow.DoesNotExist:
            return None
        return Result.model_validate(row.body)

    def of_version(self, study_uid: str, version: int) -> list[Result]:
        """Return the results on one study version, by model id."""
        rows = ResultRow.query(
            study_uid, ResultRow.result_id.startswith(f"v{version:06d}#"), consistent_read=True
        )
        return [Result.model_validate(row.body) for row in rows]
