"""When a study is complete: a pure rule over what arrived, what doors said, and the time.

No single sign is enough. Headers rarely tell a number, an association may carry one image or a whole study, and a
quiet time is a guess. They are used in that order, a maximum bounds all of them, and whatever comes late makes the
next version; so a wrong guess costs an analysis and never an image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

_PATIENCE = 3.0
"""Where a number is known and not reached, quiet times are this many times as long."""


class Closing(StrEnum):
    """Why a version was closed.

    ``expected``: the number that the headers told was reached. ``batch``: every batch that brought something new has
    ended, and all of it is recorded. ``quiet``: nothing came for the quiet time. ``forced``: things kept coming, or
    kept missing, for the maximum.
    """

    EXPECTED = "expected"
    BATCH = "batch"
    QUIET = "quiet"
    FORCED = "forced"


class SourcePolicy(BaseModel):
    """What differs for one source.

    Parameters
    ----------
    quiet_seconds
        Modality -> quiet time in seconds; "*" for all others. Modalities it does not name are as for everybody.
    trust_single
        Whether the end of a batch of a single image may end a study. Many devices open an association per image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quiet_seconds: dict[str, float] = Field(default_factory=dict)
    trust_single: bool = False


class CompletenessPolicy(BaseModel):
    """When a study counts as complete.

    Parameters
    ----------
    quiet_seconds
        Modality -> seconds without a new instance; "*" is the default.
    sources
        What differs by source.
    after_hint_seconds
        How long to wait for another batch after the end of one.
    max_seconds
        Longest time from the first instance of a version to its end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quiet_seconds: dict[str, float] = Field(default_factory=lambda: {"*": 120.0})
    sources: dict[str, SourcePolicy] = Field(default_factory=dict)
    after_hint_seconds: float = Field(1.0, ge=0)
    max_seconds: float = Field(900.0, gt=0)

    def quiet_time(self, modalities: Sequence[str], sources: Sequence[str]) -> float:
        """Return the longest quiet time in seconds that any source asks for any of the modalities."""
        return max(
            self._of(modality, source) for modality in (modalities or ("*",)) for source in (sources or ("",))
        )

    def _of(self, modality: str, source: str) -> float:
        own = self.sources[source].quiet_seconds if source in self.sources else {}
        for times in (own, self.quiet_seconds):
            if modality in times:
                return times[modality]
        return own.get("*", self.quiet_seconds.get("*", 120.0))

    def trusts_single(self, source: str) -> bool:
        """Tell whether the end of a batch of one image may end a study of this source."""
        return source in self.sources and self.sources[source].trust_single


@dataclass(frozen=True)
class Batch:
    """What is known of one batch of a study.

    Parameters
    ----------
    source
        Who sent it.
    settled
        Objects of it that have their outcome.
    announced
        Objects that its door said it brought; None while it has not ended.
    ended_at
        When it ended.
    """

    source: str
    settled: int
    announced: int | None = None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended and nothing of it is on its way."""
        return self.announced is not None and self.settled >= self.announced

    @property
    def is_missing(self) -> bool:
        """Whether it has ended and something of it is on its way."""
        return self.announced is not None and self.settled < self.announced


@dataclass(frozen=True)
class Seen:
    """What is known of a study that has something new.

    Parameters
    ----------
    arrived, expected
        Number of instances, and how many there should be; None where nobody knows.
    first_new, last
        When the first instance that no version has was recorded, and when the last of all was.
    modalities, sources
        Of the study.
    single_image
        Whether the study is one image of one frame.
    batches
        Those that brought something new, and those that have ended with something still on its way.
    """

    arrived: int
    expected: int | None
    first_new: datetime
    last: datetime
    modalities: tuple[str, ...]
    sources: tuple[str, ...]
    single_image: bool
    batches: Mapping[str, Batch]


@dataclass(frozen=True)
class Look:
    """What to do: close the version now for a reason, or look again at a moment; neither where nothing is new."""

    close: Closing | None
    again: datetime | None


def decide(seen: Seen, at: datetime, policy: CompletenessPolicy) -> Look:
    """Decide whether a study with something new is complete.

    Parameters
    ----------
    seen
        The study.
    at
        The present moment.
    policy
        How long to wait for what.
    """
    missing = any(batch.is_missing for batch in seen.batches.values())
    # More than expected: the number was told too early, and says nothing any more.
    if seen.arrived == seen.expected and not missing:
        return Look(Closing.EXPECTED, None)
    short = missing or (seen.expected is not None and seen.arrived < seen.expected)
    quiet = policy.quiet_time(seen.modalities, seen.sources) * (_PATIENCE if short else 1.0)
    waits = {
        Closing.FORCED: seen.first_new + timedelta(seconds=policy.max_seconds),
        Closing.QUIET: seen.last + timedelta(seconds=quiet),
    }
    ended = None if short else _all_ended(seen, policy)
    if ended is not None:
        waits[Closing.BATCH] = max(ended, seen.last) + timedelta(seconds=policy.after_hint_seconds)
    for closing in (Closing.BATCH, Closing.QUIET, Closing.FORCED):
        if closing in waits and waits[closing] <= at:
            return Look(closing, None)
    again = min(waits.values())
    if missing:
        # Duplicates settle without a word to the study: look for them, ever less often.
        again = min(again, at + _recheck(at - seen.last))
    return Look(None, again)


def _all_ended(seen: Seen, policy: CompletenessPolicy) -> datetime | None:
    """Return when the last batch ended, if all are over and may be taken for the end of the study."""
    if not seen.batches or not all(batch.is_over for batch in seen.batches.values()):
        return None
    if seen.single_image and not all(policy.trusts_single(each.source) for each in seen.batches.values()):
        return None
    return max(batch.ended_at for batch in seen.batches.values() if batch.ended_at is not None)


def _recheck(waited: timedelta) -> timedelta:
    return min(max(waited, timedelta(seconds=1)), timedelta(seconds=60))
