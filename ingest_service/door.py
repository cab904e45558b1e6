"""Writes what has come through here: the object first, its receipt then."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from botocore.exceptions import ClientError

from firstread.arrival import Arrival, Lane
from firstread.clock import to_text
from firstread.receipt import Receipt
from firstread.records.instances import LedgerRepository
from firstread.refs import References
from firstread.storage import Bucket, checksum_of, feed_key, incoming_key
from ingest_service.parts import Part

_LOOKED_UP = 1000
_TRIES = 3
_WRITTEN_BEFORE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True)
class Door:
    """Where objects go, and how they are named.

    Parameters
    ----------
    incoming
        The bucket; only written to.
    ledger
        Where receipts go.
    references
        Of original UIDs.
    clock
        Says what time it is.
    """

    incoming: Bucket
    ledger: LedgerRepository
    references: References
    clock: Callable[[], datetime]

    def keep(self, part: Part, arrival: Arrival, lane: Lane) -> Receipt:
        """Keep an object, and return its receipt."""
        return self._write(lambda: incoming_key(lane), part.content, part.size, arrival)

    def earlier(self, study_ref: str) -> list[Receipt]:
        """Return receipts of what came of a study before: one page of them, so that no request reads all there are.

        A sender of one instance per request would else read more with each: together the square of what it sends.
        """
        return self.ledger.of_study_ref(study_ref, limit=_LOOKED_UP)

    def keep_message(self, message: bytes, sha256: str, source: str, batch: str) -> None:
        """Keep a message of a feed."""
        arrival = Arrival(source=source, batch=batch, sha256=sha256)
        self._write(feed_key, io.BytesIO(message), len(message), arrival)

    def _write(self, new_key: Callable[[], str], content: IO[bytes], size: int, arrival: Arrival) -> Receipt:
        received_at = to_text(self.clock())
        key, version_id = self._put(new_key, content, arrival)
        # After the object: a receipt without an object would be pending for ever, while an object without a
        # receipt gets one from its event.
        return self.ledger.hand_in(
            Receipt(
                object_key=key,
                version_id=version_id,
                received_at=received_at,
                size=size,
                **arrival.model_dump(),
            )
        )

    def _put(self, new_key: Callable[[], str], content: IO[bytes], arrival: Arrival) -> tuple[str, str]:
        checksum, metadata = checksum_of(arrival.sha256), arrival.metadata()
        for left in reversed(range(_TRIES)):
            key = new_key()
            content.seek(0)
            try:
                version_id = self.incoming.put_once(
                    key, content, "application/octet-stream", sha256=checksum, metadata=metadata
                )
                break
            except ClientError as error:
                # A key made a moment ago exists only where an answer was lost and the SDK has tried again. Which
                # version that was nobody here may ask, so the object is written anew; the first one is a duplicate.
                if not left or error.response["Error"]["Code"] not in _WRITTEN_BEFORE:
                    raise
        return key, version_id
