"""What stands in the way of a step at the desk, and how it is said.

Each refusal is a conflict that names its reason, and who was faster where somebody was.
"""

from collections.abc import Iterable

from firstread.review import Review
from portal.errors import ConflictError
from portal.logic.review.desk import Desk


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


def require_free(desk: Desk) -> None:
    """Refuse to write in a study that somebody else holds.

    Raises
    ------
    ConflictError
        If somebody does.
    """
    if is_held_by_another(desk):
        raise held_conflict(desk)


def is_held_by_another(desk: Desk) -> bool:
    """Return whether somebody other than the reader holds the study."""
    return desk.holder not in ("", desk.actor.name)


def require_decided(review: Review, needed: Iterable[str]) -> None:
    """Refuse a review that leaves a finding without a verdict.

    Parameters
    ----------
    needed
        The findings of models that need one.

    Raises
    ------
    ConflictError
        If it does; `undecided` lists them.
    """
    decided = {each.finding_id for each in review.findings if each.verdict is not None}
    missing = [each for each in needed if each not in decided]
    missing += [each.finding_id for each in review.findings if each.verdict is None]
    if missing:
        raise ConflictError(
            "findings have no verdict yet", reason="undecided", undecided=list(dict.fromkeys(missing))
        )


def held_conflict(desk: Desk) -> ConflictError:
    """Return what is said where somebody else holds the study."""
    study = desk.study
    return ConflictError(
        f"{study.reader} is reading the study",
        reason="held",
        holder=study.reader,
        since=study.claimed_at,
        until=study.claimed_until,
    )


def signed_conflict(desk: Desk) -> ConflictError:
    """Return what is said where the study was signed meanwhile."""
    signed = desk.signed
    who = {"holder": signed.signed_by, "since": signed.signed_at, "number": signed.number} if signed else {}
    return ConflictError("the study has been signed; write an addendum", reason="signed", **who)


def author_conflict(review: Review) -> ConflictError:
    """Return what is said of a draft of another author."""
    return ConflictError(
        f"the draft is of {review.author}", reason="not yours", holder=review.author, since=review.started_at
    )
