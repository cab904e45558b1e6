"""Deciding about quarantine: release, discard, and who may."""

from pathlib import Path

import pytest

from firstread.errors import NotAllowedError, NotFoundError
from firstread.operations.quarantine import Because, CannotError, subject
from firstread.policy import Actor, Role
from firstread.receipt import Outcome, Receipt
from firstread.records.audit import AuditTrail
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.quarantine import QuarantineRepository
from firstread.study import AnalysisStatus, Instance, InstanceState
from tests.support.cloud import Cloud
from tests.support.hospital import Hospital
from tests.support.operations import (
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


def receipt(key: str) -> Receipt:
    found = QuarantineRepository().get(key)
    assert found is not None
    return found


def test_what_lies_there_is_listed_by_reason_oldest_first(hospital: Hospital, tmp_path: Path) -> None:
    first, second = unreadable(hospital), held(hospital, tmp_path)
    hospital.push(file(tmp_path, SOPInstanceUID="1.2.9"))
    hospital.pump()
    quarantine = operations().quarantine
    assert [each.object_key for each in quarantine.held()] == [first, second]
    assert [each.object_key for each in quarantine.held("not_dicom")] == [first]
    shown, events = quarantine.show(second)
    assert (shown.reason, shown.outcome, events) == ("may_contain_burned_in_text", Outcome.QUARANTINED, [])


def test_a_release_tries_again_and_is_written_down(hospital: Hospital, tmp_path: Path) -> None:
    key = held(hospital, tmp_path)
    released = operations().quarantine.release(key, Because.FIXED)
    assert (released.outcome, released.reason, released.study_uid) == (Outcome.PENDING, "", "")
    assert count().pending == 1
    hospital.pump()  # the detector finds nothing any more
    assert receipt(key).outcome is Outcome.STORED
    (study,) = hospital.studies.worklist()
    assert study.status is AnalysisStatus.ANALYSED
    (event,) = AuditTrail().of(subject(key))
    assert (
        event.items()
        >= {
            "action": "quarantine.release",
            "actor": "kim",
            "role": "data steward",
            "because": "fixed",
            "inspected": False,
            "quarantine_reason": "may_contain_burned_in_text",
        }.items()
    )


def test_what_is_wrong_for_good_comes_back_to_quarantine(hospital: Hospital) -> None:
    key = unreadable(hospital)
    operations().quarantine.release(key, Because.FIXED)
    hospital.pump()
    assert (receipt(key).outcome, receipt(key).reason) == (Outcome.QUARANTINED, "not_dicom")
    assert count().balanced and count().quarantined == 1


def test_somebody_who_has_looked_is_remembered(hospital: Hospital, tmp_path: Path) -> None:
    key = held(hospital, tmp_path)
    assert operations().quarantine.release(key, Because.INSPECTED, inspected=True).inspected
    (event,) = AuditTrail().of(subject(key))
    assert event["inspected"] is True


def test_a_release_whose_event_was_lost_is_asked_for_again(hospital: Hospital, tmp_path: Path) -> None:
    key = held(hospital, tmp_path)
    operations().quarantine.release(key, Because.FIXED)
    events_are_lost(hospital)
    operations().quarantine.release(key, Because.FIXED)
    hospital.pump()
    assert receipt(key).outcome is Outcome.STORED
    assert len(AuditTrail().of(subject(key))) == 1


def test_what_is_given_up_leaves_bytes_and_study_and_keeps_its_receipt(
    hospital: Hospital, tmp_path: Path
) -> None:
    key = held(hospital, tmp_path)
    study_uid = receipt(key).study_uid
    operations().quarantine.discard(key, Because.UNUSABLE)
    hospital.pump()
    assert hospital.cloud.s3.list_object_versions(Bucket="incoming").get("Versions", []) == []
    found = receipt(key)
    assert (found.outcome, found.reason) == (Outcome.QUARANTINED, "may_contain_burned_in_text")
    assert found.discarded_at
    (instance,) = hospital.instances.of_study(study_uid)
    assert instance.state is InstanceState.DISCARDED
    quarantine = operations().quarantine
    assert list(quarantine.held()) == []
    assert [each.object_key for each in quarantine.held(discarded=True)] == [key]
    counted = count()
    assert (counted.received, counted.quarantined, counted.discarded) == (1, 1, 1)
    assert counted.balanced
    assert troubles(reconcile()) == {}
    (event,) = AuditTrail().of(subject(key))
    assert (event["action"], event["because"]) == ("quarantine.discard", "unusable")


def test_the_instance_of_another_object_outlives_a_conflict(hospital: Hospital, tmp_path: Path) -> None:
    hospital.push(file(tmp_path))
    hospital.push(file(tmp_path, "b.dcm", SeriesDescription="another text"))
    hospital.pump()
    (conflict,) = operations().quarantine.held("conflict")
    operations().quarantine.discard(conflict.object_key, Because.NOT_FOR_US)
    (instance,) = hospital.instances.of_study(conflict.study_uid)
    assert instance.state is InstanceState.STORED


def test_an_image_that_comes_at_once_with_a_broken_copy_is_stored(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = InstanceRepository.add
    rivals: list[bool] = []

    def after_a_rival(self: InstanceRepository, new: Instance, settled: Receipt) -> bool:
        if not rivals:
            # Another process has recorded the broken copy between the look and the write.
            broken = {"object_key": "in/routine/rival", "object_version": "1"}
            opened = LedgerRepository().open(
                Receipt(
                    object_key="in/routine/rival", version_id="1", source="test", received_at=new.stored_at
                )
            )
            held_copy = new.model_copy(
                update={**broken, "state": InstanceState.HELD, "reason": "unreadable", "studies_key": ""}
            )
            rivals.append(add(self, held_copy, opened.settled(Outcome.QUARANTINED, reason="unreadable")))
        return add(self, new, settled)

    monkeypatch.setattr(InstanceRepository, "add", after_a_rival)
    (sent,) = hospital.push(file(tmp_path))
    hospital.pump()
    assert rivals == [True]
    assert receipt(sent.object_key).outcome is Outcome.STORED
    (instance,) = InstanceRepository().of_study(receipt(sent.object_key).study_uid)
    assert (instance.state, instance.object_key) == (InstanceState.STORED, sent.object_key)


def test_what_was_given_up_comes_no_more(hospital: Hospital, tmp_path: Path) -> None:
    key = held(hospital, tmp_path)
    operations().quarantine.discard(key, Because.UNUSABLE)
    with pytest.raises(CannotError, match="discarded"):
        operations().quarantine.release(key, Because.FIXED)
    operations().quarantine.discard(key, Because.UNUSABLE)  # again is fine
    assert len(AuditTrail().of(subject(key))) == 1


def test_only_what_lies_in_quarantine_can_be_decided_about(hospital: Hospital, tmp_path: Path) -> None:
    (sent,) = hospital.push(file(tmp_path))
    hospital.pump()
    quarantine = operations().quarantine
    with pytest.raises(CannotError, match="stored"):
        quarantine.release(sent.object_key, Because.FIXED)
    with pytest.raises(CannotError, match="stored"):
        quarantine.discard(sent.object_key, Because.UNUSABLE)
    with pytest.raises(NotFoundError):
        quarantine.show("in/routine/none")


def test_an_object_without_bytes_can_only_be_given_up(hospital: Hospital) -> None:
    key = unreadable(hospital)
    hospital.cloud.s3.delete_object(Bucket="incoming", Key=key, VersionId=receipt(key).version_id)
    with pytest.raises(CannotError, match="bytes"):
        operations().quarantine.release(key, Because.FIXED)
    assert receipt(key).outcome is Outcome.QUARANTINED
    operations().quarantine.discard(key, Because.UNUSABLE)
    assert count().balanced


def test_of_two_who_decide_one_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    key = held(hospital, tmp_path)
    seen = receipt(key)
    repository = QuarantineRepository()
    nothing = lambda _transaction: None  # noqa: E731
    assert repository.discard(seen, "2026-01-01T00:00:00.000000Z", nothing)
    assert not repository.release(seen, False, nothing)
    assert not repository.discard(seen, "2026-01-01T00:00:00.000000Z", nothing)
    assert not repository.reopen(seen, None, "", nothing)
    assert receipt(key).discarded_at == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("role", [Role.RADIOLOGIST, Role.ADMIN, Role.TECHNOLOGIST])
def test_others_may_look_at_most(hospital: Hospital, role: Role) -> None:
    key = unreadable(hospital)
    quarantine = operations(Actor("sam", role)).quarantine
    with pytest.raises(NotAllowedError, match=r"quarantine\.release"):
        quarantine.release(key, Because.FIXED)
    with pytest.raises(NotAllowedError, match=r"quarantine\.discard"):
        quarantine.discard(key, Because.FIXED)
    if role is Role.RADIOLOGIST:
        with pytest.raises(NotAllowedError, match=r"quarantine\.view"):
            quarantine.show(key)
    assert receipt(key).outcome is Outcome.QUARANTINED
    assert AuditTrail().of(subject(key)) == []
