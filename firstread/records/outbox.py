"""The outbox: messages written in the transaction they follow from, delivered from the table's stream."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pynamodb.exceptions import UpdateError
from pynamodb.transactions import TransactWrite

from firstread.clock import now, to_text
from firstread.messages import AnalyzeRequest, DescribeSeriesRequest, Message, ResultRecorded
from firstread.records.tables import OutboxRow
from firstread.records.transactions import Addition, is_unmet_condition

_KEEP_SECONDS = 14 * 24 * 3600
UNDELIVERED = "yes"
"""Where the index `undelivered` keeps rows until they leave."""
_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (AnalyzeRequest, DescribeSeriesRequest, ResultRecorded)
}


def put(transaction: TransactWrite, message_id: str, message: Message) -> None:
    """Add a message to a transaction.

    Parameters
    ----------
    transaction
        The transaction the message follows from.
    message_id
        Derived from what the message says, so that saying it twice is one row.
    message
        One of the messages an outbox may carry.
    """
    row = OutboxRow(
        message_id=message_id,
        kind=type(message).__name__,
        body=message.model_dump_json(),
        created_at=to_text(now()),
        undelivered=UNDELIVERED,
    )
    # Without a condition: the transaction's own row has one, and tables that were restored to different moments must
    # not make a study fail for ever. A message that was sent is sent again.
    transaction.save(row)


def posted(messages: Mapping[str, Message]) -> Addition:
    """Return the write of messages, by their ids, that joins another record's transaction."""

    def build(transaction: TransactWrite) -> None:
        for message_id, message in messages.items():
            put(transaction, message_id, message)

    return build


def parse(kind: str, body: str) -> Message:
    """Return the message of an outbox row.

    Raises
    ------
    KeyError, pydantic.ValidationError
        If the row is not one that `put` wrote.
    """
    return _KINDS[kind].model_validate_json(body)


@dataclass(frozen=True)
class Passage:
    """When a message was written, and when it left; "" where it has not."""

    created_at: str
    delivered_at: str


class OutboxRepository:
    """What is known of the delivery of messages."""

    def passages(self, message_ids: Iterable[str]) -> dict[str, Passage]:
        """Return when messages were written and left; a row goes two weeks after its message left."""
        rows = OutboxRow.batch_get(list(message_ids), consistent_read=True)
        return {row.message_id: Passage(row.created_at, row.delivered_at or "") for row in rows}

    def mark_delivered(self, message_id: str) -> None:
        """Record that a message left; the row expires after two weeks."""
        row = OutboxRow(message_id=message_id)
        try:
            row.update(
                actions=[
                    OutboxRow.delivered_at.set(to_text(now())),
                    OutboxRow.expires_at.set(int(time.time()) + _KEEP_SECONDS),
                    OutboxRow.undelivered.remove(),
                ],
                condition=OutboxRow.message_id.exists() & OutboxRow.delivered_at.does_not_exist(),
            )
        except UpdateError as error:
            # Delivered before: at least once means that this is ordinary.
            if not is_unmet_condition(error):
                raise
