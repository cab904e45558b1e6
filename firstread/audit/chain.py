"""Verifying chains of audit events: numbers without gaps, each naming the digest of the one before.

A chain shows what was changed, removed or put in between. What it cannot show by itself is that its newest events
were cut off, or that somebody who can write computed the whole of it anew. Both show against a head that was noted
elsewhere: the daily export (`firstread.audit.export`) keeps one for each chain of a day where nobody can change it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from firstread.records.audit import FIRST, Entry, digest_of


class Fault(StrEnum):
    """What is wrong with the first event that is not as it should be."""

    PLACE = "an event is missing or out of place"
    PREVIOUS = "it does not name the digest of the event before it"
    DIGEST = "it is not what was written"
    LISTED = "an index says something else than the event"
    CUT_OFF = "the chain ends before the head that was exported"
    REWRITTEN = "its digest is not the one that was exported"
    UNLIKE = "the resource says something else than the event"


@dataclass(frozen=True)
class Head:
    """The last event of a chain, as noted when a day was exported.

    Parameters
    ----------
    number, digest
        Of that event.
    """

    number: int
    digest: str


@dataclass(frozen=True)
class Verdict:
    """What verifying a chain said.

    Parameters
    ----------
    subject
        Whose chain.
    count
        How many events were looked at.
    broken_at
        Number of the first event that is not as it should be, or not there; 0 where nothing is wrong.
    fault
        What is wrong there.
    """

    subject: str
    count: int
    broken_at: int = 0
    fault: Fault | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is wrong."""
        return self.fault is None


def verify(
    subject: str, entries: Iterable[Entry], heads: Iterable[Head] = (), *, is_part: bool = False
) -> Verdict:
    """Verify a chain.

    Parameters
    ----------
    subject
        Whose chain.
    entries
        Its events in the order of their numbers.
    heads
        Heads that were noted elsewhere; the chain must hold each.
    is_part
        Whether the chain may begin anywhere, as in an export.

    Returns
    -------
    Verdict
        With the first fault.
    """
    noted = {head.number: head.digest for head in heads}
    last: int | None
    last, digest, count = (None if is_part else 0), "", 0
    for entry in entries:
        expected = entry.number if last is None else last + 1
        before = FIRST if entry.number == 1 else digest
        fault = _fault(entry, expected, before, noted)
        if fault is not None:
            return Verdict(subject, count, min(expected, entry.number), fault)
        last, digest, count = entry.number, entry.digest, count + 1
    beyond = [number for number in noted if number > (last or 0)]
    if beyond:
        return Verdict(subject, count, (last or 0) + 1, Fault.CUT_OFF)
    return Verdict(subject, count)


def _fault(entry: Entry, expected: int, before: str, noted: dict[int, str]) -> Fault | None:
    if entry.number != expected:
        return Fault.PLACE
    if before and entry.previous != before:
        return Fault.PREVIOUS
    # The number is in the body too, so that a body says where it belongs.
    if entry.body.get("number") != entry.number:
        return Fault.DIGEST
    if digest_of(entry.subject, entry.number, entry.previous, entry.body) != entry.digest:
        return Fault.DIGEST
    if entry.listed != (entry.at[:10], entry.actor, entry.at):
        return Fault.LISTED
    if noted.get(entry.number, entry.digest) != entry.digest:
        return Fault.REWRITTEN
    return None
