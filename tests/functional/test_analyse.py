"""The model service: one recorded result per request, and a worker that loses no message."""

import io
import json
import logging
import threading
import time
from typing import Any

import pytest

from firstread.errors import NotFoundError
from firstread.imaging.pixels import PixelError, PixelReason
from firstread.messages import AnalyzeRequest
from firstread.result import ResultStatus
from firstread.routing import ModelState
from firstread.study import Risk, Study
from model_service import inbox as inbox_module
from model_service import inputs as inputs_module
from model_service import log
from model_service import worker as worker_module
from model_service.analyse import UnknownModelError
from model_service.inbox import Inbox
from model_service.registry import bundles, registration
from model_service.worker import LAST_TRY, Worker
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.emf import lines
from tests.support.hospital import Hospital

pytestmark = pytest.mark.usefixtures("inboxes_end")


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """A hospital with one study that waits for its analysis."""
    made = Hospital(cloud, monkeypatch)
    made.put(encode(header()))
    original = made.deliver
    made.deliver = lambda delivery: None if delivery.step == "analyse" else original(delivery)  # type: ignore[method-assign, assignment, return-value]
    made.pump()
    made.deliver = original  # type: ignore[method-assign]
    return made


def waiting(hospital: Hospital) -> Study:
    (study,) = hospital.studies.worklist()
    return study


def request(hospital: Hospital, version: int = 1, model: str = "") -> AnalyzeRequest:
    return AnalyzeRequest(
        study_uid=waiting(hospital).study_uid, version=version, model_id=model or hospital.model_id
    )


def test_a_result_is_recorded_once_and_the_model_is_asked_once(hospital: Hospital) -> None:
    first = hospital.analyse.request(request(hospital))
    assert first is not None and first.risk is Risk.HIGH and first.status is ResultStatus.DONE
    assert hospital.analyse.request(request(hospital)) is None
    assert hospital.new_analyse().request(request(hospital)) is None
    assert hospital.model.seen == 1
    assert hospital.results.of_version(first.study_uid, 1) == [first]


def test_a_version_that_is_no_longer_current_is_not_analysed(hospital: Hospital) -> None:
    old = request(hospital)
    hospital.studies.change(old.study_uid, lambda study: study and study.model_copy(update={"version": 2}))
    assert hospital.analyse.request(old) is None
    assert hospital.analyse.give_up(old) is None
    assert hospital.model.seen == 0
    assert hospital.cloud.rows("results_table") == []


def test_an_unknown_study_or_model_is_an_error(hospital: Hospital) -> None:
    with pytest.raises(UnknownModelError):
        hospital.analyse.request(request(hospital, model="other@1"))
    with pytest.raises(NotFoundError):
        hospital.analyse.request(request(hospital, version=7))


def test_pixels_that_cannot_be_read_are_a_failed_result_with_its_reason(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_arguments: object, **_options: object) -> None:
        raise PixelError(PixelReason.NOT_DECODED)

    monkeypatch.setattr(inputs_module, "grayscale", unreadable)
    found = hospital.analyse.request(request(hospital))
    assert found is not None
    assert (found.status, found.reason, found.findings) == (ResultStatus.FAILED, "not_decoded", ())
    assert found.risk is Risk.UNKNOWN


