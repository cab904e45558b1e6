"""The whole way through the engine that runs the deployed template: good files, bad files, faults."""

import gzip
import io
import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from firstread.alert import AlertState
from firstread.demo.simulate import write_radiograph
from firstread.demo.track import Tracker, Way
from firstread.dicomweb.documents import key_of
from firstread.dicomweb.held import by_series, images_of
from firstread.environment import InstancesSettings, LedgerSettings, ResultsSettings, StudiesSettings
from firstread.local.home import Home, activate
from firstread.local.run import COMPONENTS
from firstread.receipt import Outcome, Receipt
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.storage import Bucket
from firstread.study import AnalysisStatus, Risk
from tests.support.dicoms import encode, header
from tests.support.system import FIRSTREAD, Run, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]


class Settings(LedgerSettings, InstancesSettings, StudiesSettings, ResultsSettings):
    alerts_table: str


@contextmanager
def records(run: Run) -> Iterator[Tracker]:
    """Point this process at the run for as long as the block lasts."""
    before = dict(os.environ)
    try:
        activate(Home(run.home))
        tables.bind(Settings())
        yield Tracker(LedgerRepository(), StudyRepository(), ResultRepository())
    finally:
        os.environ.clear()
        os.environ.update(before)


def ways_at_rest(tracker: Tracker, sent: list[dict[str, Any]]) -> list[Way]:
    receipts = [Receipt.model_validate(each["receipt"]) for each in sent]

    def ready() -> list[Way] | None:
        found = tracker.ways(receipts)
        return found if all(way.accounted_for for way in found) else None

    ways: list[Way] = wait_for("all objects to be accounted for", ready)
    return ways


def test_the_same_radiograph_three_times_is_one_instance_one_result_and_one_alert(
    run: Run, tmp_path: Path
) -> None:
    radiograph = write_radiograph(tmp_path / "x.dcm", seed=7, when=datetime.now(UTC))
    sent = run.push(radiograph) + run.push(radiograph) + run.push(radiograph)
    with records(run) as tracker:
        ways = ways_at_rest(tracker, sent)
        outcomes = sorted(way.receipt.outcome for way in ways)
        assert outcomes == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.STORED]
        (study_uid,) = {way.receipt.study_uid for way in ways}
        study = tracker.studies.get(study_uid)
        assert study is not None
        assert (study.version, study.version_count, study.status) == (1, 1, AnalysisStatus.ANALYSED)
        assert study.risk is Risk.HIGH
        assert study.gathering.simulated
        results = tracker.results.of_version(study_uid, 1)
        assert [each.model_id for each in results if not each.beside] == list(study.models)
        (alert,) = wait_for(
            "the alert to be delivered",
            lambda: [
                each for each in AlertRepository().of_study(study_uid) if each.state is AlertState.DELIVERED
            ],
        )
        assert alert.simulated
        (members,) = by_series(images_of(InstanceRepository().of_study(study_uid))).values()
        shelf = Bucket(os.environ["FIRSTREAD_RESULTS_BUCKET"])
        wait_for("the metadata of the series", lambda: shelf.has(key_of(members)))
        (described,) = json.loads(gzip.decompress(shelf.get(key_of(members))))
        assert described["0020000D"]["Value"] == [study_uid]


def test_bad_files_are_quarantined_with_their_reason_and_a_good_one_among_them_goes_on(
    run: Run, tmp_path: Path
) -> None:
    good = Path(str(get_testdata_file("CT_small.dcm")))
    named_after_a_patient = tmp_path / "Doe_Jane_19700101.txt"
    named_after_a_patient.write_bytes(b"this is not DICOM")
    empty = tmp_path / "empty"
    empty.touch()
    truncated = tmp_path / "truncated"
    truncated.write_bytes(good.read_bytes()[:20_000])
    sent = run.push(empty, named_after_a_patient, truncated, good)
    with records(run) as tracker:
        ways = ways_at_rest(tracker, sent)
        assert [way.receipt.reason for way in ways] == ["empty", "not_dicom", "truncated", ""]
        assert ways[-1].receipt.outcome in (Outcome.STORED, Outcome.DUPLICATE)
        assert ways[-1].study is not None
        assert ways[-1].study.status is AnalysisStatus.NO_MODEL
    assert run.status()["pending"] == 0


