"""Who may do what with which review, as pure steps from one state of a study to the next.

A reader holds a study for a quarter of an hour, and longer with everything they save. Whoever holds it may write a
review of its current version. A draft is its author's alone; once it is handed in, an attending may change and sign
it. What is signed never changes: what comes later is an addendum to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from firstread.clock import to_text
from firstread.policy import Action, Actor, can
from firstread.records.audit import AuditEvent, Detail
from firstread.records.reviews import Step
from firstread.review import FirstRead, Review, ReviewedFinding, Verdict
from firstread.study import ReviewStatus, Study
from portal.errors import ConflictError, TooLargeError
from portal.logic.records import resource_of
from portal.logic.review.changes import changes

CLAIM = timedelta(minutes=15)
"""How long a study is held after its reader last did something."""
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
    findings, impression
        All of it.
    """

    number: int
    revision: int
    version: int
    amends: int
    findings: tuple[ReviewedFinding, ...]
    impression: str


@dataclass(frozen=True)
class Desk:
    """A study and its reviews as they lie before a reader.

    Parameters
    ----------
    study, reviews
        As they were read.
    actor
        The reader.
    moment
        The present.
    """

    study: Study
    reviews: tuple[Review, ...]
    actor: Actor
    moment: datetime

    @property
    def at(self) -> str:
        """Return the present as text."""
        return to_text(self.moment)

    @property
    def holder(self) -> str:
        """Return who holds the study; "" for nobody."""
        return self.study.reader if self.study.claimed_until > self.at else ""

    @property
    def signed(self) -> Review | None:
        """Return the last signed review."""
        return max((each for each in self.reviews if each.is_signed), key=_number, default=None)

    @property
    def amends(self) -> int:
        """Return the number of the review that a new one has to add to; 0 for none."""
        return self.signed.number if self.signed else 0

    @property
    def open(self) -> tuple[Review, ...]:
        """Return the reviews that may still be signed, as nobody has signed since they were begun."""
        return tuple(each for each in self.reviews if each.is_open and each.amends == self.amends)

    @property
    def mine(self) -> Review | None:
        """Return the review that the reader writes, or has handed in; the last one, if there are several."""
        mine = (each for each in self.reviews if each.is_open and each.author == self.actor.name)
        return max(mine, key=_number, default=None)

    @property
    def handed_in(self) -> Review | None:
        """Return the last review that waits to be signed."""
        return max((each for each in self.open if _is_preliminary(each)), key=_number, default=None)

    @property
    def signs(self) -> bool:
        """Return whether the reader may sign."""
        return can(self.actor, Action.REVIEW_SIGN, resource_of(self.study)).allowed

    def find(self, number: int) -> Review:
        """Return a review of the study.

        Raises
        ------
        ConflictError
            If there is none, or it was given up.
        """
        found = next((each for each in self.reviews if each.number == number), None)
        if found is None or found.discarded_at:
            raise ConflictError("there is no such review any more", reason="gone")
        return found

    def event(self, action: str, **details: Detail) -> AuditEvent:
        """Return what the audit trail says of an act of the reader."""
        subject = f"study#{self.study.study_uid}"
        return AuditEvent(subject, action, self.actor.name, self.actor.role.value, self.at, details)


def claim(desk: Desk, *, take_over: bool) -> Step:
    """Hold a study for reading; hold it longer where the reader holds it.

    Raises
    ------
    ConflictError
        If somebody else holds it and it is not to be taken over.
    """
    held = desk.holder
    if held == desk.actor.name:
        return Step(_holding(desk), None)
    if held and not take_over:
        raise _held(desk)
    if not held:
        return Step(_holding(desk), desk.event("study.claim"))
    event = desk.event("study.take_over", before=held, since=desk.study.claimed_at)
    return Step(_holding(desk), event)


def release(desk: Desk) -> Step | None:
    """Let others have a study; nothing where the reader does not hold it."""
    if desk.holder != desk.actor.name:
        return None
    return Step(_let_go(desk.study), desk.event("study.release"))


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
            "impression": draft.impression,
            "saved_at": desk.at,
        }
    )
    if before.revision and _content(before) == _content(after):
        # What was sent before and arrived: the answer was lost.
        claimed = desk.event("study.claim") if desk.holder != desk.actor.name else None
        return Step(_holding(desk), claimed)
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
    return Step(_standing(_holding(desk), desk, after), event, after)


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
    said = FirstRead(at=desk.at, findings=review.findings, impression=review.impression)
    after = review.model_copy(update={"first_read": said})
    event = desk.event("review.first_read", number=number, found=len(review.findings))
    return Step(_holding(desk), event, after)


def discard(desk: Desk, number: int, revision: int) -> Step:
    """Give up a draft: what it said is gone, that it was there is not.

    Raises
    ------
    ConflictError
        If it is not their draft as it is.
    """
    review = _own(desk, number, revision, abandoned=True)
    nothing = {"findings": (), "impression": "", "first_read": None, "discarded_at": desk.at}
    after = review.model_copy(update=nothing)
    event = desk.event("review.discard", number=number, version=review.version, **changes(review, after))
    study = desk.study if _is_held_by_another(desk) else _let_go(desk.study)
    return Step(_standing(study, desk, after), event, after)


