"""The commands of operators as they type them, against a deployed pipeline; no name of a patient comes out."""

import json
import os
from pathlib import Path

import pydicom
import pytest
from typer.testing import CliRunner, Result

from firstread.cli import app
from firstread.local import status as local_status
from firstread.local.home import Home
from firstread.records.batches import BatchRepository, EndedBatch
from firstread.records.quarantine import QuarantineRepository
from tests.support.cloud import Cloud
from tests.support.hospital import Hospital
from tests.support.operations import events_are_lost, file, held, unreadable

WIDE = {"COLUMNS": "200"}


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def firstread(*arguments: str) -> Result:
    done = CliRunner().invoke(app, [*arguments, "--deployed"], env=WIDE)
    assert "Traceback" not in done.output, done.output
    return done


def test_the_ledger(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    hospital.pump()
    key = unreadable(hospital)
    done = firstread("ledger")
    assert (done.exit_code, done.stdout) == (
        0,
        "received 2 = 1 stored + 0 duplicate + 1 quarantined + 0 pending\n",
    )
    assert json.loads(firstread("ledger", "--json").stdout)["balanced"] is True
    (line,) = firstread("ledger", "--outcome", "quarantined").stdout.splitlines()
    assert json.loads(line)["object_key"] == key
    (study,) = hospital.studies.worklist()
    for name in (study.study_uid, study.gathering.study_ref):
        assert json.loads(firstread("ledger", "--study", name, "--json").stdout)["received"] == 1
    hospital.put(b"x")
    done = firstread("ledger")
    assert done.exit_code == 1
    assert "1 objects have no receipt" in done.stderr


def test_quarantine_from_list_to_discard(hospital: Hospital, tmp_path: Path) -> None:
    key, other = held(hospital, tmp_path), unreadable(hospital)
    listed = firstread("quarantine", "list")
    assert key in listed.stdout and other in listed.stdout and "not_dicom" in listed.stdout
    assert "CompressedSamples" not in listed.stdout
    lines = firstread("quarantine", "list", "--reason", "not_dicom", "--json").stdout.splitlines()
    assert [json.loads(line)["object_key"] for line in lines] == [other]
    assert firstread("quarantine", "list", "--older-than", "36500", "--json").stdout == ""
    done = firstread("quarantine", "release", key, "--because", "inspected", "--inspected", "--actor", "ann")
    assert (done.exit_code, done.stdout) == (0, f"{key}: pending\n")
    shown = json.loads(firstread("quarantine", "show", key, "--json").stdout)
    assert (shown["outcome"], shown["inspected"]) == ("pending", True)
    assert [(each["actor"], each["because"]) for each in shown["audit"]] == [("ann", "inspected")]
    assert "ann" in firstread("quarantine", "show", key).stdout
    done = firstread("quarantine", "discard", other, "in/none", "--because", "test_data", "--yes")
    assert done.exit_code == 1
    assert f"{other}: discarded" in done.stdout
    assert "no object has arrived" in done.stderr
    lines = firstread("quarantine", "list", "--discarded", "--json").stdout.splitlines()
    assert [json.loads(line)["object_key"] for line in lines] == [other]


def test_nothing_is_discarded_without_a_yes(hospital: Hospital) -> None:
    key = unreadable(hospital)
    done = CliRunner().invoke(
        app, ["quarantine", "discard", key, "--because", "unusable", "--deployed"], input="n\n"
    )
    assert done.exit_code == 1
    receipt = QuarantineRepository().get(key)
    assert receipt is not None and not receipt.discarded_at


def test_everything_of_a_reason_is_released_but_not_vouched_for(hospital: Hospital) -> None:
    keys = {unreadable(hospital), unreadable(hospital)}
    done = firstread("quarantine", "release", "--reason", "not_dicom", "--because", "fixed")
    assert {line.split(":")[0] for line in done.stdout.splitlines()} == keys
    done = firstread(
        "quarantine", "release", "--reason", "not_dicom", "--because", "inspected", "--inspected"
    )
    assert done.exit_code == 2
    assert firstread("quarantine", "release", "--because", "fixed").exit_code == 2


def test_dead_letters(cloud: Cloud) -> None:
    for body in ('{"study_uid": "2.25.1"}', '{"PatientName": "CompressedSamples^CT1"}'):
        cloud.sqs.send_message(QueueUrl=cloud.url("quiet-timers-dead"), MessageBody=body)
    listed = firstread("dlq", "list")
    assert "QuietTimer" in listed.stdout and "unknown" in listed.stdout
    assert "Compressed" not in listed.output
    (one, _) = map(
        json.loads, firstread("dlq", "list", "--queue", "quiet timer", "--json").stdout.splitlines()
    )
    assert one["queue"] == "quiet timer" and one["sent_at"].endswith("+00:00")
    done = firstread("dlq", "replay", "--queue", "quiet timer")
    assert (done.exit_code, done.stdout) == (1, "quiet timer: 1 sent again, 1 left\n")
    assert firstread("dlq", "replay").exit_code == 2
    done = firstread("dlq", "replay", "--queue", "nobody")
    assert done.exit_code == 1 and "no such queue" in done.stderr
    results = [json.loads(line) for line in firstread("dlq", "replay", "--all", "--json").stdout.splitlines()]
    assert len(results) == 14


def test_reconcile(hospital: Hospital) -> None:
    hospital.put(b"x")
    events_are_lost(hospital)
    done = firstread("reconcile", "--dry-run", "--grace", "0", "--json")
    assert json.loads(done.stdout)["troubles"] == {"without_receipt": 1}
    done = firstread("reconcile", "--grace", "0")
    assert done.exit_code == 0
    assert "1 without_receipt: in/" in done.stdout
    hospital.pump()
    assert "all is as it should be" in firstread("reconcile", "--grace", "0").stdout
    for each in hospital.cloud.s3.list_object_versions(Bucket="incoming")["Versions"]:
        hospital.cloud.s3.delete_object(Bucket="incoming", Key=each["Key"], VersionId=each["VersionId"])
    done = firstread("reconcile", "--grace", "0")
    assert (done.exit_code, "1 lost_object" in done.stdout) == (1, True)


def test_trace_tells_the_whole_way_in_order(hospital: Hospital, tmp_path: Path) -> None:
    path = file(tmp_path)
    hospital.push(path, path)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    BatchRepository().end(study.gathering.study_ref, EndedBatch("b1", "ct1", 1, study.gathering.last_arrival))
    way = json.loads(firstread("trace", study.study_uid, "--json").stdout)
    told = [step["what"] for step in way["steps"]]
    assert told[0] == "received"
    assert {
        "received",
        "settled",
        "recorded",
        "batch ended",
        "complete",
        "metadata asked for",
        "metadata request delivered",
        "analysis asked for",
        "analysis request delivered",
        "analysis started",
        "analysis ended",
        "result announced",
        "alert created",
        "alert delivered",
        "audit",
    } == set(told)
    seconds = [step["seconds"] for step in way["steps"]]
    assert seconds == sorted(seconds) and seconds[0] == 0
    assert "version 1: 1 instances" in firstread("trace", study.study_uid).stdout
    original = str(pydicom.dcmread(path).StudyInstanceUID)
    found = json.loads(firstread("trace", "--original", original, "--json").stdout)
    assert found["study_uid"] == study.study_uid
    assert original not in json.dumps(found)


@pytest.mark.usefixtures("cloud")
def test_trace_of_nothing() -> None:
    assert firstread("trace", "2.25.404").exit_code == 1
    assert firstread("trace", "--original", "1.2.404").exit_code == 1
    assert firstread("trace").exit_code == 2


@pytest.mark.usefixtures("cloud")
def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRSTREAD_FEEDS_QUEUE_URL")
    done = firstread("ledger")
    assert done.exit_code == 1
    assert "FIRSTREAD_FEEDS_QUEUE_URL" in done.stderr.replace("\n", "")


def test_without_a_run_here_it_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["reconcile", "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "firstread up" in done.stderr


def test_status_counts_every_page(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unreadable(hospital)
    monkeypatch.setattr(
        local_status, "component_states", lambda _home: {"engine": "running", "worker": "running"}
    )
    monkeypatch.setattr(local_status, "activate", lambda _home: dict(os.environ))
    found = local_status.status(Home(tmp_path))
    assert (found.quarantined, found.pending) == (1, 0)
    assert set(found.waiting) == set(found.dead_letters) - {"gather", "deliver"}
    assert {"ingest urgent", "ingest bulk", "feeds", "hints", "analyze urgent"} <= set(found.waiting)
