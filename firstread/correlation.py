"""The correlation id of what a program works on: joins the log lines of a study's way, from the door to the alert.

It is the name of the batch that brought the study's first object (`firstread.arrival.Arrival.batch`), and
travels in every message (`firstread.messages.Message.correlation_id`).
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("correlation_id", default="")
_FORM = re.compile(r"[A-Za-z0-9-]{0,64}")


def correlate(correlation_id: str) -> None:
    """Say what the work in hand belongs to; what does not have the form of an id is no id, and is not logged."""
    _current.set(correlation_id if _FORM.fullmatch(correlation_id) else "")


@contextmanager
def correlated(correlation_id: str = "") -> Iterator[None]:
    """Give the log lines of the body a correlation id; afterwards, that of before."""
    before = _current.get()
    correlate(correlation_id)
    try:
        yield
    finally:
        _current.set(before)


class Correlation(logging.Filter):
    """Puts the correlation id into each log line, where there is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id to a record; let it pass."""
        if found := _current.get():
            record.correlation_id = found
        return True
