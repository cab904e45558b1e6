"""Teaching cases, and what learners made of them; apart from the clinical record."""

import uuid
from collections.abc import Iterable

from pynamodb.transactions import TransactWrite

from firstread.records.tables import TeachingRow
from firstread.records.transactions import Addition, ConditionFailedError, commit
from firstread.teaching.cases import Attempt, Case

_COLLECTIONS = "collections"
_STUDIES = "studies"


class TeachingRepository:
    """Cases by collection, and attempts by learner."""

    def collections(self) -> tuple[str, ...]:
        """Return the names of the collections, in order."""
        return tuple(row.item for row in TeachingRow.query(_COLLECTIONS, consistent_read=True))

    def cases(self, collection: str) -> tuple[Case, ...]:
        """Return the cases of a collection in order, withdrawn ones included."""
        rows = TeachingRow.query(_of(collection), TeachingRow.item.startswith("case#"), consistent_read=True)
        return tuple(Case.model_validate(row.body) for row in rows)

    def case(self, collection: str, number: int) -> Case | None:
        """Return a case, or None."""
        row = _get(_of(collection), _case_item(number))
        return Case.model_validate(row.body) if row else None

    def add(self, case: Case, also: Addition) -> None:
        """Write a new case.

        Parameters
        ----------
        case
            What to write.
        also
            The audit event: a study is shown to more people from then on.

        Raises
        ------
        ConditionFailedError
            If its number or its study is in the collection; nothing was written.
        """

        def build(transaction: TransactWrite) -> None:
            body = case.model_dump(mode="json")
            new = TeachingRow.item.does_not_exist()
            transaction.save(TeachingRow(owner=_COLLECTIONS, item=case.collection, body={}))
            transaction.save(_row(_of(case.collection), _case_item(case.number), body), condition=new)
            transaction.save(_row(_STUDIES, _study_item(case), {}), condition=new)
            also(transaction)

        commit(build)

    def withdraw(self, case: Case, also: Addition) -> None:
        """Write a case that was taken back; its study is one no longer.

        Parameters
        ----------
        case
            As it becomes.
        also
            The audit event.
        """

        def build(transaction: TransactWrite) -> None:
            body = case.model_dump(mode="json")
            transaction.save(_row(_of(case.collection), _case_item(case.number), body))
            transaction.delete(TeachingRow(owner=_STUDIES, item=_study_item(case)))
            also(transaction)

        commit(build)

    def is_case(self, study_uid: str) -> bool:
        """Return whether a study is a teaching case of any collection."""
        rows = TeachingRow.query(
            _STUDIES, TeachingRow.item.startswith(f"{study_uid}#"), consistent_read=True, limit=1
        )
        return any(True for _ in rows)

    def studies(self) -> frozenset[str]:
        """Return the studies that are teaching cases."""
        rows = TeachingRow.query(_STUDIES, consistent_read=True)
        return frozenset(row.item.partition("#")[0] for row in rows)

    def attempts(self, learner: str, study_uid: str = "") -> tuple[Attempt, ...]:
        """Return the attempts of a learner by study and number, or those at one study."""
        prefix = f"attempt#{study_uid}#" if study_uid else "attempt#"
        rows = TeachingRow.query(_by(learner), TeachingRow.item.startswith(prefix), consistent_read=True)
        return tuple(Attempt.model_validate({**row.body, "revision": int(row.revision)}) for row in rows)

    def start(self, attempt: Attempt) -> bool:
        """Write a new attempt; False, with nothing written, where it has been started."""
        row = _row(_by(attempt.learner), _attempt_item(attempt), attempt.model_dump(mode="json"))
        return _written(
            lambda transaction: transaction.save(row, condition=TeachingRow.item.does_not_exist())
        )

    def submit(self, attempt: Attempt) -> bool:
        """Write an attempt that is handed in; False, with nothing written, where it was handed in before.

        The score of one that counts is written a second time, without a name.
        """
        row = _row(
            _by(attempt.learner),
            _attempt_item(attempt),
            attempt.model_dump(mode="json"),
            revision=attempt.revision + 1,
        )

        def build(transaction: TransactWrite) -> None:
            transaction.save(row, condition=TeachingRow.revision == attempt.revision)
            if attempt.counts and attempt.score is not None:
                said: dict[str, object] = {"case": attempt.case, "score": attempt.score.value}
                transaction.save(_row(_scores(attempt.collection), uuid.uuid4().hex, said))

        return _written(build)

    def scores(self, collection: str) -> tuple[tuple[int, float], ...]:
        """Return number of the case and score of each first attempt at a collection; nobody knows whose."""
        rows = TeachingRow.query(_scores(collection), consistent_read=True)
        return tuple((int(row.body["case"]), float(row.body["score"])) for row in rows)


def handed_in(attempts: Iterable[Attempt]) -> frozenset[str]:
    """Return the studies that were handed in."""
    return frozenset(each.study_uid for each in attempts if each.is_submitted)


def _row(owner: str, item: str, body: dict[str, object], revision: int = 1) -> TeachingRow:
    return TeachingRow(owner=owner, item=item, revision=revision, body=body)


def _get(owner: str, item: str) -> TeachingRow | None:
    try:
        return TeachingRow.get(owner, item, consistent_read=True)
    except TeachingRow.DoesNotExist:
        return None


def _written(build: Addition) -> bool:
    try:
        commit(build)
    except ConditionFailedError:
        return False
    return True


def _of(collection: str) -> str:
    return f"collection#{collection}"


def _scores(collection: str) -> str:
    return f"scores#{collection}"


def _by(learner: str) -> str:
    return f"learner#{learner}"


def _case_item(number: int) -> str:
    return f"case#{number:06d}"


def _study_item(case: Case) -> str:
    return f"{case.study_uid}#{case.collection}"


def _attempt_item(attempt: Attempt) -> str:
    return f"attempt#{attempt.study_uid}#{attempt.number:06d}"
