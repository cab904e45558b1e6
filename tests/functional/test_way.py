"""The way of a study through the real handlers, whatever the order and however often events come."""

import gzip
import io
import json
import logging
from collections import Counter
from pathlib import Path

import pytest
from pydicom.uid import JPEGBaseline8Bit

from firstread import handling
from firstread.alert import AlertState
from firstread.deid.burned_in import TextBox
from firstread.receipt import Outcome
from firstread.storage import METADATA_PREFIX
from firstread.study import AnalysisStatus, InstanceState, Risk
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.hospital import Hospital

CORNER = TextBox(0, 0, 2, 2)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def outcomes(hospital: Hospital) -> Counter[str]:
    return Counter(row["outcome"]["S"] for row in hospital.cloud.rows("ledger_table"))


def file(folder: Path, name: str = "a.dcm", **values: object) -> Path:
    path = folder / name
    path.write_bytes(encode(header(**values)))
    return path


def described(hospital: Hospital) -> list[list[str]]:
    """Return the studies that each document of metadata is of, one entry per instance."""
    objects = hospital.cloud.objects("results")
    documents = [body for key, body in objects.items() if key.startswith(METADATA_PREFIX)]
    return sorted(
        [each["0020000D"]["Value"][0] for each in json.loads(gzip.decompress(body))] for body in documents
    )


def test_one_radiograph_becomes_one_alert_on_the_worklist(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.risk, study.version, study.probability) == (
        AnalysisStatus.ANALYSED,
        Risk.HIGH,
        1,
        0.9,
    )
    (result,) = hospital.results.of_version(study.study_uid, 1)
    assert result.findings[0].overlay_key in hospital.cloud.objects("results")
    assert described(hospital) == [[study.study_uid]]
    (notice,) = hospital.cloud.wire.sent("Publish")
    assert study.alert_id in notice["Message"] and "https://portal.example/alerts/" in notice["Message"]
    assert hospital.cloud.rows("alerts_table")[0]["state"]["S"] == AlertState.DELIVERED.value
    assert outcomes(hospital) == {"stored": 1}
    assert hospital.failures == []
    assert all(row.get("delivered_at") for row in hospital.cloud.rows("outbox_table"))


@pytest.mark.parametrize("seed", range(3))
def test_the_same_file_three_times_is_one_instance_one_result_one_alert(
    hospital: Hospital, tmp_path: Path, seed: int
) -> None:
    path = file(tmp_path)
    hospital.push(path, path, path)
    hospital.pump(seed, times=3)
    (study,) = hospital.studies.worklist()
    assert outcomes(hospital) == {"stored": 1, "duplicate": 2}
    assert len(hospital.instances.of_study(study.study_uid)) == 1
    assert len(hospital.cloud.objects("studies")) == 1
    assert len(hospital.cloud.rows("results_table")) == 1
    assert len(hospital.cloud.rows("alerts_table")) == 1
    assert (study.version, study.status, study.risk) == (1, AnalysisStatus.ANALYSED, Risk.HIGH)


@pytest.mark.parametrize("seed", range(2))
def test_every_object_has_one_outcome_and_none_is_pending(
    hospital: Hospital, tmp_path: Path, seed: int
) -> None:
    good = [
        file(tmp_path, f"{n}.dcm", SOPInstanceUID=f"1.2.3.{n}", InstanceNumber=n, BodyPartExamined="CHEST")
        for n in range(3)
    ]
    conflict = tmp_path / "conflict.dcm"
    conflict.write_bytes(encode(header(SOPInstanceUID="1.2.3.0"), pixels=bytes(128)))
    colour = tmp_path / "us.dcm"
    held = header(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1", SOPInstanceUID="1.2.3.7", Modality="US")
    colour.write_bytes(encode(held, JPEGBaseline8Bit))
    junk = tmp_path / "junk.dcm"
    junk.write_bytes(b"not a file of this kind" * 20)
    hospital.push(good[0])
    hospital.pump(seed, times=3)
    hospital.push(*good[1:], good[0], conflict, colour, junk, tmp_path / "missing.dcm")
    hospital.pump(seed, times=3)
    found = outcomes(hospital)
    assert found.total() == 7
    assert found == {"stored": 3, "duplicate": 1, "quarantined": 3}
    reasons = sorted(row.reason for row in hospital.ledger.needing_attention(Outcome.QUARANTINED))
    assert reasons == ["conflict", "not_dicom", "unreadable"]
    (study,) = hospital.studies.worklist()
    assert (study.gathering.stored_count, study.gathering.held_count) == (3, 1)
    assert study.version_count == 4
    states = Counter(each.state for each in hospital.instances.of_study(study.study_uid))
    assert states == {InstanceState.STORED: 3, InstanceState.HELD: 1}
    assert len(hospital.cloud.rows("alerts_table")) == 1


def test_a_late_image_makes_a_version_and_no_second_alert(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    hospital.pump()
    hospital.push(file(tmp_path, "late.dcm", SOPInstanceUID="1.2.3.9"))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version, study.version_count, study.risk) == (2, 2, Risk.HIGH)
    assert hospital.model.seen == 3  # one image for version 1, both for version 2
    assert sorted(len(each) for each in described(hospital)) == [1, 2]  # of the series, before and after
    assert len(hospital.cloud.rows("alerts_table")) == 1


def test_a_study_of_held_images_stays_on_the_worklist_and_is_not_called_normal(
    hospital: Hospital, tmp_path: Path
) -> None:
    hospital.detector.where = [CORNER]
    hospital.detector.stubborn = True
    hospital.push(file(tmp_path, BurnedInAnnotation="YES"))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.risk) == (AnalysisStatus.HELD, Risk.UNKNOWN)
    (instance,) = hospital.instances.of_study(study.study_uid)
    assert (instance.reason, instance.facts.modality) == ("may_contain_burned_in_text", "CR")
    assert hospital.cloud.objects("studies") == {}
    assert study.not_applicable == {hospital.model_id: "no instance could be passed on"}


