"""Dead letters: listed without bodies, sent again where they came from, and streams by what the records say."""

import json
import os
import time
from pathlib import Path

import pytest

from firstread.errors import NotAllowedError, NotFoundError
from firstread.operations.dead_letters import LINES, UNKNOWN, DeadLetterOffice, Replayed
from firstread.policy import Actor, Role
from firstread.records.audit import AuditTrail
from tests.support.cloud import Cloud
from tests.support.events import object_created
from tests.support.hospital import Hospital
from tests.support.operations import STEWARD, events_are_lost, file, operations


def office(actor: Actor = STEWARD) -> DeadLetterOffice:
    return operations(actor).dead_letters(os.environ)


def letter(cloud: Cloud, queue: str, body: object, group: str = "") -> None:
    more = {"MessageGroupId": group} if group else {}
    cloud.sqs.send_message(QueueUrl=cloud.url(queue), MessageBody=json.dumps(body), **more)


@pytest.mark.usefixtures("cloud")
def test_every_line_has_its_settings() -> None:
    for line in LINES:
        assert os.environ[line.dead_setting]
        assert line.kind is None or os.environ[line.queue_setting]


def test_letters_are_listed_and_stay(cloud: Cloud) -> None:
    letter(cloud, "quiet-timers-dead", {"study_uid": "2.25.1", "last_arrival": ""})
    letter(cloud, "quiet-timers-dead", {"name": "Doe^Jane"})
    letter(cloud, "deliver-dead", {"DDBStreamBatchInfo": {}})
    for _ in range(2):
        found = list(office().lying())
        assert [(each.queue, each.kind) for each in found] == [
            ("quiet timer", "QuietTimer"),
            ("quiet timer", UNKNOWN),
            ("deliver", "stream position"),
        ]
    assert "Doe" not in str(found)
    assert found[0].received > 1
    assert [each.queue for each in office().lying("deliver")] == ["deliver"]
    with pytest.raises(NotFoundError, match="quiet timer"):
        list(office().lying("nobody"))


def test_letters_go_back_as_they_were(cloud: Cloud) -> None:
    request = {"study_uid": "2.25.1", "version": 1, "model_id": "m@1", "urgent": True, "source": "ct1"}
    letter(cloud, "analyze-urgent-dead", request, group="ct1")
    letter(cloud, "result-events-dead", {"detail": {"study_uid": "2.25.1"}})
    cloud.wire.calls.clear()
    found = {each.queue: each for each in office().replay()}
    assert found["analyze urgent"] == Replayed("analyze urgent", sent=1, left=0)
    assert found["results"] == Replayed("results", sent=0, left=1)
    (sent,) = cloud.wire.sent("SendMessage")
    assert sent["MessageGroupId"] == "ct1"
    assert sent["QueueUrl"] == cloud.urls["analyze-urgent"]
    (gone,) = cloud.wire.sent("DeleteMessage")  # to be seen here only: what is in hand is hidden anyway
    assert gone["QueueUrl"] == cloud.url("analyze-urgent-dead")
    assert [json.loads(body) for body in cloud.waiting("analyze-urgent")] == [request]
    assert len(cloud.waiting("result-events-dead")) == 1
    (event,) = AuditTrail().of("queue#analyze urgent")
    assert (event["action"], event["actor"]) == ("dlq.replay", "kim")


def test_one_queue_alone(cloud: Cloud) -> None:
    for queue in ("quiet-timers-dead", "clean-pixels-dead"):
        letter(cloud, queue, {"study_uid": "2.25.1"})
    assert list(office().replay("quiet timer")) == [Replayed("quiet timer", sent=1, left=0)]
    assert len(cloud.waiting("clean-pixels-dead")) == 1


def test_what_comes_back_meanwhile_is_left(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    letter(cloud, "quiet-timers-dead", {"study_uid": "2.25.1"})

    def comes_back(operation: str, parameters: dict[str, object]) -> None:
        if operation == "SendMessage" and str(parameters["QueueUrl"]).endswith("quiet-timers"):
            monkeypatch.setattr("time.time", lambda: real() + 5)
            cloud.sqs.send_message(
                QueueUrl=cloud.url("quiet-timers-dead"), MessageBody=str(parameters["MessageBody"])
            )

    real = time.time
    cloud.wire.after = comes_back
    assert list(office().replay("quiet timer")) == [Replayed("quiet timer", sent=1, left=1)]


def test_the_stream_of_instances(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hospital = Hospital(cloud, monkeypatch)
    hospital.push(file(tmp_path))
    for delivery in hospital.arrivals():
        hospital.deliver(delivery)
    events_are_lost(hospital)
    letter(cloud, "gather-dead", {"DDBStreamBatchInfo": {}})
    assert list(office().replay("gather")) == [Replayed("gather", sent=1, left=0)]
    hospital.pump()
    assert len(hospital.studies.worklist()) == 1
    assert [each["QueueUrl"] for each in cloud.wire.sent("DeleteMessage")] == [cloud.url("gather-dead")]


def test_the_stream_of_the_outbox(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hospital = Hospital(cloud, monkeypatch)
    hospital.push(file(tmp_path))
    streams = hospital.streams
    hospital.streams = lambda: [each for each in streams() if each.step != "deliver"]  # type: ignore[method-assign]
    hospital.pump()
    letter(cloud, "deliver-dead", {"DDBStreamBatchInfo": {}})
    # the request for the metadata and the one for the analysis
    assert list(office().replay("deliver")) == [Replayed("deliver", sent=2, left=0)]
    hospital.pump()
    assert list(office().replay("deliver")) == [Replayed("deliver", sent=1, left=0)]  # the result of it
    hospital.pump()
    assert list(office().replay("deliver")) == [Replayed("deliver", sent=0, left=0)]
    assert len(cloud.rows("alerts_table")) == 1


def test_it_is_not_for_everybody(cloud: Cloud) -> None:
    letter(cloud, "arrivals-dead", object_created("incoming", "in/routine/a", "v1"))
    other = office(Actor("sam", Role.RADIOLOGIST))
    for use in (other.lying, other.replay):
        with pytest.raises(NotAllowedError):
            list(use())
    assert len(cloud.waiting("arrivals-dead")) == 1
