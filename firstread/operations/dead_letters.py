"""Dead letters: what lies there, and sending it again once the cause is gone.

The queues of streams hold positions in a stream and no messages. What those records would have done is found from the
records themselves instead: studies whose head is stale, and messages of the outbox that did not leave.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from firstread.delivery import Delivery
from firstread.errors import NotFoundError
from firstread.messages import (
    AlertLook,
    AnalyzeRequest,
    BatchEnded,
    CleanPixelsRequest,
    DescribeSeriesRequest,
    ObjectCreated,
    QuietTimer,
    ResultRecordedEvent,
)
from firstread.operations.operator import Operator
from firstread.policy import Action
from firstread.queues import DeadLetters, Letter
from firstread.records.audit import AuditTrail
from firstread.records.sweeping import Span, Waiting

_HIDDEN_SECONDS = 60
UNKNOWN = "unknown"
"""Type of a message that its step cannot read."""


@dataclass(frozen=True)
class Line:
    """A queue, or a stream, with its dead letters.

    Parameters
    ----------
    name
        As operators call it.
    kind
        What its messages are; None for a stream.
    setting
        Name of the setting without ``_QUEUE_URL`` and ``_DLQ_URL``.
    """

    name: str
    kind: type[BaseModel] | None
    setting: str

    @property
    def queue_setting(self) -> str:
        """Return the setting that holds the queue's URL."""
        return f"FIRSTREAD_{self.setting}_QUEUE_URL"

    @property
    def dead_setting(self) -> str:
        """Return the setting that holds the URL of its dead-letter queue."""
        return f"FIRSTREAD_{self.setting}_DLQ_URL"


LINES = (
    Line("ingest urgent", ObjectCreated, "INGEST_URGENT"),
    Line("ingest", ObjectCreated, "INGEST"),
    Line("ingest bulk", ObjectCreated, "INGEST_BULK"),
    Line("feeds", ObjectCreated, "FEEDS"),
    Line("clean pixels", CleanPixelsRequest, "CLEAN_PIXELS"),
    Line("gather", None, "GATHER"),
    Line("hints", BatchEnded, "HINTS"),
    Line("quiet timer", QuietTimer, "QUIET_TIMER"),
    Line("deliver", None, "DELIVER"),
    Line("describe series", DescribeSeriesRequest, "DESCRIBE_SERIES"),
    Line("analyze urgent", AnalyzeRequest, "ANALYZE_URGENT"),
    Line("analyze", AnalyzeRequest, "ANALYZE"),
    Line("results", ResultRecordedEvent, "RESULTS"),
    Line("escalations", AlertLook, "ESCALATIONS"),
)
"""In the order of the way of a study."""


@dataclass(frozen=True)
class Dead:
    """A dead letter.

    Parameters
    ----------
    queue
        Name of its line.
    kind
        Class of its message; ``stream position``, or `UNKNOWN`.
    sent_at
        When it was sent first, in seconds of Unix time.
    received
        How often somebody has received it.
    """

    queue: str
    kind: str
    message_id: str
    sent_at: float
    received: int


@dataclass(frozen=True)
class Replayed:
    """What became of the dead letters of a queue: sent again, or left because their step cannot read them."""

    queue: str
    sent: int
    left: int


@dataclass(frozen=True)
class DeadLetterOffice:
    """What an operator may do.

    Parameters
    ----------
    operator
        Who.
    settings
        URLs by the names of their settings.
    trail, waiting
        The records.
    delivery
        Delivers messages of the outbox.
    studies_again
        Asks for a look at every stale study, and returns how many there were.
    """

    operator: Operator
    settings: Mapping[str, str]
    trail: AuditTrail
    waiting: Waiting
    delivery: Delivery
    studies_again: Callable[[], int]

    def lying(self, name: str = "") -> Iterator[Dead]:
        """Yield the dead letters of a queue, or of all; whoever looks hides them from others for a moment."""
        self.operator.must(Action.PIPELINE_REPAIR)
        for line in self._lines(name):
            office = DeadLetters(self.settings[line.dead_setting])
            letters = list(office.letters(_HIDDEN_SECONDS))
            office.show(letters)
            for each in letters:
                yield Dead(line.name, kind_of(line, each), each.message_id, each.sent_at, each.received)

    def replay(self, name: str = "") -> Iterator[Replayed]:
        """Send the dead letters of a queue, or of all, to where they came from.

        Each is sent before it is deleted, so that a crash between the two sends it twice. What its step cannot read
        would come back, and is left. What comes back meanwhile is left for another time.
        """
        self.operator.must(Action.PIPELINE_REPAIR)
        for line in self._lines(name):
            self.trail.record(self.operator.event(f"queue#{line.name}", "dlq.replay"))
            if line.kind is None:
                yield self._replay_stream(line)
            else:
                yield self._replay(line)

    def _replay(self, line: Line) -> Replayed:
        office = DeadLetters(self.settings[line.dead_setting])
        target = self.settings[line.queue_setting]
        started = self.operator.clock().timestamp()
        sent, left = 0, list[Letter]()
        for letter in office.letters(_HIDDEN_SECONDS):
            if letter.sent_at > started or kind_of(line, letter) == UNKNOWN:
                left.append(letter)
                continue
            office.resend(letter, target)
            sent += 1
        office.show(left)
        return Replayed(line.name, sent, len(left))

    def _replay_stream(self, line: Line) -> Replayed:
        office = DeadLetters(self.settings[line.dead_setting])
        positions = list(office.letters(_HIDDEN_SECONDS))
        sent = self.studies_again() if line.name == "gather" else self._deliver_all()
        for position in positions:
            office.delete(position)
        return Replayed(line.name, sent, 0)

    def _deliver_all(self) -> int:
        sent = 0
        for each in self.waiting.undelivered(Span(self.operator.now()), limit=None):
            self.delivery.message(each.message_id, each.kind, each.body)
            sent += 1
        return sent

    def _lines(self, name: str) -> list[Line]:
        known = [line for line in LINES if line.dead_setting in self.settings]
        if not name:
            return known
        found = [line for line in known if line.name == name]
        if not found:
            raise NotFoundError(f"no such queue; there are: {', '.join(line.name for line in known)}")
        return found


def kind_of(line: Line, letter: Letter) -> str:
    """Return the class of a dead letter's message."""
    if line.kind is None:
        return "stream position"
    try:
        line.kind.model_validate_json(letter.body)
    except ValidationError:
        return UNKNOWN
    return line.kind.__name__