def test_a_study_no_model_accepts_says_so(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path, BodyPartExamined="LEG"))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.risk) == (AnalysisStatus.NO_MODEL, Risk.UNKNOWN)
    assert study.not_applicable == {hospital.model_id: "body part is LEG"}


def test_a_report_travels_with_its_study_and_no_model_is_asked_about_it(
    hospital: Hospital, tmp_path: Path
) -> None:
    report = header(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22",
        SOPInstanceUID="1.2.3.6",
        Rows=None,
        Columns=None,
        TextValue="seen by Theodora Quimby",
    )
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(report, pixels=None))
    hospital.push(file(tmp_path), path)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert outcomes(hospital) == {"stored": 2}
    assert (study.status, study.risk, study.version_count) == (AnalysisStatus.ANALYSED, Risk.HIGH, 2)
    (result,) = hospital.results.of_version(study.study_uid, 1)
    assert len(result.findings) == 1
    assert not any(b"Quimby" in body for body in hospital.cloud.objects("studies").values())


def test_a_study_of_nothing_but_a_report_is_complete_and_has_no_model(
    hospital: Hospital, tmp_path: Path
) -> None:
    report = header(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR", Rows=None, Columns=None)
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(report, pixels=None))
    hospital.push(path)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.risk) == (AnalysisStatus.NO_MODEL, Risk.UNKNOWN)
    assert study.not_applicable == {hospital.model_id: "not an image"}


def test_one_correlation_id_leads_from_the_door_to_the_alert(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every message of a study's way, and every line that is logged on it, names the batch that brought it."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(handling.logger.registered_formatter)
    monkeypatch.setattr(handling.logger._logger, "level", logging.INFO)
    handling.logger._logger.addHandler(handler)
    hospital.detector.where = [CORNER]
    hospital.put(encode(header(BurnedInAnnotation="YES")), batch="b7f3")
    hospital.pump()
    handling.logger._logger.removeHandler(handler)
    bodies = [each["MessageBody"] for each in hospital.cloud.wire.sent("SendMessage")]
    bodies += [json.loads(each["Message"])["default"] for each in hospital.cloud.wire.sent("Publish")]
    bodies += [entry["Detail"] for each in hospital.cloud.wire.sent("PutEvents") for entry in each["Entries"]]
    assert len(bodies) == 6  # clean pixels, quiet timer, describe series, analyze, result, notice
    assert {json.loads(body)["correlation_id"] for body in bodies} == {"b7f3"}
    lines = [json.loads(line) for line in target.getvalue().splitlines()]
    told = ["object settled", "version closed", "series described", "alert published"]
    assert [line["message"] for line in lines] == told
    assert {line["correlation_id"] for line in lines} == {"b7f3"}


def test_an_old_study_does_not_alert(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path, StudyDate="20030826"))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.risk, study.alert_id) == (Risk.HIGH, "")
    assert hospital.cloud.wire.sent("Publish") == []


def test_an_unflagged_study_of_which_a_part_is_held_is_unknown(hospital: Hospital, tmp_path: Path) -> None:
    hospital.model.probability = 0.1
    hospital.detector.where = [CORNER]
    hospital.detector.stubborn = True
    hospital.push(
        file(tmp_path), file(tmp_path, "held.dcm", SOPInstanceUID="1.2.3.8", BurnedInAnnotation="YES")
    )
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.risk) == (AnalysisStatus.ANALYSED, Risk.UNKNOWN)


def test_a_quiet_time_longer_than_a_message_can_wait_is_waited_for(
    hospital: Hospital, tmp_path: Path
) -> None:
    hospital.push(file(tmp_path, Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    hospital.pump()
    sent = hospital.cloud.wire.sent("SendMessage")
    delays = [each["DelaySeconds"] for each in sent if each["QueueUrl"].endswith("quiet-timers")]
    assert max(delays) == 900 and len(delays) == 3
    (study,) = hospital.studies.worklist()
    assert study.version == 1


def test_an_event_without_a_version_is_the_object_that_is_there(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    (delivery,) = hospital.arrivals()
    body = delivery.event["Records"][0]["body"]
    key, version = (
        hospital.cloud.rows("ledger_table")[0][name]["S"] for name in ("object_key", "version_id")
    )
    assert version in body
    bare = events.sqs(events.object_created("incoming", key, None))
    hospital.deliver(type(delivery)("deidentify", bare))
    hospital.deliver(delivery)
    hospital.pump()
    assert outcomes(hospital) == {"stored": 1}


def test_an_object_that_is_gone_is_left_pending_and_stops_nobody(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    (delivery,) = hospital.arrivals()
    row = hospital.cloud.rows("ledger_table")[0]
    hospital.cloud.s3.delete_object(
        Bucket="incoming", Key=row["object_key"]["S"], VersionId=row["version_id"]["S"]
    )
    hospital.deliver(delivery)
    assert hospital.failures == []
    assert outcomes(hospital) == {"pending": 1}


def test_an_object_whose_door_died_gets_its_receipt_from_the_event(hospital: Hospital) -> None:
    hospital.put(encode(header()))
    hospital.pump()
    (row,) = hospital.cloud.rows("ledger_table")
    assert row["outcome"]["S"] == "stored"
    found = hospital.ledger.get(row["object_key"]["S"], row["version_id"]["S"])
    assert found is not None and found.source == "event"
