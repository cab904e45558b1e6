"""What a spool holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Kind(StrEnum):
    """What an item is; also the suffix of its file."""

    OBJECT = "dcm"
    FEED = "hl7"


@dataclass(frozen=True)
class Identifiers:
    """What the gateway knows of an object.

    Parameters
    ----------
    sop_class, sop_uid, study_uid
        As they stand in the dataset; "" for a message of a feed.
    urgent
        Its tags or its source say STAT.
    """

    sop_class: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    urgent: bool = False


@dataclass(frozen=True)
class Item:
    """An object or message that waits.

    Parameters
    ----------
    id
        In the order of arrival.
    path
        Its file.
    source, batch
        Who sent it, and with what.
    number
        Counts different instances from 1 within its study and batch; 0 for a message.
    size, sha256
        Of the file.
    """

    id: int
    kind: Kind
    path: Path
    source: str
    batch: str
    about: Identifiers
    number: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Batch:
    """An association that was released and whose objects have all left the spool.

    Parameters
    ----------
    studies
        Number of different instances by Study Instance UID.
    """

    batch: str
    source: str
    studies: Mapping[str, int]


class Commitment(NamedTuple):
    """A request for storage commitment that waits for its answer.

    Parameters
    ----------
    ae_title
        Who asked.
    instances
        JSON list of pairs of SOP class and SOP instance UID.
    asked
        When, in seconds since the epoch.
    """

    id: int
    transaction_uid: str
    source: str
    ae_title: str
    instances: str
    asked: float
