"""Every look is an event in the audit trail, written before the answer; the same look again within minutes is not."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from firstread.clock import to_text
from firstread.policy import Action, Actor
from firstread.records.audit import AuditEvent, AuditTrail, Detail

if TYPE_CHECKING:
    from portal.access import Access

AGAIN_AFTER = timedelta(minutes=5)
"""A reader who scrolls through a study looks at it once."""
POLLED_FOR = timedelta(hours=8)
"""What a page asks by itself belongs to the load before it, for as long as a session can last.

A program that merely says that it polls is written down with its first request.
"""
_MOST = 20_000


class Looks:
    """Writes down looks, and remembers in this process, for some minutes, which it has written.

    Parameters
    ----------
    trail
        Where they are written.
    clock
        Says what time it is.
    most
        How many looks are remembered; the oldest are forgotten first, and are merely written again.
    """

    def __init__(self, trail: AuditTrail, clock: Callable[[], datetime], most: int = _MOST) -> None:
        self._trail = trail
        self._clock = clock
        self._most = most
        self._lock = Lock()
        self._written: OrderedDict[tuple[Actor, Action, str, frozenset[tuple[str, Detail]]], datetime] = (
            OrderedDict()
        )

    def write(
        self, actor: Actor, action: Action, subject: str, *, polled: bool = False, **details: Detail
    ) -> None:
        """Write down a look, unless the same one was written a short while ago.

        Parameters
        ----------
        actor, action
            Who did what.
        subject
            The subject of the event (`AuditEvent`).
        polled
            Whether a page asked by itself.

        Raises
        ------
        TransientError
            If it could not be written; nothing may be answered then.
        """
        moment, look = self._clock(), (actor, action, subject, frozenset(details.items()))
        with self._lock:
            last = self._written.get(look)
        if last is not None and moment - last < (POLLED_FOR if polled else AGAIN_AFTER):
            return
        self._trail.record(
            AuditEvent(subject, action.value, actor.name, actor.role.value, to_text(moment), details)
        )
        # Behind the write: a look that was not written must not count as written.
        with self._lock:
            self._written[look] = moment
            self._written.move_to_end(look)
            while len(self._written) > self._most:
                self._written.popitem(last=False)


def looked(access: "Access", action: Action, *, study_uid: str = "", **details: Detail) -> None:
    """Write down that the reader of a request is about to be shown something; call it before answering.

    Parameters
    ----------
    access
        The request, as the policy let it pass.
    action
        What is shown.
    study_uid
        Of which study, where the route names none; what is about no study, such as a list, is an event of the reader.
    details
        What else is to be known: chosen words and numbers only.
    """
    if not study_uid and access.found_study is not None:
        study_uid = access.found_study.study_uid
        details["patient"] = access.found_study.gathering.patient
    subject = f"study#{study_uid}" if study_uid else f"session#{access.actor.name}"
    access.services.looks.write(access.actor, action, subject, polled=access.polled, **details)
