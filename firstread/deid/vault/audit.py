"""Who asked the vault what, written down before it answers. No event names a patient: subjects are surrogates."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from firstread.clock import now, to_text
from firstread.deid.vault.errors import RefusedError
from firstread.policy import Action, Actor, Purpose, Resource, can

Event = Mapping[str, str | bool]


class AuditSink(Protocol):
    """Where audit events go."""

    def record(self, event: Event) -> None:
        """Write an event durably; nothing is answered where this fails."""


class AuditFile:
    """Audit events as JSON lines in a file that is only ever appended to.

    Parameters
    ----------
    path
        The file; made, readable by its owner only, where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, event: Event) -> None:
        """Append an event and wait until it is on the disk."""
        line = json.dumps(event, sort_keys=True) + "\n"
        descriptor = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())


class Guard:
    """Lets one actor do what the policy allows, and writes down each try.

    Parameters
    ----------
    actor
        Who asks.
    audit
        Where tries are written down.
    """

    def __init__(self, actor: Actor, audit: AuditSink) -> None:
        self.actor = actor
        self._audit = audit

    def allow(self, action: Action, what: str, subject: str, purpose: Purpose, *, patient: str = "") -> None:
        """Write down that the actor is about to do something, or was refused.

        Parameters
        ----------
        action
            What the policy is asked about.
        what
            What is done, in more detail.
        subject
            A surrogate, or "" for the whole vault.
        purpose
            Why.
        patient
            Surrogate of the patient, where the subject is a study.

        Raises
        ------
        RefusedError
            If the policy does not allow it.
        """
        resource = Resource(study_uid="" if subject.startswith("P") else subject)
        decision = can(self.actor, action, resource)
        self._audit.record(
            {
                "at": to_text(now()),
                "actor": self.actor.name,
                "role": self.actor.role.value,
                "action": action.value,
                "what": what,
                "subject": subject,
                "purpose": purpose.value,
                "allowed": decision.allowed,
                **({"patient": patient} if patient else {}),
            }
        )
        if not decision.allowed:
            raise RefusedError(decision.reason)
