"""The audit trail end to end over moto: concurrent writers, tampering, the daily export, the commands."""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from firstread.audit.chain import Fault, verify
from firstread.audit.export import DayNotOverError, ExportError, Exports, Manifest
from firstread.audit.search import NothingAskedError, Query, page
from firstread.cli import app
from firstread.errors import TransientError
from firstread.records.audit import AuditEvent, AuditTrail, Entry, VaultAudit
from firstread.storage import Bucket
from functions.export_audit import handler
from tests.support import events
from tests.support.cloud import Cloud

DAY = "2026-03-02"
NEXT_NIGHT = datetime(2026, 3, 3, 3, 10, tzinfo=UTC)
STUDY, OTHER = "study#2.25.1", "study#2.25.2"


def record(
    subject: str = STUDY, action: str = "study.view", actor: str = "ann", at: str = "08:00", day: str = DAY
) -> None:
    AuditTrail().record(AuditEvent(subject, action, actor, "radiologist", f"{day}T{at}:00.000000Z"))


@pytest.fixture
def trail(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> AuditTrail:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    for number in range(3):
        record(at=f"08:0{number}")
    record(OTHER, "image.view", "bob", "09:00")
    record(OTHER, "report.view", "bob", "23:59")
    return AuditTrail()


@pytest.fixture
def exports(trail: AuditTrail) -> Exports:
    return Exports(trail, Bucket("audit"))


def firstread(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["audit", *arguments, "--deployed"], env={"COLUMNS": "250"})
    assert "Traceback" not in done.output, done.output
    return done


def change(cloud: Cloud, subject: str, number: int, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a row as somebody with rights on the table could."""
    key = {"subject": {"S": subject}, "event_id": {"S": f"{number:010d}"}}
    item = cloud.dynamodb.get_item(TableName="audit_table", Key=key)["Item"]
    edit(item)
    cloud.dynamodb.put_item(TableName="audit_table", Item=item)


def remove(cloud: Cloud, subject: str, number: int) -> None:
    key = {"subject": {"S": subject}, "event_id": {"S": f"{number:010d}"}}
    cloud.dynamodb.delete_item(TableName="audit_table", Key=key)


def another_actor(item: dict[str, Any]) -> None:
    item["body"]["S"] = item["body"]["S"].replace("ann", "eve")


@pytest.mark.usefixtures("cloud", "one_call_at_a_time")
def test_concurrent_writers_lose_nothing_and_break_nothing() -> None:
    def write(number: int) -> None:
        record(actor=f"writer-{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    entries = list(AuditTrail().entries(STUDY))
    assert verify(STUDY, entries).is_whole
    assert sorted(entry.actor for entry in entries) == sorted(f"writer-{number}" for number in range(40))


def test_a_subject_a_day_and_an_actor_are_found_newest_first(trail: AuditTrail) -> None:
    record(day="2026-03-03")

    def found(**query: str) -> list[tuple[str, int]]:
        return [(entry.subject, entry.number) for entry in page(trail, Query(**query)).entries]

    assert found(subject="2.25.1") == [(STUDY, 4), (STUDY, 3), (STUDY, 2), (STUDY, 1)]
    assert found(subject=STUDY, day="2026-03-03") == [(STUDY, 4)]
    assert found(day=DAY) == [(OTHER, 2), (OTHER, 1), (STUDY, 3), (STUDY, 2), (STUDY, 1)]
    assert found(actor="bob", action="image") == found(actor="bob", action="image.view") == [(OTHER, 1)]
    assert found(actor="ann", day="2026-03-03") == [(STUDY, 4)]
    assert found(actor="bob", action="imag") == []
    with pytest.raises(NothingAskedError):
        page(trail, Query(action="study.view"))


@pytest.mark.parametrize("query", [Query(day=DAY), Query(actor="ann"), Query(subject=STUDY)])
def test_pages_follow_each_other_without_loss_or_repetition(trail: AuditTrail, query: Query) -> None:
    seen: list[Entry] = []
    following = ""
    while True:
        found = page(trail, query, following, most=1)
        seen += found.entries
        following = found.following
        if not following:
            break
    assert seen == list(page(trail, query).entries)
    for forged in ("x", "WzFd", "bnVsbA=="):
        with pytest.raises(NothingAskedError):
            page(trail, query, forged)


def test_the_export_of_a_day_is_written_once(cloud: Cloud, exports: Exports) -> None:
    done = exports.catch_up(NEXT_NIGHT)
    assert [manifest.day for manifest in done] == [f"2026-02-{day}" for day in range(24, 29)] + [
        "2026-03-01",
        DAY,
    ]
    assert [manifest.events for manifest in done] == [0] * 6 + [5]
    before = cloud.objects("audit")
    manifest = Manifest.parse(before[f"audit/{DAY}/manifest.json"])
    assert manifest == done[-1]
    assert {subject: head.number for subject, head in manifest.heads.items()} == {STUDY: 3, OTHER: 2}
    lines = gzip.decompress(before[manifest.events_key]).splitlines()
    assert [json.loads(line)["recorded"][11:16] for line in lines] == [
        "08:00",
        "08:01",
        "08:02",
        "09:00",
        "23:59",
    ]
    # Again, and after somebody wrote late: nothing changes.
    assert exports.catch_up(NEXT_NIGHT) == []
    record(at="23:59")
    assert exports.export(DAY, NEXT_NIGHT) == manifest
    assert cloud.objects("audit") == before
    versions = cloud.s3.list_object_versions(Bucket="audit")["Versions"]
    assert len(versions) == len(before)


def test_an_export_that_died_before_its_manifest_is_finished(cloud: Cloud, exports: Exports) -> None:
    manifest = exports.export(DAY, NEXT_NIGHT)
    version = cloud.s3.list_object_versions(Bucket="audit", Prefix=f"audit/{DAY}/manifest")["Versions"][0]
    cloud.s3.delete_object(Bucket="audit", Key=version["Key"], VersionId=version["VersionId"])
    assert exports.export(DAY, NEXT_NIGHT) == manifest


def test_a_day_that_is_not_over_is_refused(exports: Exports) -> None:
    for moment in (datetime(2026, 3, 2, 23, 59, tzinfo=UTC), datetime(2026, 3, 3, 0, 59, tzinfo=UTC)):
        with pytest.raises(DayNotOverError):
            exports.export(DAY, moment)
        assert DAY not in {manifest.day for manifest in exports.catch_up(moment)}
    assert exports.export(DAY, datetime(2026, 3, 3, 1, tzinfo=UTC)).events == 5


def test_events_that_met_at_midnight_leave_no_gap_in_an_export(exports: Exports) -> None:
    record(day="2026-03-03", at="00:00")  # a program whose clock is ahead
    record(at="23:59")
    manifest = exports.export(DAY, NEXT_NIGHT)
    assert (manifest.events, manifest.heads[STUDY].number, manifest.gaps) == (7, 5, ())


@pytest.mark.usefixtures("trail")
def test_the_nightly_function(cloud: Cloud) -> None:
    handler.bootstrap.cache_clear()
    tick = {"time": "2026-03-03T03:10:00Z"}
    assert handler.handle(tick, events.CONTEXT)[DAY] == 5
    assert handler.handle(tick, events.CONTEXT) == {}
    remove(cloud, STUDY, 2)
    record(day="2026-03-03", at="08:00")
    record(day="2026-03-03", at="08:01")
    record(day="2026-03-03", at="08:02")
    remove(cloud, STUDY, 5)
    with pytest.raises(TransientError):
        handler.handle({"time": "2026-03-04T03:10:00Z"}, events.CONTEXT)
    (gaps,) = [
        Manifest.parse(body).gaps
        for key, body in cloud.objects("audit").items()
        if key == "audit/2026-03-03/manifest.json"
    ]
    assert gaps == (STUDY,)
    handler.bootstrap.cache_clear()


def test_verify_finds_a_change_a_gap_and_a_cut(cloud: Cloud, exports: Exports) -> None:
    done = firstread("verify", "--subject", "2.25.1")
    assert (done.exit_code, done.stdout) == (0, "1 chains are whole, 0 broken; 3 events\n")
    exports.export(DAY, NEXT_NIGHT)
    assert firstread("verify", "--day", DAY).stdout == "2 chains are whole, 0 broken; 5 events\n"
    remove(cloud, OTHER, 2)
    for arguments in (("--subject", OTHER), ("--day", DAY)):
        done = firstread("verify", *arguments)
        assert done.exit_code == 1
        assert f"{OTHER}, event 2: {Fault.CUT_OFF.value}" in done.stderr
    remove(cloud, OTHER, 1)
    assert f"{OTHER}, event 1: {Fault.CUT_OFF.value}" in firstread("verify", "--subject", OTHER).stderr
    change(cloud, STUDY, 2, another_actor)
    done = firstread("verify", "--subject", STUDY)
    assert done.exit_code == 1
    assert f"{STUDY}, event 2: {Fault.DIGEST.value}" in done.stderr
    remove(cloud, STUDY, 1)
    assert f"{STUDY}, event 1: {Fault.PLACE.value}" in firstread("verify", "--day", DAY).stderr


@pytest.mark.usefixtures("trail")
def test_a_row_that_was_hidden_from_an_index_is_found(cloud: Cloud) -> None:
    change(cloud, STUDY, 2, lambda item: item.pop("actor"))
    assert f"event 2: {Fault.LISTED.value}" in firstread("verify", "--subject", STUDY).stderr


@pytest.mark.usefixtures("trail")
def test_an_export_verifies_by_itself(tmp_path: Path) -> None:
    assert firstread("export", "--day", DAY, "--output", str(tmp_path)).exit_code == 0
    file, beside = tmp_path / f"{DAY}.ndjson.gz", tmp_path / "manifest.json"
    assert firstread("verify", "--all-of-export", str(file)).stdout.startswith("2 chains are whole")
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(lines[0].replace(b'"ann"', b'"eve"') + b"".join(lines[1:])))
    assert "not the one of its manifest" in firstread("verify", "--all-of-export", str(file)).stderr
    beside.unlink()
    done = firstread("verify", "--all-of-export", str(file))
    assert f"{STUDY}, event 1: {Fault.UNLIKE.value}" in done.stderr
    file.write_bytes(gzip.compress(b"".join([lines[0], *lines[2:]])))
    assert (
        f"{STUDY}, event 2: {Fault.PLACE.value}" in firstread("verify", "--all-of-export", str(file)).stderr
    )
    for garbage in (b"x", gzip.compress(b"{}\n"), gzip.compress(b"x"), gzip.compress(lines[0])[:-9]):
        file.write_bytes(garbage)
        done = firstread("verify", "--all-of-export", str(file))
        assert done.exit_code == 1 and "firstread:" in done.stderr


def test_a_manifest_that_is_none_is_refused() -> None:
    for text in ("", "{}", "[]", '{"format": "firstread audit export", "version": 2}'):
        with pytest.raises(ExportError):
            Manifest.parse(text)


def test_search_and_each_use_are_events(trail: AuditTrail) -> None:
    lines = firstread("search", "--by", "bob", "--json", "--actor", "kim").stdout.splitlines()
    assert [json.loads(line)["subtype"][-1]["code"] for line in lines] == ["report.view", "image.view"]
    assert "study.view" in firstread("search", "--day", DAY, "--actor", "kim").stdout
    assert firstread("search", "--subject", "Quimby^Theodora", "--actor", "kim").exit_code == 0
    assert "say a day, an actor or a subject" in firstread("search", "--action", "study").stderr
    used = trail.of("session#kim")
    assert [(each["action"], each["role"], each["what"]) for each in used] == [
        ("audit.view", "auditor", "search")
    ] * 3
    assert [each.get("by", "") for each in used] == ["bob", "", ""]
    assert "Quimby" not in json.dumps(used)
    assert firstread("export", "--day", "2999-01-01").exit_code == 1
    assert firstread("export", "--day", "someday").exit_code == 2
    assert firstread("verify").exit_code == 2


@pytest.mark.usefixtures("cloud")
def test_a_look_at_whose_a_study_is_belongs_to_the_study() -> None:
    said: dict[str, str | bool] = {"at": f"{DAY}T08:00:00.000000Z", "actor": "ann", "role": "radiologist"}
    said |= {"action": "identity.view", "subject": "2.25.1", "purpose": "treatment", "allowed": True}
    VaultAudit().record({**said, "patient": "P0123456789ABCDEF"})
    VaultAudit().record(said)
    (event,) = AuditTrail().of(STUDY)
    assert event["patient"] == "P0123456789ABCDEF"
    assert len(AuditTrail().of("identity#2.25.1")) == 1
