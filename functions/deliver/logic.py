"""An outbox row appeared -> its message leaves, at least once."""

from dataclasses import dataclass

from firstread.messages import AnalyzeRequest
from firstread.queues import EventBus, Queue
from firstread.records.outbox import OutboxRepository, parse


@dataclass(frozen=True)
class Deliver:
    """The step `deliver`.

    Parameters
    ----------
    outbox
        Where delivery is noted.
    analyze, analyze_urgent
        Queues of the model service.
    events
        Bus of FirstRead's events.
    """

    outbox: OutboxRepository
    analyze: Queue
    analyze_urgent: Queue
    events: EventBus

    def message(self, message_id: str, kind: str, body: str) -> None:
        """Send one message and note that it left; a crash between the two sends it again."""
        message = parse(kind, body)
        if isinstance(message, AnalyzeRequest):
            queue = self.analyze_urgent if message.urgent else self.analyze
            queue.send(message, group=message.source)
        else:
            self.events.put(message)
        self.outbox.mark_delivered(message_id)
