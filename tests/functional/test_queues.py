"""How messages leave."""

import json

import pytest
from botocore.exceptions import ClientError

from firstread.errors import TransientError
from firstread.messages import AlertNotice, QuietTimer, ResultRecorded
from firstread.queues import MAX_DELAY_SECONDS, EventBus, Queue, Topic
from functions.complete_study import handler as complete_study
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.records import STUDY, T1

TIMER = QuietTimer(study_uid=STUDY, last_arrival=T1)


@pytest.mark.parametrize("delay", [-1, MAX_DELAY_SECONDS + 1, 43_200])
def test_a_delay_that_sqs_refuses_is_refused_here(cloud: Cloud, delay: int) -> None:
    with pytest.raises(ValueError, match="900"):
        Queue(cloud.urls["quiet-timers"]).send(TIMER, delay_seconds=delay)
    assert cloud.wire.calls == []


@pytest.mark.parametrize("delay", [0, MAX_DELAY_SECONDS])
def test_a_delay_that_sqs_takes_is_passed_on(cloud: Cloud, delay: int) -> None:
    Queue(cloud.urls["quiet-timers"]).send(TIMER, delay_seconds=delay)
    (call,) = cloud.wire.sent("SendMessage")
    assert call["DelaySeconds"] == delay
    assert QuietTimer.model_validate_json(call["MessageBody"]) == TIMER


def test_an_event_carries_its_name_and_source(cloud: Cloud) -> None:
    message = ResultRecorded(study_uid=STUDY, version=1, result_id="r")
    EventBus("firstread").put(message)
    (entry,) = cloud.wire.sent("PutEvents")[0]["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("firstread", "ResultRecorded")
    assert ResultRecorded.model_validate_json(entry["Detail"]) == message


def test_an_event_that_the_bus_did_not_take_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def put_events(self, Entries: object) -> dict[str, int]:  # noqa: N803 - boto3's
            assert Entries
            return {"FailedEntryCount": 1}

    monkeypatch.setattr("firstread.queues._events", Full)
    with pytest.raises(TransientError):
        EventBus("firstread").put(ResultRecorded(study_uid=STUDY, version=1, result_id="r"))


def test_a_subscriber_receives_the_notice_and_its_subject(cloud: Cloud) -> None:
    notice = AlertNotice(
        alert_id="a", risk="high", model="m@1", simulated=True, link="https://portal.example/alerts/a"
    )
    Topic(cloud.topic).publish(notice, "subject", "for people", {"group": "on-call", "level": 1})
    (body,) = cloud.waiting("alert-subscriber")
    envelope = json.loads(body)
    assert envelope["Subject"] == "subject"
    assert AlertNotice.model_validate_json(envelope["Message"]) == notice


def test_a_queue_that_is_gone_is_an_error(cloud: Cloud) -> None:
    with pytest.raises(ClientError):
        Queue(cloud.urls["analyze"] + "-gone").send(TIMER)


def test_a_message_that_failed_is_shown_again_after_a_pause(cloud: Cloud) -> None:
    url = cloud.urls["quiet-timers"]
    cloud.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1800"})
    cloud.sqs.send_message(QueueUrl=url, MessageBody="not a timer")
    (message,) = cloud.sqs.receive_message(QueueUrl=url)["Messages"]
    event = events.sqs("not a timer")
    event["Records"][0] |= {
        "receiptHandle": message["ReceiptHandle"],
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:quiet-timers",
    }
    assert complete_study.handle(event, events.CONTEXT)["batchItemFailures"]
    (changed,) = cloud.wire.sent("ChangeMessageVisibility")
    assert (changed["QueueUrl"].rsplit("/", 1)[-1], changed["VisibilityTimeout"]) == ("quiet-timers", 10)
