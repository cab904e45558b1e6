"""An empty account in this process, with everything that the way of a study needs."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3

from firstread.records.tables import TABLES, bind
from tests.support import aws
from tests.support.snapshot import Snapshot
from tests.support.wire import Wire, listening

BUCKETS = ("incoming", "studies", "results", "models", "audit")
QUEUES = (
    "arrivals-urgent",
    "arrivals",
    "arrivals-bulk",
    "feeds",
    "hints",
    "clean-pixels",
    "quiet-timers",
    "describe-series",
    "analyze-urgent",
    "analyze",
    "result-events",
    "escalations",
    "alert-subscriber",
)
SETTINGS = {
    "INGEST_URGENT": "arrivals-urgent",
    "INGEST": "arrivals",
    "INGEST_BULK": "arrivals-bulk",
    "FEEDS": "feeds",
    "HINTS": "hints",
    "CLEAN_PIXELS": "clean-pixels",
    "QUIET_TIMER": "quiet-timers",
    "DESCRIBE_SERIES": "describe-series",
    "ANALYZE_URGENT": "analyze-urgent",
    "ANALYZE": "analyze",
    "RESULTS": "result-events",
    "ESCALATIONS": "escalations",
}
"""Setting, without ``_QUEUE_URL`` and ``_DLQ_URL``, of each queue."""
STREAMS = ("gather", "deliver")
LINKS = "https://portal.example"


class Names:
    """Binds every table under the name of its setting."""

    def __init__(self) -> None:
        for name in TABLES:
            setattr(self, name, name)


class Cloud:
    """The account, made anew.

    Attributes
    ----------
    wire
        What was sent to it.
    """

    wire: Wire

    def __init__(self) -> None:
        self.s3: Any = boto3.client("s3")
        self.dynamodb: Any = boto3.client("dynamodb")
        self.sqs: Any = boto3.client("sqs")
        self.sns: Any = boto3.client("sns")
        self.events: Any = boto3.client("events")
        self.kms: Any = boto3.client("kms")
        for bucket in BUCKETS:
            self.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=bucket == "audit")
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        bind(Names())
        aws.create_tables()
        self.dynamodb.create_table(
            TableName="vault",
            KeySchema=[{"AttributeName": "lookup", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "lookup", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.key_id: str = self.kms.create_key()["KeyMetadata"]["KeyId"]
        mac = self.kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        self.reference_key_id: str = mac["KeyMetadata"]["KeyId"]
        self._dead: dict[str, str] = {}
        self.urls = {name: self._queue(name) for name in QUEUES}
        for name in STREAMS:
            self._dead_letters(name)
        self.topic: str = self.sns.create_topic(Name="alerts")["TopicArn"]
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self._arn("alert-subscriber"))
        self.scheduler: Any = boto3.client("scheduler")
        self.scheduler.create_schedule_group(Name="deadlines")
        self.events.create_event_bus(Name="firstread")

    def _queue(self, name: str) -> str:
        self._dead_letters(name)
        redrive = {"deadLetterTargetArn": self._arn(f"{name}-dead"), "maxReceiveCount": 3}
        attributes = {"RedrivePolicy": json.dumps(redrive)}
        url: str = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def _dead_letters(self, name: str) -> None:
        queue = f"{name}-dead"
        self._dead[queue] = self.sqs.create_queue(QueueName=queue)["QueueUrl"]

    def url(self, queue: str) -> str:
        """Return the URL of a queue, or of a dead-letter queue."""
        return self.urls.get(queue) or self._dead[queue]

    def _arn(self, queue: str) -> str:
        return f"arn:aws:sqs:us-east-1:123456789012:{queue}"

    def environment(self) -> dict[str, str]:
        """Return the settings of every program in this account."""
        return {
            **{f"FIRSTREAD_{name.upper()}": name for name in TABLES},
            **{f"FIRSTREAD_{bucket.upper()}_BUCKET": bucket for bucket in BUCKETS},
            "FIRSTREAD_VAULT": "dynamodb",
            "FIRSTREAD_VAULT_TABLE": "vault",
            "FIRSTREAD_VAULT_KEY_ID": self.key_id,
            **{f"FIRSTREAD_{name}_QUEUE_URL": self.urls[queue] for name, queue in SETTINGS.items()},
            **{f"FIRSTREAD_{name}_DLQ_URL": self.url(f"{queue}-dead") for name, queue in SETTINGS.items()},
            **{f"FIRSTREAD_{name.upper()}_DLQ_URL": self.url(f"{name}-dead") for name in STREAMS},
            "FIRSTREAD_REFERENCE_KEY_ID": self.reference_key_id,
            "FIRSTREAD_COMPLETENESS": '{"quiet_seconds": {"*": 60, "CT": 2000}, "max_seconds": 7200}',
            "FIRSTREAD_ALERTING": '{"closes": "22:00"}',
            "FIRSTREAD_ESCALATIONS_QUEUE_ARN": self._arn("escalations"),
            "FIRSTREAD_ESCALATIONS_DLQ_ARN": self._arn("escalations-dead"),
            "FIRSTREAD_ESCALATION_SCHEDULE_GROUP": "deadlines",
            "FIRSTREAD_ESCALATION_SCHEDULE_ROLE_ARN": "arn:aws:iam::123456789012:role/deadlines",
            "FIRSTREAD_EVENT_BUS": "firstread",
            "FIRSTREAD_ALERT_TOPIC_ARN": self.topic,
            "FIRSTREAD_PORTAL_URL": LINKS,
        }

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row of a table, as DynamoDB JSON, in order of its keys."""
        found: list[dict[str, Any]] = []
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=table):
            found += page["Items"]
        return sorted(found, key=lambda row: json.dumps(row, sort_keys=True, default=str))

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return every object of a bucket."""
        listed = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {
            entry["Key"]: self.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            for entry in listed
        }

    def waiting(self, queue: str) -> list[str]:
        """Receive and delete every message of a queue, and return the bodies."""
        url = self.url(queue)
        bodies: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


@cache
def _empty() -> tuple[Cloud, Snapshot]:
    """Make an account; once in a process, as it takes longer than most tests."""
    return Cloud(), Snapshot.take()


@contextmanager
def account() -> Iterator[Cloud]:
    """Give an empty account."""
    with aws.account(), listening() as wire:
        made, snapshot = _empty()
        snapshot.restore()
        bind(Names())
        wire.calls.clear()
        cloud = copy.copy(made)
        cloud.wire = wire
        yield cloud
