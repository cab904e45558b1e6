"""The ledger: what became of each object that arrived."""

from enum import StrEnum

from firstread.clock import now, to_text
from firstread.value import Value


class Outcome(StrEnum):
    """What became of an object that arrived. `received = stored + duplicate + quarantined + pending`."""

    PENDING = "pending"
    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Receipt(Value):
    """The ledger row of one object that arrived.

    Parameters
    ----------
    object_key, version_id
        Identity in the incoming bucket.
    source
        The door and sender, such as ``push``; never free text from outside.
    received_at
        When the door took it (`firstread.clock` text).
    sha256
        Digest of the bytes, where the door knew it.
    batch
        The request, association or command it came with (`firstread.arrival`); the correlation id of its logs.
    study_ref, sop_ref
        References of the original UIDs (`firstread.refs`); "" where nobody could read them.
    unknown_facts
        How many of the facts that routing asks for the object did not tell (`InstanceFacts.unknown`).
    discarded_at
        When somebody gave a quarantined object up; its bytes are gone, its row stays.
    inspected
        Somebody has released it from quarantine, and vouches that the pixels carry no text.
    """

    object_key: str
    version_id: str
    source: str
    received_at: str
    size: int = 0
    sha256: str = ""
    batch: str = ""
    study_ref: str = ""
    sop_ref: str = ""
    outcome: Outcome = Outcome.PENDING
    reason: str = ""
    settled_at: str = ""
    study_uid: str = ""
    sop_uid: str = ""
    unknown_facts: int = 0
    discarded_at: str = ""
    inspected: bool = False

    def settled(
        self, outcome: Outcome, *, reason: str = "", study_uid: str = "", sop_uid: str = ""
    ) -> "Receipt":
        """Return the receipt with its outcome."""
        return self.model_copy(
            update={
                "outcome": outcome,
                "reason": str(reason),
                "settled_at": to_text(now()),
                "study_uid": study_uid,
                "sop_uid": sop_uid,
            }
        )

    def to_log(self) -> dict[str, object]:
        """Return what a log may say of it once it is settled."""
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "unknown_facts": self.unknown_facts,
        }
