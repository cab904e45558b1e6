"""Counting the ledger, and finding and repairing what is not as it should be."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from firstread.errors import NotAllowedError
from firstread.operations.operator import Operator
from firstread.operations.reconcile import Trouble
from firstread.operations.wiring import open_operations
from firstread.policy import Actor, Role
from firstread.receipt import Outcome
from firstread.records.audit import AuditTrail
from firstread.records.quarantine import QuarantineRepository
from firstread.records.tables import InstanceRow, LedgerRow
from firstread.study import AnalysisStatus, InstanceState
from tests.support.cloud import Cloud
from tests.support.hospital import Hospital
from tests.support.operations import (
    CORNER,
    count,
    events_are_lost,
    file,
    held,
    operations,
    reconcile,
    troubles,
    unreadable,
)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def stored(hospital: Hospital, folder: Path, number: int = 1) -> None:
    hospital.push(*(file(folder, f"{n}.dcm", SOPInstanceUID=f"1.2.3.{n}") for n in range(1, number + 1)))
    hospital.pump()


def at_rest(hospital: Hospital) -> None:
    """Let the last looks happen: the stream of these tests is silent where an instance is as it was before."""
    assert set(reconcile().troubles) <= {Trouble.STALE_STUDY}
    hospital.pump()


def delete_all(hospital: Hospital, bucket: str) -> None:
    for each in hospital.cloud.s3.list_object_versions(Bucket=bucket)["Versions"]:
        hospital.cloud.s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def test_everything_is_counted_once(hospital: Hospital, tmp_path: Path) -> None:
    path = file(tmp_path)
    hospital.push(path, path)
    hospital.pump()
    unreadable(hospital)
    hospital.put(b"nobody knows of it")
    events_are_lost(hospital)
    found = count()
    assert (found.received, found.stored, found.duplicate, found.quarantined, found.pending) == (
        4,
        1,
        1,
        1,
        0,
    )
    assert (found.without_receipt, found.without_object, found.balanced) == (1, 0, False)


def test_receipts_without_their_objects_are_counted(hospital: Hospital) -> None:
    unreadable(hospital)
    delete_all(hospital, "incoming")
    found = count()
    assert (found.received, found.quarantined, found.without_object, found.balanced) == (1, 1, 1, True)


def test_one_study_is_counted_by_its_receipts(hospital: Hospital, tmp_path: Path) -> None:
    stored(hospital, tmp_path, 3)
    (study,) = hospital.studies.worklist()
    found = operations().ledger.count_study(study.gathering.study_ref)
    assert (found.received, found.stored, found.balanced) == (3, 3, True)


@pytest.mark.parametrize("outcome", Outcome)
def test_receipts_of_one_outcome(hospital: Hospital, tmp_path: Path, outcome: Outcome) -> None:
    path = file(tmp_path)
    hospital.push(path, path)
    hospital.pump()
    unreadable(hospital)
    found = list(operations().ledger.receipts(outcome))
    assert [each.outcome for each in found] == [outcome] * (outcome is not Outcome.PENDING)


def test_all_is_well(hospital: Hospital, tmp_path: Path) -> None:
    stored(hospital, tmp_path, 3)
    held(hospital, tmp_path, StudyInstanceUID="1.2.77", SOPInstanceUID="1.2.77.1")
    before = hospital.state()
    report = reconcile()
    assert (troubles(report), report.objects, report.studies) == ({}, 4, 2)
    assert hospital.state() == before


def test_an_object_whose_event_was_lost(hospital: Hospital, tmp_path: Path) -> None:
    hospital.put(file(tmp_path).read_bytes())
    events_are_lost(hospital)
    assert troubles(reconcile()) == {Trouble.WITHOUT_RECEIPT: 1}
    hospital.pump()
    assert (count().stored, count().balanced, troubles(reconcile())) == (1, True, {})


def test_an_object_that_is_pending_for_too_long(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    events_are_lost(hospital)
    assert count().pending == 1
    assert troubles(reconcile()) == {Trouble.PENDING: 1}
    hospital.pump()
    assert (count().stored, troubles(reconcile())) == (1, {})


def test_what_is_young_is_left_alone(hospital: Hospital, tmp_path: Path) -> None:
    hospital.put(file(tmp_path).read_bytes())
    events_are_lost(hospital)
    assert troubles(operations().reconcile(timedelta(minutes=5)).run()) == {}


def test_receipts_without_objects_are_named(hospital: Hospital, tmp_path: Path) -> None:
    (sent,) = hospital.push(file(tmp_path))
    events_are_lost(hospital)
    delete_all(hospital, "incoming")
    report = reconcile()
    assert report.names == {Trouble.LOST_OBJECT: [sent.object_key]}
    assert report.lost == 1


def _rows(table: Any) -> list[Any]:  # noqa: ANN401 - any table
    return list(table.scan())


def _lose_instances(hospital: Hospital) -> None:
    for row in _rows(InstanceRow):
        row.delete()
    # The stream says of each when it is there again.
    hospital._streamed = {each for each in hospital._streamed if not each.startswith("instances_table")}


def _lose_study_objects(hospital: Hospital) -> None:
    delete_all(hospital, "studies")


def _lose_one_study_object(hospital: Hospital) -> None:
    key = min(hospital.cloud.objects("studies"))
    hospital.cloud.s3.delete_object(Bucket="studies", Key=key)  # a delete marker, as a person would leave it


def _lose_ledger(_hospital: Hospital) -> None:
    for row in _rows(LedgerRow):
        row.delete()


@pytest.mark.parametrize(
    ("lose", "expected"),
    [
        (_lose_instances, {Trouble.WITHOUT_INSTANCE: 3, Trouble.ORPHAN: 3}),
        (_lose_study_objects, {Trouble.WITHOUT_STUDY_OBJECT: 3}),
        (_lose_one_study_object, {Trouble.WITHOUT_STUDY_OBJECT: 1}),
    ],
)
def test_what_objects_became_is_made_again(
    hospital: Hospital, tmp_path: Path, lose: Callable[[Hospital], None], expected: dict[Trouble, int]
) -> None:
    stored(hospital, tmp_path, 3)
    whole = hospital.cloud.objects("studies")
    lose(hospital)
    assert troubles(reconcile(dry=True)) == expected
    assert troubles(reconcile()) == expected
    assert all(
        instance.state is InstanceState.HELD or instance.studies_key in hospital.cloud.objects("studies")
        for row in _rows(InstanceRow)
        for instance in hospital.instances.of_study(row.study_uid)
    )
    hospital.pump()
    at_rest(hospital)
    assert hospital.cloud.objects("studies") == whole
    assert (count().stored, count().balanced, troubles(reconcile())) == (3, True, {})
    (study,) = hospital.studies.worklist()
    assert (study.status, study.gathering.stored_count) == (AnalysisStatus.ANALYSED, 3)


def test_a_lost_ledger_comes_back(hospital: Hospital, tmp_path: Path) -> None:
    stored(hospital, tmp_path, 3)
    _lose_ledger(hospital)
    assert troubles(reconcile()) == {Trouble.WITHOUT_RECEIPT: 3}
    hospital.pump()
    at_rest(hospital)
    found = count()
    assert (found.received, found.stored + found.duplicate, found.balanced) == (3, 3, True)
    assert troubles(reconcile()) == {}


def test_bytes_that_are_gone_for_good_are_named_and_nothing_is_changed(
    hospital: Hospital, tmp_path: Path
) -> None:
    stored(hospital, tmp_path)
    delete_all(hospital, "studies")
    delete_all(hospital, "incoming")
    (study,) = hospital.studies.worklist()
    # Only the receipts name the study, and they are found by their objects: it takes both buckets to forget it.
    assert troubles(reconcile()) == {}
    (instance,) = hospital.instances.of_study(study.study_uid)
    assert instance.state is InstanceState.STORED


def test_an_instance_that_cannot_be_made_again_is_named(hospital: Hospital, tmp_path: Path) -> None:
    stored(hospital, tmp_path, 2)
    gone = min(hospital.cloud.objects("studies"))
    hospital.cloud.s3.delete_object(Bucket="studies", Key=gone)
    delete_all(hospital, "incoming")
    report = reconcile()
    assert report.names == {Trouble.LOST_STUDY_OBJECT: [gone]}
    assert report.lost == 1


def test_an_object_that_no_instance_names_is_named(hospital: Hospital) -> None:
    hospital.cloud.s3.put_object(Bucket="studies", Key="studies/2.25.1/2.25.2/2.25.3/0.dcm", Body=b"x")
    assert reconcile().names == {Trouble.ORPHAN: ["studies/2.25.1/2.25.2/2.25.3/0.dcm"]}
    assert len(hospital.cloud.objects("studies")) == 1


@pytest.mark.parametrize("kind", ["stored", "held"])
def test_a_study_whose_stream_was_lost_is_looked_at(hospital: Hospital, tmp_path: Path, kind: str) -> None:
    hospital.detector.where, hospital.detector.stubborn = [CORNER], True
    hospital.push(file(tmp_path, BurnedInAnnotation="NO" if kind == "stored" else "YES"))
    for step in (hospital.arrivals, hospital.messages):
        for delivery in step():
            hospital.deliver(delivery)
    events_are_lost(hospital)
    assert hospital.studies.worklist() == []
    assert troubles(reconcile()) == {Trouble.STALE_STUDY: 1}
    hospital.pump()
    assert len(hospital.studies.worklist()) == 1
    assert troubles(reconcile()) == {}


def test_bytes_that_a_discard_left_are_deleted(hospital: Hospital) -> None:
    key = unreadable(hospital)
    repository = QuarantineRepository()
    receipt = repository.get(key)
    assert receipt is not None
    assert repository.discard(receipt, "2026-01-01T00:00:00.000000Z", lambda _transaction: None)
    assert count().balanced and count().received == 1
    assert troubles(reconcile()) == {Trouble.DISCARDED_OBJECT: 1}
    assert hospital.cloud.objects("incoming") == {}
    assert troubles(reconcile()) == {}
    assert count().balanced and count().received == 1


def test_looking_only_changes_nothing(hospital: Hospital, tmp_path: Path) -> None:
    stored(hospital, tmp_path, 2)
    hospital.put(b"nobody knows of it")
    events_are_lost(hospital)
    _lose_one_study_object(hospital)
    before, calls = hospital.state(), hospital.cloud.wire.writes()
    assert troubles(reconcile(dry=True)) == {Trouble.WITHOUT_RECEIPT: 1, Trouble.WITHOUT_STUDY_OBJECT: 1}
    assert hospital.state() == before
    assert hospital.cloud.wire.writes() == calls
    assert AuditTrail().of("pipeline") == []


@pytest.mark.usefixtures("hospital")
def test_a_run_is_written_down_and_not_for_everybody() -> None:
    reconcile()
    (event,) = AuditTrail().of("pipeline")
    assert (event["action"], event["actor"]) == ("pipeline.reconcile", "kim")
    other = open_operations(Operator(Actor("sam", Role.TECHNOLOGIST)))
    with pytest.raises(NotAllowedError):
        other.reconcile(timedelta(0)).run()


def test_many_objects_take_few_calls(hospital: Hospital) -> None:
    for number in range(103):
        hospital.cloud.s3.put_object(Bucket="incoming", Key=f"in/bulk/{number:032d}", Body=b"")
    events_are_lost(hospital)
    calls = hospital.cloud.wire.calls
    calls.clear()
    assert troubles(reconcile()) == {Trouble.WITHOUT_RECEIPT: 103}
    made = [name for name, _ in calls]
    assert made.count("ListObjectVersions") == 3  # a page, an empty prefix, and the studies bucket
    assert made.count("BatchGetItem") == 2
    assert made.count("SendMessageBatch") == 11
    bodies = {
        body for each in hospital.cloud.wire.sent("SendMessageBatch") for body in map(str, each["Entries"])
    }
    assert len(bodies) == 103
    assert all(
        each["QueueUrl"].endswith("arrivals-bulk") for each in hospital.cloud.wire.sent("SendMessageBatch")
    )
