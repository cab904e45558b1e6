"""A folder in, a folder and a report out; interrupted, resumed, sent again."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from firstread.deid import Option, Profile, open_vault
from firstread.deid.folder import JobError, UsageError
from firstread.deid.folder import worker as worker_module
from firstread.deid.folder.worker import Worker
from firstread.deid.process import process
from firstread.errors import FirstReadError
from tests.support.detectors import NoText
from tests.support.dicoms import encode, header
from tests.unit.deid.folder.jobs import BLACK, NAMES, World, slice_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def outcomes(files: list[Any]) -> list[tuple[str, str | None]]:
    return [(file["outcome"], file["reason"]) for file in files]


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in ("started", "ended")}


def test_every_file_is_in_the_report_by_its_digest(world: World) -> None:
    one = world.put("Quimby Theodora/one.dcm", slice_of(1))
    two = world.put("Quimby Theodora/two", slice_of(2))
    text = world.put("notes about Quimby.txt", b"Quimby came at noon")
    empty = world.put(".hidden", b"")
    short = world.put("short.dcm", slice_of(3)[:-9])
    files = world.run()
    told = {file["input_sha256"]: (file["outcome"], file["reason"]) for file in files}
    assert told == {
        one: ("deidentified", None),
        two: ("deidentified", None),
        text: ("quarantined", "not_dicom"),
        empty: ("quarantined", "empty"),
        short: ("quarantined", "truncated"),
    }
    assert {file["output"] for file in files if file["output"]} == set(world.outputs())


def test_the_report_says_what_was_done(world: World) -> None:
    for number in range(3):
        world.put(f"{number}", slice_of(number))
    world.put("x", b"no DICOM")
    world.run(options=Profile.LONGITUDINAL.options | {Option.RETAIN_SAFE_PRIVATE})
    report = world.report()
    assert report["complete"] is True
    assert report["profile"] == "longitudinal"
    assert "retain_safe_private" in report["options"]
    assert report["started"] <= report["ended"]
    assert report["totals"] == {"files": 4, "deidentified": 3, "quarantined": 1}
    assert report["reasons"] == {"not_dicom": 1}
    assert report["actions"]["uid"] == 3 * 3
    assert report["actions"]["shift"] == 3


def test_outputs_are_named_by_what_is_in_them(world: World) -> None:
    world.put("a", slice_of(1))
    (file,) = world.run()
    found = pydicom.dcmread(world.folder / "out" / file["output"])
    parts = (found.PatientID, found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID)
    assert file["output"] == "/".join(parts) + ".dcm"


def test_retained_uids_cannot_lead_out_of_the_folder(world: World) -> None:
    world.put("a", slice_of(1, StudyInstanceUID="../../..", SeriesInstanceUID="1.2/../3"))
    (file,) = world.run(options=Profile.LONGITUDINAL.options | {Option.RETAIN_UIDS})
    assert file["outcome"] == "deidentified"
    assert ".." not in file["output"]
    assert set(world.outputs()) == {file["output"]}


def test_the_same_content_twice_is_a_duplicate(world: World) -> None:
    digest = world.put("a", slice_of(1))
    world.put("b", slice_of(1))
    first, second = world.run()
    assert outcomes([first, second]) == [("deidentified", None), ("duplicate", None)]
    assert first["output"] == second["output"]
    assert first["input_sha256"] == second["input_sha256"] == digest
    assert len(world.outputs()) == 1


@pytest.mark.parametrize("other", [{"Modality": "DX"}, {"PatientID": "MRN-1"}, {"StudyDate": "20040827"}])
def test_another_content_of_the_same_instance_is_a_conflict(world: World, other: dict[str, object]) -> None:
    world.put("a", slice_of(1))
    before = world.put("b", slice_of(1, BLACK, **other))
    files = world.run()
    assert outcomes(files) == [("deidentified", None), ("quarantined", "conflict")]
    assert files[1]["input_sha256"] == before
    assert files[1]["output"] is None
    assert len(world.outputs()) == 1


def test_other_pixels_of_the_same_instance_are_a_conflict(world: World) -> None:
    dataset = header()
    world.put("a", encode(dataset, pixels=BLACK))
    world.put("b", encode(dataset, pixels=b"\1\0" * (len(BLACK) // 2)))
    assert outcomes(world.run()) == [("deidentified", None), ("quarantined", "conflict")]


def test_a_resend_elsewhere_gives_the_same_bytes(world: World) -> None:
    for number in range(3):
        world.put(f"{number}", slice_of(number))
    world.run("first")
    world.run("second")
    assert world.outputs("first") == world.outputs("second")
    assert world.files("first") == world.files("second")


def test_a_resend_to_the_same_folder_is_a_duplicate_and_what_is_new_is_not(world: World) -> None:
    world.put("a", slice_of(1))
    (before,) = world.run()
    content = world.outputs()
    world.put("b", slice_of(2))
    again, new = world.run(report=world.folder / "out.json")
    assert again == before | {"outcome": "duplicate"}
    assert new["outcome"] == "deidentified"
    assert world.outputs().items() > content.items()


def test_another_key_is_another_world(world: World, tmp_path: Path) -> None:
    world.put("a", slice_of(1))
    (one,) = world.run("one")
    (two,) = world.run("two", key=tmp_path / "key2", link=tmp_path / "link2")
    assert not set(one["output"].split("/")) & set(two["output"].split("/"))


def test_the_link_file_shows_nothing_without_its_key(world: World) -> None:
    world.put("a", slice_of(1))
    world.run()
    found = b"".join(path.read_bytes() for path in world.folder.glob("link*"))
    for name in NAMES:
        assert name.encode() not in found
    assert b"1.2.826" not in found


def test_images_that_need_a_look_get_one(world: World) -> None:
    world.put("a", slice_of(1, BurnedInAnnotation="YES"))
    assert outcomes(world.run("without")) == [("quarantined", "may_contain_burned_in_text")]
    assert outcomes(world.run("with", detector=NoText)) == [("deidentified", None)]


@pytest.mark.parametrize("jobs", [2])
def test_several_processes_come_to_the_same(world: World, jobs: int) -> None:
    for number in range(40):
        world.put(f"{number:02}", slice_of(number // 2, Modality="CR" if number < 30 else f"M{number}"))
    world.put("41", b"no DICOM")
    world.run("one")
    world.run("several", jobs=jobs)
    assert world.outputs("one") == world.outputs("several")
    assert timeless(world.report("one")) == timeless(world.report("several"))


def interrupt_after(count: int, error: BaseException) -> Callable[[], None]:
    left = [count]

    def settled() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error

    return settled


def filled(world: World) -> None:
    for number in range(6):
        world.put(f"{number}", slice_of(number))
    world.put("6", slice_of(2))
    world.put("7", slice_of(3, Modality="DX"))
    world.put("8", b"no DICOM")


def test_an_interrupted_job_reports_and_goes_on(world: World) -> None:
    filled(world)
    whole = world.job("whole")
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        world.run(settled=interrupt_after(3, KeyboardInterrupt()))
    partial = world.report()
    assert partial["complete"] is False
    assert outcomes(partial["files"]) == [("deidentified", None)] * 4
    assert len(world.outputs()) == 4
    world.run()
    assert timeless(world.report()) == timeless(world.report("whole"))
    assert world.outputs() == world.outputs("whole")
    assert sorted(path.name for path in world.folder.iterdir() if path.name.startswith(".")) == []


def test_what_is_done_is_not_done_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(world)
    with pytest.raises(KeyboardInterrupt):
        world.run(settled=interrupt_after(3, KeyboardInterrupt()))
    done: list[str] = []
    process = Worker._deidentify

    def count(self: Worker, source: Any, sha256: str, draft: Path) -> Any:  # noqa: ANN401
        done.append(sha256)
        return process(self, source, sha256, draft)

    monkeypatch.setattr(Worker, "_deidentify", count)
    world.run()
    assert len(done) == 5


@pytest.mark.parametrize("harm", ["gone", "empty", "not yet named"])
def test_an_output_that_is_not_whole_is_made_again(world: World, harm: str) -> None:
    """As after a kill between two steps, or when the power went."""
    filled(world)
    world.run("whole")
    with pytest.raises(KeyboardInterrupt):
        world.run(settled=interrupt_after(3, KeyboardInterrupt()))
    output = world.folder / "out" / world.files()[1]["output"]
    if harm == "empty":
        output.write_bytes(b"")
    else:
        output.unlink()
    if harm == "not yet named":
        (world.folder / "out" / ".firstread-deid").mkdir()
        (world.folder / "out" / ".firstread-deid" / "1").write_bytes(b"half")
    world.run()
    assert timeless(world.report()) == timeless(world.report("whole"))
    assert world.outputs() == world.outputs("whole")


def test_an_input_that_changed_meanwhile_is_a_conflict(world: World) -> None:
    filled(world)
    with pytest.raises(KeyboardInterrupt):
        world.run(settled=interrupt_after(3, KeyboardInterrupt()))
    world.put("1", slice_of(1, Modality="DX"))
    assert outcomes(world.run())[1] == ("quarantined", "conflict")


def test_an_unfinished_job_is_not_mixed_with_another(world: World) -> None:
    filled(world)
    with pytest.raises(KeyboardInterrupt):
        world.run(settled=interrupt_after(3, KeyboardInterrupt()))
    strict = Profile.SAFE_HARBOR_STRICT
    with pytest.raises(UsageError, match="other settings"):
        world.run(profile=strict, options=strict.options)
    world.run()


def test_two_jobs_do_not_write_to_one_folder(world: World) -> None:
    world.put("a", slice_of(1))
    (world.folder / "out").mkdir()
    folder = os.open(world.folder / "out", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(JobError, match="another job"):
            world.run()
    finally:
        os.close(folder)
    world.run()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_cannot_be_read_is_listed_without_a_digest(world: World, jobs: int) -> None:
    world.put("a", slice_of(1))
    (world.source / "gone").symlink_to(world.source / "nothing")
    (world.source / "out").symlink_to(world.folder)
    os.mkfifo(world.source / "pipe")
    files = world.run(jobs=jobs)
    assert outcomes(files) == [
        ("deidentified", None),
        ("quarantined", "not_readable"),
        ("quarantined", "link_outside"),
        ("quarantined", "not_a_file"),
    ]
    assert [file["input_sha256"] for file in files[1:]] == [None] * 3


def test_a_name_that_is_no_text_is_a_name(world: World) -> None:
    world.source.mkdir()
    with open(os.fsencode(world.source) + b"/\xff\xfe", "wb") as file:  # noqa: PTH123 - bytes
        file.write(slice_of(1))
    assert outcomes(world.run()) == [("deidentified", None)]


def test_a_full_disk_stops_the_job_and_it_goes_on_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(world)

    def full(_file: Any, target: Any, **_values: Any) -> Any:  # noqa: ANN401
        target.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", "/in/Quimby.dcm")

    monkeypatch.setattr(worker_module, "process", full)
    with pytest.raises(JobError, match="No space left") as told:
        world.run()
    assert "Quimby" not in str(told.value)
    assert world.outputs() == {}
    monkeypatch.setattr(worker_module, "process", process)
    assert outcomes(world.run())[:6] == [("deidentified", None)] * 6


@pytest.mark.parametrize("error", [ValueError("Quimby"), OSError("Quimby"), MemoryError()])
def test_a_file_that_nobody_has_thought_of_is_quarantined(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: Any, **_values: Any) -> None:  # noqa: ANN401
        raise error

    monkeypatch.setattr(worker_module, "process", fail)
    world.put("a", slice_of(1))
    assert outcomes(world.run()) == [("quarantined", "unreadable")]
    assert world.outputs() == {}


def test_a_failing_vault_stops_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_values: Any) -> None:  # noqa: ANN401
        raise FirstReadError("a row is not what was written")

    monkeypatch.setattr(worker_module, "process", fail)
    world.put("a", slice_of(1))
    with pytest.raises(JobError, match="a row"):
        world.run()


def test_usage(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    job = world.job()
    wrong = {
        "--in is not a folder": replace(job, source=tmp_path / "nowhere"),
        "--out is not a folder": replace(job, target=tmp_path / "file"),
        "in one another": replace(job, target=job.source),
        "must not lie in one another": replace(job, target=job.source / "sub"),
        "lie in one another": replace(job, target=tmp_path),
        "--in and --out must not": replace(job, target=tmp_path / "linked"),
        "--recipe: the recipe cannot be read": replace(job, recipe=tmp_path / "nowhere"),
        "--report is a folder": replace(job, report=tmp_path),
        "--link must not lie in --in": replace(job, link=job.source / "link"),
        "--key leads back": replace(job, key=job.target / "key"),
        "must be different files": replace(job, report=job.key.parent / "." / job.key.name),
        "and --report must be different": replace(job, report=job.link),
    }
    for text, each in wrong.items():
        with pytest.raises(UsageError, match=text):
            each.run()
    assert not (tmp_path / "key").exists()
    assert not (tmp_path / "link").exists()


def test_a_report_may_lie_in_a_new_output_folder(world: World) -> None:
    world.put("a", slice_of(1))
    world.job(report=world.folder / "out" / "report.json").run()
    assert "report.json" in world.outputs()


def test_folders_that_are_missing_are_made(world: World) -> None:
    world.put("a", slice_of(1))
    key, link, report = (world.folder / "new" / name / name for name in ("key", "link", "report"))
    replace(world.job(), key=key, link=link, report=report).run()
    assert key.is_file() and link.is_file() and report.is_file()


def test_a_recipe_is_laid_over_the_profile(world: World) -> None:
    pytest.importorskip("deid.config", reason="the package deid is not installed")
    recipe = world.folder / "deid.site"
    recipe.write_text("FORMAT dicom\n\n%header\nREMOVE BodyPartExamined\n")
    world.put("a", slice_of(1))
    world.job(recipe=recipe).run()
    assert "BodyPartExamined" not in pydicom.dcmread(next((world.folder / "out").rglob("*.dcm")))


def test_a_link_file_opens_with_its_key_only(world: World) -> None:
    world.put("a", slice_of(1))
    world.run()
    (world.folder / "other").write_bytes(bytes(32))
    with pytest.raises(UsageError, match="the key is not the one"):
        world.run("again", key=world.folder / "other")
    with pytest.raises(UsageError, match="its key is not"):
        world.run("again", key=world.folder / "new")
    assert not (world.folder / "new").exists()
    (world.folder / "short").write_bytes(b"x")
    with pytest.raises(UsageError, match="32 bytes"):
        world.run("again", key=world.folder / "short")
    shutil.copy(world.folder / "key", world.folder / "text")
    with pytest.raises(UsageError, match="not a vault"):
        world.run("again", link=world.folder / "text")


def test_the_link_file_gives_the_same_surrogates_as_the_vault(world: World) -> None:
    world.put("a", slice_of(1))
    (file,) = world.run()
    vault = open_vault(world.folder / "link", world.folder / "key")
    original = "1.2.826.0.1.3680043.8.498.9.1"
    assert vault.uids([original])[original] == Path(file["output"]).stem
