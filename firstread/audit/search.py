"""Finding events: by subject, by actor or by day, always by a key or an index and never by a scan."""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from firstread.errors import FirstReadError
from firstread.records.audit import AuditTrail, Entry, Place

_LOOKED_AT = 2_000
"""Events that one page looks at; what remains is looked at by the next."""


class NothingAskedError(FirstReadError):
    """A search without subject, actor and day."""


@dataclass(frozen=True)
class Query:
    """What is looked for; all that is given must hold.

    Parameters
    ----------
    day
        Day in UTC, as ``2026-03-02``.
    actor
        User name.
    subject
        Subject of the event; a UID alone stands for that study.
    action
        Action, such as ``study.view``, or the first part of several, such as ``alert``.
    """

    day: str = ""
    actor: str = ""
    subject: str = ""
    action: str = ""

    @property
    def about(self) -> str:
        """Return the subject as events name it."""
        return f"study#{self.subject}" if self.subject and "#" not in self.subject else self.subject

    def holds(self, entry: Entry) -> bool:
        """Tell whether an event is what is looked for."""
        return (
            (not self.day or entry.at[:10] == self.day)
            and (not self.actor or entry.actor == self.actor)
            and (not self.subject or entry.subject == self.about)
            and (not self.action or f"{entry.action}.".startswith(f"{self.action}."))
        )


@dataclass(frozen=True)
class Page:
    """Some of what was found, newest first, and what `find` takes to go on; "" where that was all."""

    entries: tuple[Entry, ...]
    following: str


def find(trail: AuditTrail, query: Query, behind: Place | None = None) -> Iterator[Entry]:
    """Yield what may be asked for, newest first; `Query.holds` decides.

    Raises
    ------
    NothingAskedError
        If neither subject nor actor nor day is given.
    """
    if query.subject:
        return trail.newest(query.about, behind)
    if query.actor:
        return trail.by(query.actor, query.day, behind)
    if query.day:
        return trail.of_day(query.day, behind)
    raise NothingAskedError("say a day, an actor or a subject")


def page(trail: AuditTrail, query: Query, following: str = "", most: int = 100) -> Page:
    """Return a page of what is found.

    Parameters
    ----------
    following
        From the page before.
    most
        Events on a page.

    Raises
    ------
    NothingAskedError
        If neither subject nor actor nor day is given, or `following` is not from a page.
    """
    found: list[Entry] = []
    last: Entry | None = None
    entries = find(trail, query, _place(following))
    for last in islice(entries, _LOOKED_AT):
        if query.holds(last):
            found.append(last)
        if len(found) == most:
            break
    more = last is not None and next(entries, None) is not None
    return Page(tuple(found), _text(last.place) if more and last is not None else "")


def _text(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(text: str) -> Place | None:
    if not text:
        return None
    try:
        at, subject, number = json.loads(base64.urlsafe_b64decode(text.encode()))
        return Place(str(at), str(subject), int(number))
    except (ValueError, TypeError, binascii.Error):
        raise NothingAskedError("this is no place to go on from") from None
