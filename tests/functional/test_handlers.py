"""Each handler with events as AWS delivers them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from firstread.handling import Event
from firstread.messages import (
    AlertLook,
    AnalyzeRequest,
    CleanPixelsRequest,
    DescribeSeriesRequest,
    QuietTimer,
    ResultRecorded,
)
from functions.alert import handler as alert
from functions.clean_pixels import handler as clean_pixels
from functions.complete_study import handler as complete_study
from functions.deidentify import handler as deidentify
from functions.deliver import handler as deliver
from functions.describe_series import handler as describe_series
from functions.escalate import handler as escalate
from functions.gather import handler as gather
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.events import CONTEXT
from tests.support.hospital import Hospital
from tests.support.records import STUDY, T1

PIXELS = CleanPixelsRequest(object_key="in/0", version_id="1", received_at=T1).model_dump(mode="json")
TIMER = QuietTimer(study_uid=STUDY, last_arrival=T1).model_dump(mode="json")
LOOK = AlertLook(alert_id="a1", level=1).model_dump(mode="json")
RESULT = events.result_recorded({"study_uid": STUDY, "version": 1, "result_id": "r"})


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def failed(answer: Mapping[str, Any]) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


@pytest.mark.parametrize(
    ("handle", "good"),
    [
        (deidentify.handle, events.golden("object_created")),
        (clean_pixels.handle, PIXELS),
        (complete_study.handle, TIMER),
        (alert.handle, RESULT),
        (escalate.handle, LOOK),
    ],
    ids=["deidentify", "clean_pixels", "complete_study", "alert", "escalate"],
)
@pytest.mark.parametrize("bad", ["", "{", "[]", '{"study_uid": 1}', '{"detail": {"bucket": {}}}'])
def test_a_poisoned_body_fails_alone(
    hospital: Hospital, handle: Callable[..., Mapping[str, Any]], good: Event, bad: str
) -> None:
    assert hospital.failures == []
    batch = events.sqs(good, bad, good)
    assert failed(handle(batch, CONTEXT)) == [batch["Records"][1]["messageId"]]
    assert failed(handle(events.sqs(bad), CONTEXT)) != []


@pytest.mark.usefixtures("hospital")
def test_a_message_with_a_field_too_many_is_seen() -> None:
    assert failed(complete_study.handle(events.sqs(TIMER | {"name": "x"}), CONTEXT)) != []
    assert failed(complete_study.handle(events.sqs(TIMER), CONTEXT)) == []


def test_a_poisoned_file_does_not_stop_the_batch(hospital: Hospital) -> None:
    hospital.put(b"junk" * 100)
    hospital.put(encode(header()))
    records = [record for each in hospital.arrivals() for record in each.event["Records"]]
    assert failed(deidentify.handle({"Records": records}, CONTEXT)) == []
    outcomes = [row["outcome"]["S"] for row in hospital.cloud.rows("ledger_table")]
    assert sorted(outcomes) == ["quarantined", "stored"]


def test_an_outage_gives_the_record_back_and_not_the_file_to_quarantine(hospital: Hospital) -> None:
    hospital.put(encode(header()))
    (delivery,) = hospital.arrivals()

    def before(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "BatchGetItem" and "vault" in parameters["RequestItems"]:
            raise ConnectionError

    deidentify.bootstrap()
    hospital.cloud.wire.before = before
    assert failed(deidentify.handle(delivery.event, CONTEXT)) != []
    hospital.cloud.wire.before = lambda _operation, _parameters: None
    assert [row["outcome"]["S"] for row in hospital.cloud.rows("ledger_table")] == ["pending"]
    hospital.deliver(delivery)
    assert [row["outcome"]["S"] for row in hospital.cloud.rows("ledger_table")] == ["stored"]


def test_a_ct_of_many_records_is_looked_at_once_per_batch(hospital: Hospital) -> None:
    for number in range(5):
        hospital.put(encode(header(SOPInstanceUID=f"1.2.3.{number}")))
    for delivery in hospital.arrivals():
        hospital.deliver(delivery)
    records = [record for each in hospital.streams() for record in each.event["Records"]]
    hospital.cloud.wire.calls.clear()
    assert failed(gather.handle({"Records": records}, CONTEXT)) == []
    assert len(hospital.cloud.wire.sent("SendMessage")) == 1
    (study,) = hospital.studies.worklist()
    assert study.gathering.stored_count == 5


@pytest.mark.usefixtures("hospital")
def test_a_study_without_instances_is_nobodys() -> None:
    keys = {"study_uid": {"S": "2.25.404"}, "sop_uid": {"S": "2.25.405"}}
    assert failed(gather.handle(events.stream((keys, keys), name="REMOVE"), CONTEXT)) == []


def outbox_row(kind: str, body: str) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = {"message_id": {"S": "m"}}
    return keys, keys | {"kind": {"S": kind}, "body": {"S": body}, "created_at": {"S": T1}}


def test_outbox_rows_go_to_their_queue_or_bus_and_only_when_new(hospital: Hospital) -> None:
    request = AnalyzeRequest(study_uid=STUDY, version=1, model_id="m@1").model_dump_json()
    recorded = ResultRecorded(study_uid=STUDY, version=1, result_id="r").model_dump_json()
    described = DescribeSeriesRequest(
        study_uid=STUDY, version=1, completed_at=T1, source="ct1"
    ).model_dump_json()
    rows = (
        outbox_row("AnalyzeRequest", request),
        outbox_row("ResultRecorded", recorded),
        outbox_row("DescribeSeriesRequest", described),
    )
    assert failed(deliver.handle(events.stream(*rows), CONTEXT)) == []
    assert failed(deliver.handle(events.stream(*rows, name="MODIFY"), CONTEXT)) == []
    assert hospital.cloud.waiting("analyze") == [request]
    assert hospital.cloud.waiting("describe-series") == [described]
    assert [each.get("MessageGroupId") for each in hospital.cloud.wire.sent("SendMessage")] == [None, "ct1"]
    assert len(hospital.cloud.wire.sent("PutEvents")) == 1


def test_an_outbox_row_that_nobody_wrote_fails_alone(hospital: Hospital) -> None:
    request = AnalyzeRequest(study_uid=STUDY, version=1, model_id="m@1").model_dump_json()
    bad = outbox_row("Unknown", "{}")
    batch = events.stream(outbox_row("AnalyzeRequest", request), bad)
    assert failed(deliver.handle(batch, CONTEXT)) == [batch["Records"][1]["dynamodb"]["SequenceNumber"]]
    assert hospital.cloud.waiting("analyze") == [request]


@pytest.mark.parametrize(
    "module", [deidentify, clean_pixels, gather, complete_study, deliver, describe_series, alert, escalate]
)
def test_a_missing_setting_fails_the_start(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    for name in list(module.Settings.model_fields):
        monkeypatch.delenv(f"FIRSTREAD_{name.upper()}", raising=False)
    with pytest.raises(ValueError, match="Field required"):
        module.bootstrap()