def test_a_version_without_an_image_for_the_model_is_failed_and_not_called_done(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing = hospital.model.manifest.routing.model_copy(update={"modalities": ("MG",)})
    changed = hospital.model.manifest.model_copy(update={"routing": routing})
    monkeypatch.setattr(hospital.model, "manifest", changed)
    found = hospital.analyse.request(request(hospital))
    assert found is not None
    assert (found.status, found.reason) == (ResultStatus.FAILED, "no_matching_instance")


def test_an_instance_of_the_next_version_is_left_to_it(hospital: Hospital) -> None:
    hospital.put(encode(header(SOPInstanceUID="1.2.3.9")))
    for delivery in hospital.arrivals():
        hospital.deliver(delivery)
    found = hospital.analyse.request(request(hospital))
    assert found is not None and len(found.findings) == 1


def test_the_registration_routes_as_the_bundle_says() -> None:
    for model_id, folder in bundles().items():
        made = registration(folder)
        assert made.model_id == model_id and made.state is ModelState.ON
        assert made.rule.modalities
        assert made == registration(folder)


def inbox(hospital: Hospital) -> Inbox:
    return Inbox(hospital.cloud.urls["analyze-urgent"], hospital.cloud.urls["analyze"], worker_module.meter)


def worker(hospital: Hospital) -> Worker:
    return Worker(inbox(hospital), hospital.analyse)


def send(hospital: Hospital, body: str) -> None:
    hospital.cloud.waiting("analyze")
    hospital.cloud.sqs.send_message(QueueUrl=hospital.cloud.urls["analyze"], MessageBody=body)


def dead(hospital: Hospital) -> list[str]:
    return hospital.cloud.waiting("analyze-dead")


def test_a_request_is_worked_on_and_its_message_deleted(hospital: Hospital) -> None:
    send(hospital, request(hospital).model_dump_json())
    assert worker(hospital).poll(0) == 1
    assert len(hospital.cloud.rows("results_table")) == 1
    assert worker(hospital).poll(0) == 0
    assert dead(hospital) == []


def test_the_worker_s_lines_and_event_carry_the_correlation_id_and_it_measures(
    hospital: Hospital, capfd: pytest.CaptureFixture[str]
) -> None:
    send(hospital, request(hospital).model_copy(update={"correlation_id": "b7f3"}).model_dump_json())
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(log.logger.registered_formatter)
    log.logger._logger.addHandler(handler)
    worker(hospital).poll(0)
    log.logger._logger.removeHandler(handler)
    found_lines = [json.loads(each) for each in target.getvalue().splitlines()]
    assert found_lines[-1]["message"] == "result recorded"
    assert {line["correlation_id"] for line in found_lines} == {"b7f3"}
    (row,) = [each for each in hospital.cloud.rows("outbox_table") if each["kind"]["S"] == "ResultRecorded"]
    assert json.loads(row["body"]["S"])["correlation_id"] == "b7f3"
    found = {name: line for line in lines(capfd.readouterr().out) for name in line.values}
    assert found["OldestMessageSeconds"].dimensions == {"service": "model_service"}
    assert found["StageSeconds"].dimensions == {"service": "model_service", "stage": "complete_to_result"}


@pytest.mark.parametrize("body", ["", "{}", "not json", '{"study_uid": "x", "version": 0, "model_id": "m"}'])
def test_a_poisoned_message_ends_in_the_dead_letter_queue(hospital: Hospital, body: str) -> None:
    if not body:
        body = " "
    send(hospital, body)
    polls = [worker(hospital).poll(0) for _ in range(LAST_TRY + 1)]
    assert polls == [1] * LAST_TRY + [0]
    assert dead(hospital) == [body]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_PAUSES", (0, 0))


@pytest.mark.usefixtures("no_pauses")
def test_a_model_that_always_fails_is_given_up_and_the_study_says_so(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_image: object) -> None:
        raise RuntimeError("Quimby")

    monkeypatch.setattr(hospital.model, "predict", broken)
    body = request(hospital).model_dump_json()
    send(hospital, body)
    for number in range(LAST_TRY):
        assert len(hospital.cloud.rows("results_table")) == 0, number
        assert worker(hospital).poll(0) == 1
    (found,) = hospital.results.of_version(waiting(hospital).study_uid, 1)
    assert (found.status, found.reason) == (ResultStatus.FAILED, "unexpected_error")
    assert worker(hospital).poll(0) == 0
    assert dead(hospital) == [body]
    hospital.pump()
    assert (waiting(hospital).status, waiting(hospital).risk) == ("failed", Risk.UNKNOWN)


@pytest.mark.usefixtures("no_pauses")
def test_a_request_for_a_study_that_is_not_there_ends_in_the_dead_letter_queue(hospital: Hospital) -> None:
    body = AnalyzeRequest(study_uid="2.25.404", version=1, model_id=hospital.model_id).model_dump_json()
    send(hospital, body)
    for _ in range(LAST_TRY + 1):
        worker(hospital).poll(0)
    assert dead(hospital) == [body]


class FakeQueue:
    """Gives one message and keeps what is done with it."""

    def __init__(self, body: str, tries: int = 1) -> None:
        self.message: dict[str, Any] = {
            "Body": body,
            "ReceiptHandle": "handle",
            "Attributes": {"ApproximateReceiveCount": str(tries)},
        }
        self.timeouts: list[int] = []
        self.deleted = 0
        self.failing = 0
        self.given, self.most = 0, 1

    def receive_message(self, **_options: object) -> dict[str, Any]:
        if self.given >= self.most:
            time.sleep(0.01)
            return {}
        self.given += 1
        return {"Messages": [self.message]}

    def change_message_visibility(self, *, VisibilityTimeout: int, **_options: object) -> None:  # noqa: N803
        self.timeouts.append(VisibilityTimeout)
        if self.failing:
            self.failing -= 1
            raise ConnectionError

    def delete_message(self, **_options: object) -> None:
        self.deleted += 1


def faked(hospital: Hospital, tries: int = 1) -> tuple[Worker, FakeQueue]:
    made, queue = worker(hospital), FakeQueue(request(hospital).model_dump_json(), tries)
    made._inbox._sqs = queue  # type: ignore[assignment]
    return made, queue


def test_a_worker_that_is_told_to_stop_hands_its_message_back(hospital: Hospital) -> None:
    made, queue = faked(hospital)
    made.stop()
    made.poll(0)
    assert (queue.timeouts, queue.deleted, hospital.model.seen) == ([0], 0, 0)


def test_the_last_try_is_made_even_then(hospital: Hospital) -> None:
    made, queue = faked(hospital, tries=LAST_TRY)
    made.stop()
    made.poll(0)
    assert (queue.timeouts, queue.deleted, hospital.model.seen) == ([], 1, 1)


def test_a_message_is_kept_while_the_model_works_though_the_queue_stumbles(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "_VISIBILITY_SECONDS", 0.06)
    made, queue = faked(hospital)
    queue.failing = 2
    predict = hospital.model.predict

    def slowly(image: Any) -> Any:  # noqa: ANN401 - as the model
        deadline = time.monotonic() + 60
        while len(queue.timeouts) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        return predict(image)

    monkeypatch.setattr(hospital.model, "predict", slowly)
    made.poll(0)
    assert len(queue.timeouts) >= 4 and queue.deleted == 1
    assert all(
        thread.name == "MainThread" or not thread.name.startswith("Thread-extend")
        for thread in threading.enumerate()
    )
