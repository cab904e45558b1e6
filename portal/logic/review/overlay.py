"""Whether what models say is shown to a reader, by the site's policy."""

from enum import StrEnum

from firstread.policy import Action, Actor, can
from firstread.records.reviews import ReviewRepository
from firstread.review import Review
from firstread.study import ReviewStatus, Study
from portal.logic.records import resource_of


class OverlayPolicy(StrEnum):
    """When what models say is shown to those who read a study.

    `HIDDEN`: off until the reader asks. `AFTER_FIRST_READ`: kept back until they have said what they see themselves.
    `SHOWN`: from the start.
    """

    HIDDEN = "hidden"
    AFTER_FIRST_READ = "after_first_read"
    SHOWN = "shown"


def is_kept_back(policy: OverlayPolicy, study: Study, actor: Actor, reviews: ReviewRepository) -> bool:
    """Return whether findings and overlays of the current version are to be kept from a reader for now.

    Parameters
    ----------
    policy
        The site's.
    study, actor
        What is read by whom. Whoever writes no reviews has nothing to say first.
    reviews
        Asked only where the answer depends on it.
    """
    if not _asks(policy, study, actor):
        return False
    return not has_first_read(study, actor, reviews.of_study(study.study_uid))


def keeps_back(policy: OverlayPolicy, study: Study, actor: Actor, reviews: tuple[Review, ...]) -> bool:
    """Return `is_kept_back` for whoever has the reviews already."""
    return _asks(policy, study, actor) and not has_first_read(study, actor, reviews)


def has_first_read(study: Study, actor: Actor, reviews: tuple[Review, ...]) -> bool:
    """Return whether a first read of the current version is done: the reader's own, or one that was handed in."""
    return any(
        (each.author == actor.name and each.first_read is not None)
        or each.status in (ReviewStatus.PRELIMINARY, ReviewStatus.SIGNED)
        for each in reviews
        if each.version == study.version and not each.discarded_at
    )


def _asks(policy: OverlayPolicy, study: Study, actor: Actor) -> bool:
    writes = can(actor, Action.REVIEW_WRITE, resource_of(study)).allowed
    return policy is OverlayPolicy.AFTER_FIRST_READ and writes and study.version > 0