def submit(desk: Desk, number: int, revision: int, undecided: Iterable[str]) -> Step:
    """Hand in a draft for an attending to sign, and let go of the study.

    Raises
    ------
    ConflictError
        If it is not their draft as it is, or a finding has no verdict.
    """
    review = _own(desk, number, revision)
    _refuse_undecided(review, undecided)
    handed_in = {
        "status": ReviewStatus.PRELIMINARY,
        "submitted_by": desk.actor.name,
        "submitted_at": desk.at,
    }
    after = review.model_copy(update=handed_in)
    event = desk.event("review.submit", number=number, version=review.version, amends=review.amends)
    return Step(_standing(_let_go(desk.study), desk, after), event, after)


def recall(desk: Desk, number: int, revision: int) -> Step:
    """Take back what one has handed in, or hand it back to its author as an attending.

    Raises
    ------
    ConflictError
        If it is not handed in, was changed, or somebody else holds the study.
    """
    review = _current(desk, number, revision)
    mine = review.author == desk.actor.name
    if not _is_preliminary(review) or not (mine or desk.signs):
        raise ConflictError("the review is not waiting to be signed", reason="not yours")
    back = {"status": ReviewStatus.IN_PROGRESS, "submitted_by": "", "submitted_at": ""}
    after = review.model_copy(update=back)
    study = _holding(desk) if mine else _let_go(desk.study)
    event = desk.event("review.recall", number=number, author=review.author)
    return Step(_standing(study, desk, after), event, after)


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
    if not _is_preliminary(review) and review.author != desk.actor.name:
        raise _of_another(review)
    _refuse_undecided(review, undecided)
    if not review.impression.strip() and not review.findings:
        raise ConflictError("there is nothing to sign yet", reason="empty")
    return review


def standing(study: Study, reviews: Iterable[Review]) -> ReviewStatus:
    """Return where the reading of a study stands, by its reviews.

    Parameters
    ----------
    study
        Its head.
    reviews
        Those that may still be signed.
    """
    found = [each for each in reviews if each.is_open]
    if any(_is_preliminary(each) for each in found):
        return ReviewStatus.PRELIMINARY
    if found:
        return ReviewStatus.IN_PROGRESS
    return ReviewStatus.SIGNED if study.is_signed else ReviewStatus.UNREAD


def _to_write(desk: Desk, draft: Draft) -> Review:
    """Return the review that a draft becomes, as it is; with revision 0 where it is new."""
    require_version(desk, draft.version)
    _require_free(desk)
    if draft.amends != desk.amends:
        raise _signed(desk)
    if draft.number:
        review = desk.find(draft.number)
        if review.is_signed or review.amends != desk.amends:
            raise _signed(desk)
        if _is_preliminary(review):
            if not desk.signs:
                raise ConflictError("the review has been handed in", reason="handed in")
        elif review.author != desk.actor.name:
            raise _of_another(review)
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
        raise _of_another(review)
    if _is_preliminary(review):
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
        raise _signed(desk)
    if not abandoned:
        require_version(desk, review.version)
        if review.amends != desk.amends:
            raise _signed(desk)
        _require_free(desk)
    if review.revision != revision:
        raise ConflictError("the draft was changed elsewhere", reason="stale")
    return review


def require_version(desk: Desk, version: int) -> None:
    """Refuse what is about another version of the study than the one that there is.

    Raises
    ------
    ConflictError
        If it is.
    """
    if not desk.study.version:
        raise ConflictError("the study is not complete yet", reason="incomplete")
    if version != desk.study.version:
        raise ConflictError("the study has changed: images came or were withdrawn", reason="changed")


def _require_free(desk: Desk) -> None:
    if _is_held_by_another(desk):
        raise _held(desk)


def _is_held_by_another(desk: Desk) -> bool:
    return desk.holder not in ("", desk.actor.name)


def _refuse_undecided(review: Review, needed: Iterable[str]) -> None:
    decided = {each.finding_id for each in review.findings if each.verdict is not None}
    missing = [each for each in needed if each not in decided]
    missing += [each.finding_id for each in review.findings if each.verdict is None]
    if missing:
        raise ConflictError(
            "findings have no verdict yet", reason="undecided", undecided=list(dict.fromkeys(missing))
        )


def _held(desk: Desk) -> ConflictError:
    study = desk.study
    return ConflictError(
        f"{study.reader} is reading the study",
        reason="held",
        holder=study.reader,
        since=study.claimed_at,
        until=study.claimed_until,
    )


def _signed(desk: Desk) -> ConflictError:
    signed = desk.signed
    who = {"holder": signed.signed_by, "since": signed.signed_at, "number": signed.number} if signed else {}
    return ConflictError("the study has been signed; write an addendum", reason="signed", **who)


def _of_another(review: Review) -> ConflictError:
    return ConflictError(
        f"the draft is of {review.author}", reason="not yours", holder=review.author, since=review.started_at
    )


def _holding(desk: Desk) -> Study:
    since = desk.study.claimed_at if desk.holder == desk.actor.name else desk.at
    held = {"reader": desk.actor.name, "claimed_at": since, "claimed_until": to_text(desk.moment + CLAIM)}
    return desk.study.model_copy(update=held)


def _let_go(study: Study) -> Study:
    return study.model_copy(update={"reader": "", "claimed_at": "", "claimed_until": ""})


def _standing(study: Study, desk: Desk, changed: Review) -> Study:
    others = [each for each in desk.open if each.number != changed.number]
    mine = [changed] if changed.amends == desk.amends else []
    return study.model_copy(update={"review": standing(study, [*others, *mine])})


def _content(review: Review) -> tuple[object, ...]:
    return review.version, review.findings, review.impression


def _is_preliminary(review: Review) -> bool:
    return review.status is ReviewStatus.PRELIMINARY and review.is_open


def _number(review: Review) -> int:
    return review.number
