"""Send the event of an object that arrived to the queue of its lane once more."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firstread.arrival import PREFIX, Lane
from firstread.environment import IngestQueuesSettings
from firstread.messages import ObjectCreated, object_created
from firstread.queues import Queue
from firstread.receipt import Receipt
from firstread.storage import FEED_PREFIX

PREFIXES = (PREFIX, FEED_PREFIX)
"""Below these lie the objects that the ledger knows."""


@dataclass(frozen=True)
class Arrived:
    """An object version that arrived.

    Parameters
    ----------
    at
        When (`firstread.clock` text).
    """

    key: str
    version_id: str
    size: int
    at: str

    @classmethod
    def of(cls, receipt: Receipt) -> "Arrived":
        """Return the object of a receipt."""
        return cls(receipt.object_key, receipt.version_id, receipt.size, receipt.received_at)


@dataclass(frozen=True)
class Lanes:
    """The queues of arrived objects.

    Parameters
    ----------
    bucket
        Name of the incoming bucket.
    queues
        Prefix of keys -> queue of their events.
    otherwise
        Queue of objects in no lane.
    """

    bucket: str
    queues: Mapping[str, Queue]
    otherwise: Queue

    def again(self, objects: Iterable[Arrived]) -> int:
        """Send the events of objects again, and return how many; whoever gets one twice finds the receipt settled."""
        events: dict[str, list[ObjectCreated]] = defaultdict(list)
        for each in objects:
            prefix = next((prefix for prefix in self.queues if each.key.startswith(prefix)), "")
            events[prefix].append(object_created(self.bucket, each.key, each.version_id, each.size, each.at))
        for prefix, waiting in events.items():
            (self.queues[prefix] if prefix else self.otherwise).send_all(waiting)
        return sum(len(waiting) for waiting in events.values())


def open_lanes(settings: IngestQueuesSettings, bucket: str) -> Lanes:
    """Wire the lanes to their environment."""
    routine = Queue(settings.ingest_queue_url)
    return Lanes(
        bucket=bucket,
        queues={
            f"{PREFIX}{Lane.URGENT.value}/": Queue(settings.ingest_urgent_queue_url),
            f"{PREFIX}{Lane.ROUTINE.value}/": routine,
            f"{PREFIX}{Lane.BULK.value}/": Queue(settings.ingest_bulk_queue_url),
            FEED_PREFIX: Queue(settings.feeds_queue_url),
        },
        otherwise=routine,
    )
