"""Who may do what with which review, as pure steps from one state of a study to the next.

A reader holds a study for a quarter of an hour, and longer with everything they save. Whoever holds it may write a
review of its current version. A draft is its author's alone; once it is handed in, an attending may change and sign
it. What is signed never changes: what comes later is an addendum to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from firstread.records.reviews import Step
from firstread.review import FirstRead, ReaderMeasurement, Review, ReviewedFinding, Verdict
from firstread.study import ReviewStatus
from portal.errors import ConflictError, TooLargeError
from portal.logic.review.changes import changes
from portal.logic.review.desk import Desk, holding, is_preliminary, let_go, with_standing
from portal.logic.review.refusals import (
    author_conflict,
    held_conflict,
    is_held_by_another,
    require_decided,
    require_free,
    require_version,
    signed_conflict,
)

MAX_BYTES = 350_000
"""Of a review as it is recorded; a DynamoDB item has 400 kB."""


@dataclass(frozen=True)
class Draft:
    """What a reader wants to be saved.

    Parameters
    ----------
    number, revision
        The review that they changed, as they had it; 0 for a new one.
    version
        The study version that they looked at.
    amends
        The signed review that it adds to, as far as they know; 0 for none.
    findings, measurements, impression
        All of it.
    """

    number: int
    revision: int
    version: int
    amends: int
    findings: tuple[ReviewedFinding, ...]
    measurements: tuple[ReaderMeasurement, ...]
    impression: str


def claim(desk: Desk, *, take_over: bool) -> Step:
    """Hold a study for reading; hold it longer where the reader holds it.

    Raises
    ------
    ConflictError
        If somebody else holds it and it is not to be taken over.
    """
    held = desk.holder
    if held == desk.actor.name:
        return Step(holding(desk), None)
    if held and not take_over:
        raise held_conflict(desk)
    if not held:
        return Step(holding(desk), desk.event("study.claim"))
    event = desk.event("study.take_over", before=held, since=desk.study.claimed_at)
    return Step(holding(desk), event)


def release(desk: Desk) -> Step | None:
    """Let others have a study; nothing where the reader does not hold it."""
    if desk.holder != desk.actor.name:
        return None
    return Step(let_go(desk.study), desk.event("study.release"))


def save(desk: Desk, draft: Draft) -> Step:
    """Save a draft, and hold the study.

    Raises
    ------
    ConflictError
        If somebody else holds the study or has signed it, the study has another version, or the draft was changed.
    TooLargeError
        If it is more than a record can hold.
    """
    before = _to_write(desk, draft)
    after = before.model_copy(
        update={
            "version": draft.version,
            "findings": draft.findings,
            "measurements": draft.measurements,
            "impression": draft.impression,
            "saved_at": desk.at,
        }
    )
    if before.revision and _content(before) == _content(after):
        # What was sent before and arrived: the answer was lost.
        claimed = desk.event("study.claim") if desk.holder != desk.actor.name else None
        return Step(holding(desk), claimed)
    if draft.revision != before.revision:
        raise ConflictError("the draft was changed elsewhere", reason="stale")
    if len(after.model_dump_json()) > MAX_BYTES:
        raise TooLargeError("a review with fewer points, please")
    event = desk.event(
        "review.save",
        number=after.number,
        version=after.version,
        amends=after.amends,
        revision=before.revision + 1,
        **changes(before, after),
    )
    return Step(with_standing(holding(desk), desk, after), event, after)


def first_read(desk: Desk, number: int, revision: int) -> Step:
    """Record what the reader has found by themselves, before the results of models are shown to them.

    Raises
    ------
    ConflictError
        If it is not their draft as it is, they have said it already, or they have judged results of models.
    """
    review = _own(desk, number, revision)
    if review.first_read is not None:
        raise ConflictError("the first read is recorded already", reason="recorded")
    if any(each.verdict is not Verdict.MISSED for each in review.findings):
        raise ConflictError("results of models were judged already", reason="judged")
    said = FirstRead(
        at=desk.at,
        findings=review.findings,
        measurements=review.measurements,
        impression=review.impression,
    )
    after = review.model_copy(update={"first_read": said})
    event = desk.event("review.first_read", number=number, found=len(review.findings))
    return Step(holding(desk), event, after)


def discard(desk: Desk, number: int, revision: int) -> Step:
    """Give up a draft: what it said is gone, that it was there is not.

    Raises
    ------
    ConflictError
        If it is not their draft as it is.
    """
    review = _own(desk, number, revision, abandoned=True)
    nothing = {
        "findings": (),
        "measurements": (),
        "impression": "",
        "first_read": None,
        "discarded_at": desk.at,
    }
    after = review.model_copy(update=nothing)
    event = desk.event("review.discard", number=number, version=review.version, **changes(review, after))
    study = desk.study if is_held_by_another(desk) else let_go(desk.study)
    return Step(with_standing(study, desk, after), event, after)


def submit(desk: Desk, number: int, revision: int, undecided: Iterable[str]) -> Step:
    """Hand in a draft for an attending to sign, and let go of the study.

    Raises
    ------
    ConflictError
        If it is not their draft as it is, or a finding has no verdict.
    """
    review = _own(desk, number, revision)
    require_decided(review, undecided)
    handed_in = {
        "status": ReviewStatus.PRELIMINARY,
        "submitted_by": desk.actor.name,
        "submitted_at": desk.at,
    }
    after = review.model_copy(update=handed_in)
    event = desk.event("review.submit", number=number, version=review.version, amends=review.amends)
    return Step(with_standing(let_go(desk.study), desk, after), event, after)


def recall(desk: Desk, number: int, revision: int) -> Step:
    """Take back what one has handed in, or hand it back to its author as an attending.

    Raises
    ------
    ConflictError
        If it is not handed in, was changed, or somebody else holds the study.
    """
    review = _current(desk, number, revision)
    mine = review.author == desk.actor.name
    if not is_preliminary(review) or not (mine or desk.signs):
        raise ConflictError("the review is not waiting to be signed", reason="not yours")
    back = {"status": ReviewStatus.IN_PROGRESS, "submitted_by": "", "submitted_at": ""}
    after = review.model_copy(update=back)
    study = holding(desk) if mine else let_go(desk.study)
    event = desk.event("review.recall", number=number, author=review.author)
    return Step(with_standing(study, desk, after), event, after)


def signable(desk: Desk, number: int, revision: int, undecided: Iterable[str]) -> Review:
    """Return a review that the reader may sign as it is; one that is signed already, as it was signed.

    Raises
    ------
    ConflictError
        If it was changed, is somebody's draft, or says nothing; a finding has no verdict; the study has another
        version; or somebody else holds it or has signed it.
    """
    found = desk.find(number)
    if found.is_signed:
        return found
    review = _current(desk, number, revision)
    if not is_preliminary(review) and review.author != desk.actor.name:
        raise author_conflict(review)
    require_decided(review, undecided)
    if not review.impression.strip() and not review.findings and not review.measurements:
        raise ConflictError("there is nothing to sign yet", reason="empty")
    return review


def _to_write(desk: Desk, draft: Draft) -> Review:
    """Return the review that a draft becomes, as it is; with revision 0 where it is new."""
    require_version(desk, draft.version)
    require_free(desk)
    if draft.amends != desk.amends:
        raise signed_conflict(desk)
    if draft.number:
        review = desk.find(draft.number)
        if review.is_signed or review.amends != desk.amends:
            raise signed_conflict(desk)
        if is_preliminary(review):
            if not desk.signs:
                raise ConflictError("the review has been handed in", reason="handed in")
        elif review.author != desk.actor.name:
            raise author_conflict(review)
        return review
    if desk.mine is not None and desk.mine in desk.open:
        return desk.mine  # of another window, or saved before and the answer was lost
    return Review(
        study_uid=desk.study.study_uid,
        number=max((each.number for each in desk.reviews), default=0) + 1,
        version=draft.version,
        amends=draft.amends,
        author=desk.actor.name,
        author_role=desk.actor.role.value,
        started_at=desk.at,
        saved_at=desk.at,
    )


def _own(desk: Desk, number: int, revision: int, *, abandoned: bool = False) -> Review:
    review = _current(desk, number, revision, abandoned=abandoned)
    if review.author != desk.actor.name:
        raise author_conflict(review)
    if is_preliminary(review):
        raise ConflictError("the review has been handed in", reason="handed in")
    return review


def _current(desk: Desk, number: int, revision: int, *, abandoned: bool = False) -> Review:
    """Return an open review that is as the reader had it.

    Parameters
    ----------
    abandoned
        Whether it may be one that nobody can go on with: the study has gone on, or somebody else holds it.
    """
    review = desk.find(number)
    if review.is_signed:
        raise signed_conflict(desk)
    if not abandoned:
        require_version(desk, review.version)
        if review.amends != desk.amends:
            raise signed_conflict(desk)
        require_free(desk)
    if review.revision != revision:
        raise ConflictError("the draft was changed elsewhere", reason="stale")
    return review


def _content(review: Review) -> tuple[object, ...]:
    return review.version, review.findings, review.measurements, review.impression
