"""Writes down who opened a study through DICOMweb: once in a while, as a viewer asks a thousand times."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from firstread.clock import to_text
from firstread.policy import Actor
from firstread.records.audit import AuditEvent, AuditTrail
from portal.logic.dicomweb.keeping import Kept

AGAIN_AFTER = timedelta(minutes=10)
"""Requests of one reader for one study within this time are one opening."""
_REMEMBERED = 20_000


class Openings:
    """The audit of DICOMweb.

    Parameters
    ----------
    trail
        Where events are written.
    clock
        Says what time it is.
    """

    def __init__(self, trail: AuditTrail, clock: Callable[[], datetime]) -> None:
        self._trail = trail
        self._clock = clock
        self._recent: Kept[datetime] = Kept(_REMEMBERED, lambda _: 1)

    def opened(self, actor: Actor, study_uid: str) -> None:
        """Record that a reader opened a study, unless the same was recorded a moment ago.

        It is written before anything is handed out: nothing leaves without a trace. Later requests cost a look-up
        in memory.
        """
        key = (actor.name, actor.role, study_uid)
        moment = self._clock()
        before = self._recent.get(key)
        if before is not None and timedelta(0) <= moment - before < AGAIN_AFTER:
            return
        self._record(f"study#{study_uid}", "study.retrieve", actor, moment)
        self._recent.put(key, moment)

    def searched(self, actor: Actor, study_uids: Iterable[str]) -> None:
        """Record that a reader searched by accession number, for each study that was found; the number is not kept."""
        moment = self._clock()
        subjects = [f"study#{each}" for each in study_uids] or [f"session#{actor.name}"]
        for subject in subjects:
            self._record(subject, "accession.search", actor, moment)

    def _record(self, subject: str, action: str, actor: Actor, moment: datetime) -> None:
        self._trail.record(
            AuditEvent(
                subject=subject,
                action=action,
                actor=actor.name,
                role=actor.role.value,
                at=to_text(moment),
                details={"through": "dicomweb"},
            )
        )
