"""Reviews of a study, the labels that signed ones leave, and how often readers agree with each model."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pynamodb.transactions import TransactWrite

from firstread.errors import FirstReadError, NotFoundError, TransientError
from firstread.records.audit import AuditEvent, audited
from firstread.records.studies import StudyRepository
from firstread.records.tables import ReviewRow
from firstread.records.transactions import Addition, ConditionFailedError
from firstread.review import FeedbackLabel, LocalCounts, Review
from firstread.study import Study

_TRIES = 16
_REVIEW = "review#"
_LABEL = "label#"
_COUNTS = "counts"


class SignedReviewError(FirstReadError):
    """Somebody tried to change a signed review, which never changes."""


@dataclass(frozen=True)
class Step:
    """What one act on a study changes, in one transaction.

    Parameters
    ----------
    study
        The head as it becomes.
    event
        Says who did what; None where nothing is done but to hold the study for longer.
    review
        A review as it becomes, with the revision that it had; None where none changes.
    labels
        Of a review that is signed.
    counts
        How readers agree with models as it becomes, with the revisions that they had.
    also
        Further writes.
    """

    study: Study
    event: AuditEvent | None
    review: Review | None = None
    labels: tuple[FeedbackLabel, ...] = ()
    counts: tuple[LocalCounts, ...] = ()
    also: tuple[Addition, ...] = ()


class ReviewRepository:
    """Reviews of studies; each act on a study is one transaction with its audit event."""

    def of_study(self, study_uid: str) -> tuple[Review, ...]:
        """Return the reviews of a study, oldest first, those that were given up included."""
        rows = ReviewRow.query(study_uid, ReviewRow.item.startswith(_REVIEW), consistent_read=True)
        return tuple(Review.model_validate({**row.body, "revision": int(row.revision)}) for row in rows)

    def labels(self, study_uid: str) -> tuple[FeedbackLabel, ...]:
        """Return what signed reviews say of the findings of a study, by review."""
        rows = ReviewRow.query(study_uid, ReviewRow.item.startswith(_LABEL), consistent_read=True)
        return tuple(FeedbackLabel.model_validate(each) for row in rows for each in row.body["labels"])

    def counts(self, model_id: str) -> LocalCounts:
        """Return how often readers agreed with a model version."""
        try:
            row = ReviewRow.get(_model_key(model_id), _COUNTS, consistent_read=True)
        except ReviewRow.DoesNotExist:
            return LocalCounts(model_id=model_id)
        return LocalCounts.model_validate({**row.body, "revision": int(row.revision)})

    def act(
        self,
        study_uid: str,
        decide: Callable[[Study, tuple[Review, ...]], Step | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> Step | None:
        """Let `decide` say what an act changes, and write that if nobody else was faster.

        Every act writes the head of the study under a condition, so that acts on one study follow each other.

        Parameters
        ----------
        study_uid
            Which study.
        decide
            Of its head and its reviews, as they are; called again after each lost race. None leaves everything as it
            is.
        sleep
            Waits for a number of seconds between tries.

        Returns
        -------
        Step or None
            What was written.

        Raises
        ------
        NotFoundError
            If there is no such study.
        SignedReviewError
            If `decide` would change a signed review.
        TransientError
            If others kept changing the same.
        """
        for attempt in range(_TRIES):
            taken: list[Step] = []

            def becomes(study: Study | None, taken: list[Step] = taken) -> Study | None:
                if study is None:
                    raise NotFoundError("no such study")
                reviews = self.of_study(study_uid)
                step = decide(study, reviews)
                taken[:] = [step] if step else []
                if step is not None and step.review is not None:
                    _refuse_signed(step.review, reviews)
                return step.study if step else None

            def writes(_: Study, taken: list[Step] = taken) -> Iterable[Addition]:
                return _writes(taken[0])

            try:
                StudyRepository().change(study_uid, becomes, writes)
            except ConditionFailedError:
                # An event on the study, or a sign-off elsewhere with findings of the same model, was faster.
                sleep(random.uniform(0.0, 0.01 * 2 ** min(attempt, 5)))  # noqa: S311 - jitter, not a secret
                continue
            return taken[0] if taken else None
        raise TransientError("others kept changing the same")


def _refuse_signed(review: Review, reviews: Iterable[Review]) -> None:
    if any(each.number == review.number and each.is_signed for each in reviews):
        raise SignedReviewError("a signed review does not change")


def _writes(step: Step) -> Iterable[Addition]:
    if step.event is not None:
        yield audited(step.event)
    if step.review is not None:
        body = step.review.model_dump(mode="json")
        yield _row(step.review.study_uid, f"{_REVIEW}{step.review.number:06d}", step.review.revision, body)
    if step.review is not None and step.labels:
        labels = {"labels": [each.model_dump(mode="json") for each in step.labels]}
        yield _row(step.review.study_uid, f"{_LABEL}{step.review.number:06d}", 0, labels)
    for each in step.counts:
        yield _row(_model_key(each.model_id), _COUNTS, each.revision, each.model_dump(mode="json"))
    yield from step.also


def _row(key: str, item: str, revision: int, body: Mapping[str, object]) -> Addition:
    """Return the write of an item that had a revision; 0 for one that must be new."""

    def write(transaction: TransactWrite) -> None:
        condition = ReviewRow.revision == revision if revision else ReviewRow.item.does_not_exist()
        row = ReviewRow(study_uid=key, item=item, revision=revision + 1, body=body)
        transaction.save(row, condition=condition)

    return write


def _model_key(model_id: str) -> str:
    return f"model#{model_id}"  # no UID has a #
