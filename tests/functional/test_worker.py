"""The worker's pipeline: batches, signals, crashes at every stage, two at once; one result each, none lost."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from firstread.messages import AnalyzeRequest
from firstread.records.models import ModelRepository
from firstread.result import Result, ResultStatus
from firstread.routing import ModelRole, ModelState
from firstread.study import AnalysisStatus, Risk
from model_service import inbox as inbox_module
from model_service import running
from model_service import worker as worker_module
from model_service.inbox import Held, Inbox
from model_service.manifest import Recognition
from model_service.models import Models
from model_service.prediction import Classified
from model_service.worker import LAST_TRY, Worker
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.hospital import BUNDLE, Hospital, StubModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inboxes_end")]


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """A hospital with three studies that wait for their analysis, each one asked for twice."""
    made = Hospital(cloud, monkeypatch)
    for number in range(3):
        uids = {
            name: f"1.2.{number}.{name[:2].encode().hex()}"
            for name in ("StudyInstanceUID", "SeriesInstanceUID")
        }
        made.put(encode(header(SOPInstanceUID=f"1.2.3.{number}", **uids)))
    original = made.deliver
    made.deliver = lambda each: None if each.step == "analyse" else original(each)  # type: ignore[method-assign, assignment, return-value]
    made.pump()
    made.deliver = original  # type: ignore[method-assign]
    cloud.waiting("analyze")
    for study in made.studies.worklist():
        for _ in range(2):
            send(made, study.study_uid)
    return made


def send(hospital: Hospital, study_uid: str, urgent: bool = False) -> None:
    body = AnalyzeRequest(study_uid=study_uid, version=1, model_id=hospital.model_id, urgent=urgent)
    url = hospital.cloud.urls["analyze-urgent" if urgent else "analyze"]
    hospital.cloud.sqs.send_message(QueueUrl=url, MessageBody=body.model_dump_json())


def new_worker(hospital: Hospital, **options: Any) -> Worker:  # noqa: ANN401 - as Worker takes them
    inbox = Inbox(hospital.cloud.urls["analyze-urgent"], hospital.cloud.urls["analyze"], worker_module.meter)
    return Worker(inbox, hospital.new_analyse(), **options)


def results(hospital: Hospital) -> list[Result]:
    return [
        each
        for study in hospital.studies.worklist()
        for each in hospital.results.of_version(study.study_uid, 1)
    ]


@contextmanager
def running_worker(worker: Worker) -> Iterator[Worker]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(120)
        assert not thread.is_alive()


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(worker_module, "_PAUSES", (0, 0))


def settled(hospital: Hospital) -> bool:
    return not hospital.cloud.waiting("analyze") and len(results(hospital)) == 3


def test_what_is_ready_is_computed_together_across_studies(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    predict = hospital.model.predict
    decoded: list[object] = []
    ready = threading.Event()
    worker = new_worker(hospital)
    prepare = worker._prepare

    def note(held: Held) -> Any:  # noqa: ANN401 - as the worker
        if len(decoded) > 2:
            ready.set()  # what was decoded before this one is there to be computed
        task = prepare(held)
        decoded.extend([task] if task else [])
        return task

    def slowly(inputs: Sequence[Any]) -> list[Any]:
        seen.append(len(inputs))
        if len(seen) == 1 and len(inputs) == 1:
            assert ready.wait(120)
        return predict(inputs)

    monkeypatch.setattr(worker, "_prepare", note)
    hospital.model.predict = slowly  # type: ignore[method-assign]
    with running_worker(worker):
        until(lambda: len(results(hospital)) == 3)
    assert max(seen) > 1
    assert len(results(hospital)) == 3


def test_two_workers_on_one_queue_record_one_result_each(hospital: Hospital) -> None:
    with running_worker(new_worker(hospital)), running_worker(new_worker(hospital)):
        until(lambda: len(results(hospital)) == 3)
        time.sleep(0.3)
    assert {each.status for each in results(hospital)} == {ResultStatus.DONE}
    assert len(hospital.cloud.rows("results_table")) == 3
    hospital.pump()
    assert {study.status for study in hospital.studies.worklist()} == {AnalysisStatus.ANALYSED}
    assert hospital.cloud.waiting("analyze-dead") == []


def test_an_urgent_request_goes_first(hospital: Hospital) -> None:
    last = sorted(study.study_uid for study in hospital.studies.worklist())[-1]
    send(hospital, last, urgent=True)
    assert new_worker(hospital).poll(0) == 1
    assert [each.study_uid for each in results(hospital)] == [last]


def test_sigterm_finishes_what_is_computed_and_hands_the_rest_back(hospital: Hospital) -> None:
    predict = hospital.model.predict
    worker = new_worker(hospital)

    def terminated(inputs: Sequence[Any]) -> list[Any]:
        until(lambda: worker._inbox.in_hand > 1)
        os.kill(os.getpid(), signal.SIGTERM)
        until(worker._stopping.is_set)
        return predict(inputs)

    hospital.model.predict = terminated  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        worker.stop_on_signals()
        assert worker.run() == 0
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert len(results(hospital)) == 1
    hospital.model.predict = predict  # type: ignore[method-assign]
    # Handed back at once: nobody waits for a time-out.
    with running_worker(new_worker(hospital)):
        until(lambda: len(results(hospital)) == 3)


class Killed(BaseException):
    """The process ends here: nothing that comes after is done, not even what handles errors."""


STAGES = {
    "received": ("_prepare", Worker),
    "decoded": ("_predict", Worker),
    "computed": ("_write", Worker),
    "objects written": ("record", type("None", (), {})),
    "recorded": ("done", Inbox),
}


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_worker_killed_at_any_stage_loses_nothing_and_doubles_nothing(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    # What a killed worker held appears again by itself; here at once.
    monkeypatch.setattr(inbox_module, "_VISIBILITY_SECONDS", 0)

    def killed(*_arguments: object, **_options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        name, place = STAGES[stage]
        worker = new_worker(hospital)
        patch.setattr(hospital.results if stage == "objects written" else place, name, killed)
        with pytest.raises(Killed):
            worker.poll(0)
    worker._inbox.close()
    with running_worker(new_worker(hospital)):
        until(lambda: len(results(hospital)) == 3)
    assert {each.status for each in results(hospital)} == {ResultStatus.DONE}
    hospital.pump()
    assert {study.risk for study in hospital.studies.worklist()} == {Risk.HIGH}


def only(hospital: Hospital) -> str:
    """Leave one request for one study, and return the study."""
    hospital.cloud.waiting("analyze")
    uid = min(study.study_uid for study in hospital.studies.worklist())
    send(hospital, uid)
    return uid


@pytest.mark.parametrize(
    ("error", "reason"),
    [(MemoryError, "out_of_memory"), (RuntimeError, "unexpected_error"), (None, "timed_out")],
)
def test_a_model_that_never_comes_to_an_end_is_given_up_with_its_reason(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None, reason: str
) -> None:
    uid = only(hospital)
    stop = threading.Event()

    def broken(_inputs: object) -> None:
        if error is not None:
            raise error
        stop.wait(20)

    if error is None:
        manifest = hospital.model.manifest.model_copy(update={"timeout_seconds": 0.05})
        monkeypatch.setattr(hospital.model, "manifest", manifest)
    monkeypatch.setattr(hospital.model, "predict", broken)
    worker = new_worker(hospital)
    assert [worker.poll(0) for _ in range(LAST_TRY + 1)] == [1] * LAST_TRY + [0]
    (found,) = hospital.results.of_version(uid, 1)
    assert (found.status, found.reason) == (ResultStatus.FAILED, reason)
    assert len(hospital.cloud.waiting("analyze-dead")) == 1
    assert running.is_spent() is (error is None)
    stop.set()
    until(lambda: not running.is_spent())


def test_one_study_that_breaks_the_model_does_not_fail_the_others_of_its_batch(hospital: Hospital) -> None:
    predict = hospital.model.predict
    poison = min(study.study_uid for study in hospital.studies.worklist())
    broken: list[int] = []

    def picky(inputs: Sequence[Any]) -> list[Any]:
        if len(inputs) > 1 or not broken:
            broken.append(len(inputs))
            raise RuntimeError
        return predict(inputs)

    worker = new_worker(hospital)
    tasks = []
    for _ in range(3):
        held = worker._inbox.receive(0)
        assert held is not None
        task = worker._prepare(held)
        assert task is not None
        tasks.append(task)
    broken.append(1)
    hospital.model.predict = picky  # type: ignore[method-assign]
    said = worker._predict(tasks)
    assert all(not isinstance(each, BaseException) for each in said) and len(said) == 3
    assert poison and broken == [1, 3]


def test_the_last_try_is_made_where_a_crash_takes_nobody_along(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = only(hospital)

    def broken(_inputs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(hospital.model, "predict", broken)
    tried: list[AnalyzeRequest] = []

    def crashes(request: AnalyzeRequest) -> str:
        tried.append(request)
        return running.DIED

    worker = new_worker(hospital, last_try=crashes)
    for _ in range(LAST_TRY):
        worker.poll(0)
    assert [each.study_uid for each in tried] == [uid]
    (found,) = hospital.results.of_version(uid, 1)
    assert (found.status, found.reason) == (ResultStatus.FAILED, "worker_died")


def test_a_last_try_that_succeeds_is_done(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = only(hospital)
    monkeypatch.setattr(worker_module, "LAST_TRY", 1)

    def succeeds(request: AnalyzeRequest) -> str:
        return "" if hospital.new_analyse().request(request) else "nothing"

    assert new_worker(hospital, last_try=succeeds).poll(0) == 1
    assert [each.status for each in hospital.results.of_version(uid, 1)] == [ResultStatus.DONE]
    assert hospital.cloud.waiting("analyze-dead") == []


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(0, ""), (1, "unexpected_error"), (-9, "worker_died"), (-11, "worker_died"), (None, "timed_out")],
)
def test_how_a_process_ended_says_why(
    monkeypatch: pytest.MonkeyPatch, outcome: int | None, reason: str
) -> None:
    request = AnalyzeRequest(study_uid="2.25.1", version=1, model_id="m@1")

    def run(command: list[str], *, input: bytes, timeout: float, check: bool) -> Any:  # noqa: ANN401
        assert command[1:] == ["-m", "model_service", "analyse"] and not check
        assert AnalyzeRequest.model_validate_json(input) == request
        if outcome is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, outcome)

    monkeypatch.setattr(subprocess, "run", run)
    assert running.in_a_process(request) == reason


def test_a_queue_out_of_reach_is_tried_again(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = new_worker(hospital)
    polls: list[int] = []

    def unreachable(_wait: int) -> None:
        polls.append(1)
        if len(polls) == 3:
            worker.stop()
        raise ConnectionError

    monkeypatch.setattr(worker._inbox, "receive", unreachable)
    monkeypatch.setattr(worker._stopping, "wait", lambda _seconds: None)
    assert worker.run() == 0
    assert len(polls) == 3


def test_a_model_that_was_switched_off_is_not_asked_any_more(hospital: Hospital) -> None:
    uid = only(hospital)
    ModelRepository().switch(hospital.model_id, ModelState.OFF)
    assert new_worker(hospital).poll(0) == 1
    (found,) = hospital.results.of_version(uid, 1)
    assert (found.status, found.reason) == (ResultStatus.SKIPPED, "model_switched_off")
    assert hospital.model.seen == 0
    hospital.pump()
    head = hospital.studies.get(uid)
    assert head is not None and (head.status, head.risk) == (AnalysisStatus.NO_MODEL, Risk.UNKNOWN)


def test_a_model_in_shadow_is_recorded_and_moves_nothing(hospital: Hospital) -> None:
    uid = only(hospital)
    ModelRepository().switch(hospital.model_id, ModelState.SHADOW)
    new_worker(hospital).poll(0)
    (found,) = hospital.results.of_version(uid, 1)
    assert found.status is ResultStatus.DONE and found.beside and found.shadow and found.risk is Risk.HIGH
    hospital.pump()
    head = hospital.studies.get(uid)
    assert head is not None and head.risk is Risk.UNKNOWN and not head.alert_id


def test_an_aid_says_what_kind_of_image_it_is_and_the_header_leads(hospital: Hospital) -> None:
    output = Recognition.model_validate(
        {
            "task": "recognition",
            "calibration": {"temperature": 1.0, "chosen_on": "validation"},
            "unknown_below": 0.6,
            "classes": [
                {"channel": 0, "label": "hand X-ray", "modalities": ["CR", "DX"], "body_parts": ["HAND"]},
                {"channel": 1, "label": "chest CT", "modalities": ["CT"], "body_parts": ["CHEST"]},
            ],
        }
    )
    aid = StubModel(hospital.model.manifest.model_copy(update={"output": output, "name": "kind"}))
    aid.predict = lambda inputs: [Classified((0.9, 0.1)) for _ in inputs]  # type: ignore[method-assign]
    known = ModelRepository().get(hospital.model_id)
    assert known is not None
    ModelRepository().register(known.model_copy(update={"model_id": "kind@1", "role": ModelRole.AID}))
    hand = known.rule.model_copy(update={"body_parts": ("HAND",)})
    ModelRepository().register(known.model_copy(update={"model_id": "hand@1", "rule": hand}))
    made = {"kind@1": aid, hospital.model_id: hospital.model}
    analyse = dataclasses.replace(
        hospital.new_analyse(),
        models=Models(lambda registered: BUNDLE / registered.model_id, lambda folder: made[folder.name]),
    )
    uid = only(hospital)
    found = analyse.request(AnalyzeRequest(study_uid=uid, version=1, model_id="kind@1"))
    assert found is not None and found.beside and not found.shadow and found.findings == ()
    assert [each.label for each in found.recognised] == ["hand X-ray"]
    # The header says chest: it leads, and the disagreement is said.
    assert found.remarks == ("the header says body part CHEST, the pixels look like hand X-ray",)
    hospital.analyse = analyse
    hospital.pump()
    head = hospital.studies.get(uid)
    assert head is not None and "hand@1" not in head.models


def test_the_least_recently_used_model_makes_room(hospital: Hospital) -> None:
    loaded: list[str] = []

    def load(folder: Any) -> StubModel:  # noqa: ANN401 - a path
        loaded.append(folder.name)
        made = StubModel(hospital.model.manifest)
        made.size_bytes = 40
        return made

    known = ModelRepository().get(hospital.model_id)
    assert known is not None
    models = Models(lambda registered: BUNDLE / registered.model_id, load, limit_bytes=100)
    ids = {name: known.model_copy(update={"model_id": f"{name}@1"}) for name in "abc"}
    first = models.get(ids["a"])
    for name in "bac":
        models.get(ids[name])
    assert models.get(ids["a"]) is first and loaded == ["a@1", "b@1", "c@1"]
    models.get(ids["b"])
    assert loaded[-1] == "b@1"
    models.get(ids["a"].model_copy(update={"bundle_sha256": "1" * 64}))
    assert loaded[-1] == "a@1"
    models.forget(first)
    models.get(ids["a"])
    assert loaded.count("a@1") == 3


def test_a_worker_starts_without_torch_and_monai() -> None:
    code = "import sys, model_service.bootstrap; print({'torch', 'monai', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
