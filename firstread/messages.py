"""Every event and queue message that FirstRead sends or receives.

Messages carry identifiers of records, never patient data. All are frozen; an unknown field is an error, so that
a poisoned message is seen and ends in its dead-letter queue.
"""

from pydantic import BaseModel, ConfigDict, Field

SOURCE = "firstread"
"""EventBridge source of FirstRead's own events."""
TRIES = 3
"""How often a message is received (maxReceiveCount) before it goes to the dead-letter queue."""


class Message(BaseModel):
    """Base of FirstRead's own messages.

    Parameters
    ----------
    correlation_id
        Joins the log lines of one study's way, from the door to the alert: the batch that brought its first object.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    correlation_id: str = Field("", pattern=r"^[A-Za-z0-9-]{0,64}$")


class BatchEnded(Message):
    """A door's completeness hint: this batch is over, and so many objects of each study are safe in S3.

    Parameters
    ----------
    source, batch
        As in `firstread.arrival.Arrival`.
    studies
        Reference of each study -> number of different SOP instances that the batch brought of it.
    ended_at
        When the request or association ended (`firstread.clock` text).
    """

    source: str
    batch: str
    studies: dict[str, int]
    ended_at: str


class CleanPixelsRequest(Message):
    """Asks `clean_pixels` to look at the pixels of an object that arrived, and to take it to its outcome."""

    object_key: str
    version_id: str
    received_at: str


class QuietTimer(Message):
    """Asks `complete_study` to look at a study.

    Parameters
    ----------
    last_arrival
        The look is needed only if nothing was recorded since: a later arrival has a timer of its own. "" asks for a
        look in any case.
    """

    study_uid: str
    last_arrival: str = ""


class AnalyzeRequest(Message):
    """Asks the model service for one model's result on one study version.

    Parameters
    ----------
    urgent
        Whether it goes to the urgent queue.
    source
        The sender, among whom the queue is fair (SQS fair queues).
    """

    study_uid: str
    version: int = Field(ge=1)
    model_id: str
    urgent: bool = False
    source: str = ""


class DescribeSeriesRequest(Message):
    """Asks `describe_series` for the metadata of the series of a study version.

    Parameters
    ----------
    completed_at
        When the version was closed (`firstread.clock` text).
    source
        The sender, among whom the queue is fair (SQS fair queues).
    """

    study_uid: str
    version: int = Field(ge=1)
    completed_at: str
    source: str = ""


class ResultRecorded(Message):
    """Says that a model's result on a study version, or its failure, has been recorded."""

    study_uid: str
    version: int = Field(ge=1)
    result_id: str


class AlertLook(Message):
    """Asks `escalate` to look at an alert: a deadline is over, or its study has been dealt with.

    Parameters
    ----------
    level
        The level to be called if nobody has acknowledged; 0 asks only whether the alert is still needed.
    """

    alert_id: str
    level: int = Field(0, ge=0)


class AlertNotice(Message):
    """What a subscriber of the alert topic receives: an opaque link and no patient data.

    Parameters
    ----------
    group, level
        Who is called, and at which level of escalation: 0 for the first call.
    """

    alert_id: str
    risk: str
    model: str
    simulated: bool
    group: str = ""
    level: int = Field(0, ge=0)
    link: str
    notice: str = "Research use only. Unconfirmed finding of an AI model."


class _External(BaseModel):
    """Base of events made by AWS, which may gain fields."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")


class S3Bucket(_External):
    """Bucket part of an S3 event."""

    name: str


class S3Object(_External):
    """Object part of an S3 event by EventBridge; `key` is the raw key (not form-encoded)."""

    key: str
    size: int = 0
    version_id: str | None = Field(None, alias="version-id")


class S3Detail(_External):
    """Detail of an S3 ``Object Created`` event."""

    bucket: S3Bucket
    object: S3Object


class ObjectCreated(_External):
    """An S3 ``Object Created`` event as EventBridge delivers it to a queue."""

    time: str
    detail: S3Detail


def object_created(bucket: str, key: str, version_id: str, size: int, at: str) -> ObjectCreated:
    """Return the event of an object that arrived, to send it to its queue once more.

    Parameters
    ----------
    bucket, key, version_id, size
        The object.
    at
        When it arrived (`firstread.clock` text); the time of the receipt, where it has none.
    """
    stored = {"key": key, "size": size, "version-id": version_id}
    return ObjectCreated.model_validate(
        {"time": at, "detail": {"bucket": {"name": bucket}, "object": stored}}
    )


class ResultRecordedEvent(_External):
    """`ResultRecorded` as EventBridge delivers it to a queue."""

    detail: ResultRecorded
