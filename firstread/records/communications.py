"""Communications of critical results, in the table of reviews: items ``communication#000001``..."""

from collections.abc import Callable

from pynamodb.transactions import TransactWrite

from firstread.communication import Communication
from firstread.errors import TransientError
from firstread.records.audit import AuditEvent, AuditTrail
from firstread.records.tables import ReviewRow
from firstread.records.transactions import Addition, ConditionFailedError, commit

_PREFIX = "communication#"
_TRIES = 8


class CommunicationRepository:
    """Written once, with their audit event; never changed."""

    def of_study(self, study_uid: str) -> list[Communication]:
        """Return the communications of a study, oldest first."""
        rows = ReviewRow.query(study_uid, ReviewRow.item.startswith(_PREFIX), consistent_read=True)
        return [Communication.model_validate(row.body) for row in rows]

    def add(self, said: Communication, role: str) -> Communication:
        """Write a communication and its audit event; it gets the study's next number.

        Raises
        ------
        TransientError
            If others kept adding to the same study.
        """
        for _ in range(_TRIES):
            numbered = said.model_copy(update={"number": len(self.of_study(said.study_uid)) + 1})
            try:
                AuditTrail().write_with(_event(numbered, role), _writing(numbered))
            except ConditionFailedError:
                continue  # the number was taken just now
            return numbered
        raise TransientError("others kept adding communications to the study")


def _event(said: Communication, role: str) -> AuditEvent:
    # Neither the receiver nor anything else that a reader typed.
    return AuditEvent(
        subject=f"study#{said.study_uid}",
        action="communication.record",
        actor=said.communicator,
        role=role,
        at=said.recorded_at,
        details={
            "number": said.number,
            "alert_id": said.alert_id,
            "category": int(said.category),
            "method": said.method.value,
            "read_back": said.read_back,
            "late": said.late,
        },
    )


def _writing(said: Communication) -> Callable[[Addition], None]:
    row = ReviewRow(
        study_uid=said.study_uid,
        item=f"{_PREFIX}{said.number:06d}",
        revision=1,
        body=said.model_dump(mode="json"),
    )

    def act(entry: Addition) -> None:
        def build(transaction: TransactWrite) -> None:
            transaction.save(row, condition=ReviewRow.item.does_not_exist())
            entry(transaction)

        commit(build)

    return act
