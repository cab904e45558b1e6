"""Messages of the outbox leave: as soon as their row is written, and again where that was lost."""

from dataclasses import dataclass

from firstread.environment import (
    AnalyzeQueuesSettings,
    DescribeSeriesQueueSettings,
    EventBusSettings,
    OutboxSettings,
)
from firstread.messages import AnalyzeRequest, DescribeSeriesRequest
from firstread.queues import EventBus, Queue
from firstread.records.outbox import OutboxRepository, parse


class DeliverySettings(OutboxSettings, AnalyzeQueuesSettings, DescribeSeriesQueueSettings, EventBusSettings):
    """What a `Delivery` is made of."""


@dataclass(frozen=True)
class Delivery:
    """Delivers messages.

    Parameters
    ----------
    outbox
        Where delivery is noted.
    analyze, analyze_urgent
        Queues of the model service.
    describe
        Queue of study versions whose series are to be described.
    events
        Bus of FirstRead's events.
    """

    outbox: OutboxRepository
    analyze: Queue
    analyze_urgent: Queue
    describe: Queue
    events: EventBus

    def message(self, message_id: str, kind: str, body: str) -> None:
        """Send one message and note that it left; a crash between the two sends it again."""
        message = parse(kind, body)
        if isinstance(message, AnalyzeRequest):
            queue = self.analyze_urgent if message.urgent else self.analyze
            queue.send(message, group=message.source)
        elif isinstance(message, DescribeSeriesRequest):
            self.describe.send(message, group=message.source)
        else:
            self.events.put(message)
        self.outbox.mark_delivered(message_id)


def open_delivery(settings: DeliverySettings) -> Delivery:
    """Wire a `Delivery` to its environment; the tables are bound by the caller."""
    return Delivery(
        outbox=OutboxRepository(),
        analyze=Queue(settings.analyze_queue_url),
        analyze_urgent=Queue(settings.analyze_urgent_queue_url),
        describe=Queue(settings.describe_series_queue_url),
        events=EventBus(settings.event_bus),
    )
