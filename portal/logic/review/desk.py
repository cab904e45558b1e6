"""A study and its reviews as they lie before a reader: who holds it, whose review is whose, where reading stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from firstread.clock import to_text
from firstread.policy import Action, Actor, can
from firstread.records.audit import AuditEvent, Detail
from firstread.review import Review
from firstread.study import ReviewStatus, Study
from portal.errors import ConflictError
from portal.logic.records import resource_of

CLAIM = timedelta(minutes=15)
"""How long a study is held after its reader last did something."""


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
        return max((each for each in self.open if is_preliminary(each)), key=_number, default=None)

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
    if any(is_preliminary(each) for each in found):
        return ReviewStatus.PRELIMINARY
    if found:
        return ReviewStatus.IN_PROGRESS
    return ReviewStatus.SIGNED if study.is_signed else ReviewStatus.UNREAD


def holding(desk: Desk) -> Study:
    """Return the study as the reader holds it from now on."""
    since = desk.study.claimed_at if desk.holder == desk.actor.name else desk.at
    held = {"reader": desk.actor.name, "claimed_at": since, "claimed_until": to_text(desk.moment + CLAIM)}
    return desk.study.model_copy(update=held)


def let_go(study: Study) -> Study:
    """Return a study that nobody holds."""
    return study.model_copy(update={"reader": "", "claimed_at": "", "claimed_until": ""})


def with_standing(study: Study, desk: Desk, changed: Review) -> Study:
    """Return the study with where its reading stands after one review was changed."""
    others = [each for each in desk.open if each.number != changed.number]
    mine = [changed] if changed.amends == desk.amends else []
    return study.model_copy(update={"review": standing(study, [*others, *mine])})


def is_preliminary(review: Review) -> bool:
    """Return whether a review is handed in and waits to be signed."""
    return review.status is ReviewStatus.PRELIMINARY and review.is_open


def _number(review: Review) -> int:
    return review.number