def test_a_name_in_the_pixels_of_an_ultrasound_is_blanked_on_its_way(run: Run, tmp_path: Path) -> None:
    rows, columns = 480, 640
    canvas = Image.fromarray(np.random.default_rng(3).integers(0, 60, (rows, columns), dtype=np.uint8))
    place = (40, 30, 400, 70)
    ImageDraw.Draw(canvas).text(place[:2], "QUIMBY^THEODORA", fill=230, font=ImageFont.load_default(28))
    before = np.asarray(canvas)
    described = header(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1",
        Modality="US",
        Rows=rows,
        Columns=columns,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        BurnedInAnnotation="NO",
    )
    path = tmp_path / "us.dcm"
    path.write_bytes(encode(described, pixels=before.tobytes()))
    sent = run.push(path)
    with records(run) as tracker:
        (way,) = ways_at_rest(tracker, sent)
        assert way.receipt.outcome is Outcome.STORED
        (instance,) = InstanceRepository().of_study(way.receipt.study_uid)
        bucket = os.environ["FIRSTREAD_STUDIES_BUCKET"]
        data = boto3.client("s3").get_object(Bucket=bucket, Key=instance.studies_key)["Body"].read()
    found = pydicom.dcmread(io.BytesIO(data))
    after = found.pixel_array
    left, top, right, bottom = place
    assert after[top:bottom, left:right].max() < 200 <= before[top:bottom, left:right].max()
    assert np.array_equal(after[200:], before[200:])
    assert (found.BurnedInAnnotation, found.PatientIdentityRemoved) == ("NO", "YES")
    assert "clean_pixels" in run.firstread("logs", "--once").stdout
    state = run.status()
    assert (state["pending"], state["waiting"]["clean pixels"]) == (0, 0)


def test_a_poisoned_message_ends_in_the_dead_letter_queue_and_status_says_so(run: Run) -> None:
    with records(run):
        boto3.client("sqs").send_message(
            QueueUrl=os.environ["FIRSTREAD_ANALYZE_QUEUE_URL"], MessageBody='{"not": "a request"}'
        )
    found = wait_for("the dead letter", lambda: (s := run.status())["dead_letters"].get("analyze", 0) and s)
    assert any("dead-letter queue of analyze" in problem for problem in found["problems"])
    assert run.firstread("status", check=False).returncode == 1
    with records(run):
        boto3.client("sqs").purge_queue(QueueUrl=os.environ["FIRSTREAD_ANALYZE_DLQ_URL"])


def test_a_dead_component_is_seen_and_up_starts_it_again(run: Run) -> None:
    os.kill(run.pid("worker"), signal.SIGKILL)
    found = wait_for("the dead worker", lambda: (s := run.status())["components"]["worker"] == "dead" and s)
    assert any(problem.startswith("worker is dead") for problem in found["problems"])
    run.up()
    assert run.status()["components"] == dict.fromkeys(COMPONENTS, "running")


def test_down_and_up_again_keeps_the_worklist_and_goes_on_working(run: Run, tmp_path: Path) -> None:
    with records(run) as tracker:
        before = {study.study_uid for study in tracker.studies.worklist()}
    run.firstread("down")
    assert set(run.status()["components"].values()) == {"stopped"}
    run.up()
    with records(run) as tracker:
        assert {study.study_uid for study in tracker.studies.worklist()} == before
        sent = run.push(write_radiograph(tmp_path / "y.dcm", seed=8, when=datetime.now(UTC)))
        (way,) = ways_at_rest(tracker, sent)
        assert way.study is not None
        assert way.study.status is AnalysisStatus.ANALYSED


def test_a_taken_port_is_a_clear_message(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [str(FIRSTREAD), "up", "--home", str(tmp_path / "other"), "--engine-port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--engine-port" in done.stderr
    assert run.status()["components"]["engine"] == "running"


def test_everything_listens_on_loopback_only(run: Run) -> None:
    import psutil

    for component in ("engine", "portal"):
        process = psutil.Process(run.pid(component))
        for each in [process, *process.children(recursive=True)]:
            listening = [c.laddr.ip for c in each.net_connections("inet") if c.status == psutil.CONN_LISTEN]
            assert set(listening) <= {"127.0.0.1"}, (component, listening)


def test_the_portal_answers_and_the_logs_name_every_component(run: Run) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{run.portal_port}/healthz", timeout=60) as response:
        assert response.status == 200
    text = run.firstread("logs", "--once").stdout
    for component in ("portal", "worker", "deidentify"):
        assert component in text.lower()
