"""What becomes of each object of a STOW-RS request (PS3.18 10.5): kept as it came, or refused with a reason."""

from dataclasses import dataclass
from enum import IntEnum
from threading import Lock

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from firstread.arrival import Arrival, lane_of
from firstread.dicom.identify import Identifiers, identify
from firstread.errors import QuarantineError, Reason
from firstread.handling import describe, logger
from firstread.receipt import Receipt
from firstread.sources import Source
from ingest_service.door import Door
from ingest_service.parts import DICOM, Part

_SLOW_DOWN = frozenset({"SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "503"})


class Failure(IntEnum):
    """Failure Reason (0008,1197), of PS3.18 Annex I where it has one."""

    PROCESSING = 272
    NOT_AN_INSTANCE = 43264
    OTHER_STUDY = 43265
    KNOWN_CONFLICT = 45070


class Concern(IntEnum):
    """Warning Reason (0008,1196) of an object that was kept."""

    OTHER_BYTES = 273
    INCONSISTENT = 45063


@dataclass(frozen=True)
class Kept:
    """What became of one object.

    Parameters
    ----------
    number
        Of the part.
    identifiers
        None where they could not be read.
    busy
        It failed because S3 asked to slow down.
    unsupported
        The part's media type is another one.
    """

    number: int
    identifiers: Identifiers | None = None
    failure: Failure | None = None
    concern: Concern | None = None
    busy: bool = False
    unsupported: bool = False


class Request:
    """The objects of one request; may be told of several at a time.

    Parameters
    ----------
    door
        Where they go.
    source
        Who sends them.
    batch
        Name of the request.
    study_uid
        The study in the URL; "" where it names none.
    """

    def __init__(self, door: Door, source: Source, batch: str, study_uid: str = "") -> None:
        self._door, self._source, self._batch, self._study_uid = door, source, batch, study_uid
        self._lock = Lock()
        self._studies: dict[str, _Study] = {}

    @property
    def studies(self) -> dict[str, int]:
        """Return the number of different instances that were kept of each study, by its reference."""
        return {ref: len(study.accepted) for ref, study in self._studies.items() if study.accepted}

    def keep(self, part: Part) -> Kept:
        """Keep one object, or say why not; its content is closed in both cases."""
        with part.content:
            if part.media_type not in (DICOM, ""):
                return Kept(part.number, failure=Failure.NOT_AN_INSTANCE, unsupported=True)
            try:
                found = identify(part.content)
            except QuarantineError:
                return Kept(part.number, failure=Failure.NOT_AN_INSTANCE)
            except OSError as error:
                logger.warning("object not read", extra={**describe(error), "correlation_id": self._batch})
                return Kept(part.number, failure=Failure.PROCESSING)
            if self._study_uid and found.study_uid != self._study_uid:
                return Kept(part.number, found, Failure.OTHER_STUDY)
            return self._keep(part, found)

    def _keep(self, part: Part, found: Identifiers) -> Kept:
        references = self._door.references
        arrival = Arrival(
            source=self._source.name,
            batch=self._batch,
            study_ref=references.study(found.study_uid),
            sop_ref=references.instance(found.sop_uid),
            sha256=part.sha256,
        )
        study = self._of(arrival.study_ref)
        try:
            earlier = study.earlier(self._door, arrival)
            if any(_is_conflict(each) and each.sha256 == part.sha256 for each in earlier):
                return Kept(part.number, found, Failure.KNOWN_CONFLICT)
            lane = lane_of(
                urgent=self._source.urgent or found.stat,
                number=study.number(),
                backfill=self._source.backfill,
            )
            self._door.keep(part, arrival, lane)
        except (BotoCoreError, ClientError, PynamoDBException, OSError) as error:
            logger.warning("object not kept", extra={**describe(error), "correlation_id": self._batch})
            return Kept(part.number, found, Failure.PROCESSING, busy=_is_busy(error))
        study.accepted.add(arrival.sop_ref)
        if any(each.sha256 not in ("", part.sha256) for each in earlier):
            return Kept(part.number, found, concern=Concern.OTHER_BYTES)
        return Kept(part.number, found, concern=None if found.consistent else Concern.INCONSISTENT)

    def _of(self, study_ref: str) -> "_Study":
        with self._lock:
            return self._studies.setdefault(study_ref, _Study())


class _Study:
    """What is known of one study within a request."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self._lock = Lock()
        self._count = 0
        self._earlier: dict[str, list[Receipt]] | None = None

    def number(self) -> int:
        """Return the number of the next object."""
        with self._lock:
            self._count += 1
            return self._count

    def earlier(self, door: Door, arrival: Arrival) -> list[Receipt]:
        """Return earlier receipts of an instance; the study is looked up once, and no other one waits for that."""
        with self._lock:
            if self._earlier is None:
                found: dict[str, list[Receipt]] = {}
                for receipt in door.earlier(arrival.study_ref):
                    found.setdefault(receipt.sop_ref, []).append(receipt)
                self._earlier = found
            return self._earlier.get(arrival.sop_ref, [])


def _is_conflict(receipt: Receipt) -> bool:
    # One that was given up may come again: its bytes are gone.
    return receipt.reason == Reason.CONFLICT and not receipt.discarded_at


def _is_busy(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _SLOW_DOWN
