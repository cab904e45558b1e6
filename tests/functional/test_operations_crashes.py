"""A command that dies behind any of its writes, and is given again, leaves what an undisturbed one leaves."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from firstread.operations import dead_letters
from firstread.operations.quarantine import Because
from firstread.study import InstanceState
from tests.conftest import forget
from tests.support.cloud import Cloud, account
from tests.support.events import object_created
from tests.support.hospital import Hospital
from tests.support.operations import count, events_are_lost, file, held, operations, reconcile
from tests.support.wire import CrashError, dying_after_write


def release(key: str) -> None:
    operations().quarantine.release(key, Because.FIXED)


def discard(key: str) -> None:
    operations().quarantine.discard(key, Because.UNUSABLE)


def mend(_key: str) -> None:
    reconcile()


def replay(_key: str) -> None:
    list(operations().dead_letters(os.environ).replay())


def a_ruined_day(hospital: Hospital, folder: Path) -> str:
    """One object in quarantine, one that nobody knows of, one whose de-identified bytes are gone; a dead letter."""
    hospital.push(file(folder, "a.dcm", StudyInstanceUID="1.2.3", SOPInstanceUID="1.2.3.1"))
    hospital.pump()
    (key,) = hospital.cloud.objects("studies")
    hospital.cloud.s3.delete_object(Bucket="studies", Key=key)
    quarantined = held(hospital, folder, StudyInstanceUID="1.2.4", SOPInstanceUID="1.2.4.1")
    lost, version = hospital.put(
        file(folder, "c.dcm", StudyInstanceUID="1.2.5", SOPInstanceUID="1.2.5.1").read_bytes()
    )
    events_are_lost(hospital)
    body = object_created("incoming", lost, version)
    _dead_letter(hospital.cloud, "arrivals-dead", body)
    _dead_letter(hospital.cloud, "gather-dead", {"DDBStreamBatchInfo": {"shardId": "1"}})
    return quarantined


def _dead_letter(cloud: Cloud, queue: str, body: object) -> None:
    cloud.sqs.send_message(QueueUrl=cloud.url(queue), MessageBody=json.dumps(body))


def after(
    monkeypatch: pytest.MonkeyPatch, folder: Path, command: Callable[[str], None], number: int
) -> tuple[dict[str, object], bool]:
    """Give a command on a ruined day; it dies once behind its n-th write. Return what is left, and whether it died."""
    with account() as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        forget()
        hospital = Hospital(cloud, monkeypatch)
        key = a_ruined_day(hospital, folder)
        died = False
        try:
            with dying_after_write(cloud.wire, number):
                command(key)
        except CrashError:
            died = True
            forget()
            command(key)
        hospital.pump()
        counted = count()
        assert counted.balanced or command is not mend
        instances = [
            (each.state, each.reason, bool(each.studies_key))
            for row in cloud.rows("instances_table")
            for each in [hospital.instances.get(row["study_uid"]["S"], row["sop_uid"]["S"])]
            if each is not None
        ]
        left = {
            "count": counted,
            "instances": sorted(instances),
            "objects": len(cloud.objects("studies")),
            "dead": [len(cloud.waiting("arrivals-dead")), len(cloud.waiting("gather-dead"))],
            "audit": sum(row["subject"]["S"].startswith("object#") for row in cloud.rows("audit_table")),
        }
        return left, died


@pytest.mark.parametrize("command", [release, discard, mend, replay])
def test_dying_behind_any_write_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Callable[[str], None]
) -> None:
    # What a killed replay had in hand is to be seen again after a minute; here, at once.
    monkeypatch.setattr(dead_letters, "_HIDDEN_SECONDS", 0)
    undisturbed, _ = after(monkeypatch, tmp_path, command, 1000)
    number, died = 1, True
    while True:
        disturbed, died = after(monkeypatch, tmp_path, command, number)
        if not died:
            break
        assert disturbed == undisturbed, f"{command.__name__} died behind write {number}"
        number += 1
    assert number > 2, "the command makes fewer writes than it should"


def test_what_the_commands_leave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def states(command: Callable[[str], None]) -> list[InstanceState]:
        instances = after(monkeypatch, tmp_path, command, 1000)[0]["instances"]
        assert isinstance(instances, list)
        return [state for state, _, _ in instances]

    stored, discarded = InstanceState.STORED, InstanceState.DISCARDED
    assert states(release) == [stored, stored]
    assert states(discard) == [discarded, stored]
    assert states(mend) == [InstanceState.HELD, stored, stored]
    assert states(replay) == [InstanceState.HELD, stored, stored]
