"""Who operates: asks the policy before, and says what is written into the audit trail."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from firstread.clock import now, to_text
from firstread.errors import NotAllowedError
from firstread.policy import Action, Actor, can
from firstread.records.audit import AuditEvent, Detail


@dataclass(frozen=True)
class Operator:
    """Somebody who looks after the pipeline.

    Parameters
    ----------
    actor
        Name and role.
    clock
        The present moment.
    """

    actor: Actor
    clock: Callable[[], datetime] = now

    def must(self, action: Action) -> None:
        """Go on only where the policy allows it.

        Raises
        ------
        NotAllowedError
            With the policy's reason.
        """
        decision = can(self.actor, action)
        if not decision.allowed:
            raise NotAllowedError(decision.reason)

    def now(self) -> str:
        """Return the present moment (`firstread.clock` text)."""
        return to_text(self.clock())

    def event(self, subject: str, action: str, **details: Detail) -> AuditEvent:
        """Return the audit event of something that is done now."""
        return AuditEvent(
            subject, action, self.actor.name, self.actor.role.value, self.now(), details=details
        )
