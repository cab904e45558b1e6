"""`firstread deid`, as a user types it: codes, words, no names anywhere, and a kill in the middle."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from firstread.cli import app
from firstread.deid import Option, Profile
from firstread.deid.process import default_detector
from tests.support.dicoms import encode, header
from tests.unit.deid.folder.jobs import BLACK, NAMES, World, slice_of
from tests.unit.docs import pages

HOW_TO = "docs/how-to/deidentify-a-folder.md"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def arguments(world: World, *more: str, profile: str = "longitudinal") -> list[str]:
    """Return the command line on a world."""
    place = world.folder
    paths = {"in": world.source, "out": place / "out", "key": place / "key", "link": place / "link"}
    named = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    return ["deid", *named, "--report", str(place / "out.json"), "--profile", profile, *more]


def deid(world: World, *more: str, profile: str = "longitudinal") -> Result:
    return CliRunner().invoke(app, arguments(world, "--jobs", "1", *more, profile=profile))


@pytest.fixture(autouse=True)
def _no_text_networks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looking for text takes its time, and is not what is asked here."""
    monkeypatch.setattr("firstread.deid.process.find_spec", lambda _name: None)
    default_detector.cache_clear()
    yield
    default_detector.cache_clear()


def names_in(*texts: str | bytes) -> list[str]:
    whole = b"\n".join(text if isinstance(text, bytes) else text.encode() for text in texts).lower()
    return [name for name in NAMES if name.lower().encode() in whole]


def test_what_came_out_is_told_by_number_and_reason(world: World) -> None:
    world.put("1", slice_of(1))
    world.put("2", slice_of(1))
    world.put("3", b"no DICOM")
    done = deid(world)
    assert done.exit_code == 0
    cells = re.findall(r"(deidentified|duplicate|quarantined)\W+(\w*)\W+(\d+)", done.stdout)
    assert cells == [("deidentified", "", "1"), ("duplicate", "", "1"), ("quarantined", "not_dicom", "1")]
    assert str(world.folder / "out.json") in done.stdout
    assert len(world.files()) == 3


def test_no_name_of_the_input_is_anywhere(world: World) -> None:
    world.put("Quimby^Theodora/MRN-998877.dcm", slice_of(1))
    world.put("Quimby^Theodora/again.dcm", slice_of(1))
    world.put("Quimby^Theodora/other.dcm", slice_of(1, Modality="DX"))
    world.put("Theodora.txt", b"Quimby")
    (world.source / "ACC4711").symlink_to("/Quimby")
    world.source.joinpath("Quimby.pipe").symlink_to(world.source / "ACC4711")
    done = deid(world)
    assert done.exit_code == 0
    outputs = world.outputs()
    assert names_in(done.stdout, done.stderr, *outputs, *outputs.values()) == []
    assert names_in((world.folder / "out.json").read_bytes()) == []


def test_no_name_is_in_the_journal_of_an_interrupted_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("Quimby^Theodora/MRN-998877.dcm", slice_of(1))
    world.put("Quimby^Theodora/other.dcm", b"Quimby")

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firstread.deid.folder.job.os.sync", interrupt)
    done = deid(world)
    assert done.exit_code == 130
    assert "goes on" in done.stderr
    left = [path for path in world.folder.iterdir() if path.name.startswith(".out.json.unfinished")]
    assert left
    assert names_in(done.stdout, done.stderr, *(path.read_bytes() for path in left)) == []
    assert not world.report()["complete"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--in", "nowhere"), "--in is not a folder"),
        (("--profile", "basic"), "longitudinal, *safe-harbor-strict|safe-harbor-strict, *longitudinal"),
        (("--with", "retain-everything"), "retain-safe-private"),
        (("--jobs", "0"), "--jobs"),
    ],
)
def test_wrong_usage_is_told_with_code_2(world: World, more: tuple[str, ...], told: str) -> None:
    world.put("1", slice_of(1))
    done = deid(world, *more)
    assert done.exit_code == 2
    assert re.search(told, " ".join(done.stderr.split()))
    assert not (world.folder / "link").exists()


def test_a_link_of_another_key_is_wrong_usage(world: World) -> None:
    world.put("1", slice_of(1))
    assert deid(world).exit_code == 0
    (world.folder / "key").write_bytes(os.urandom(32))
    done = deid(world)
    assert done.exit_code == 2
    assert "the key is not the one" in done.stderr


def test_a_failure_is_told_with_code_1_and_without_names(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("Quimby.dcm", slice_of(1))

    def full(*_arguments: object, **_values: object) -> None:
        raise OSError(28, "No space left on device", str(world.source / "Quimby.dcm"))

    monkeypatch.setattr("firstread.deid.folder.worker.process", full)
    done = deid(world)
    assert done.exit_code == 1
    assert "No space left on device" in done.stderr
    assert names_in(done.stdout, done.stderr) == []


def test_options_are_added_and_left_out(world: World) -> None:
    world.put("1", slice_of(1))
    done = deid(
        world,
        *("--with", "retain-safe-private", "--with", "retain-uids", "--without", "retain-device-identity"),
        profile="safe-harbor-strict",
    )
    assert done.exit_code == 0
    report = world.report()
    assert report["profile"] == "safe-harbor-strict"
    assert {"retain_safe_private", "retain_uids"} <= set(report["options"])
    assert "retain_device_identity" not in report["options"]


def test_who_lacks_the_text_networks_is_told_which_extra_brings_them(world: World) -> None:
    world.put("1", slice_of(1, BurnedInAnnotation="YES"))
    done = deid(world)
    assert done.exit_code == 0
    assert "firstread[pixels]" in done.stdout
    assert deid(world, "--without", "clean-pixel-data").exit_code == 0


def command(*more: str) -> list[str]:
    return [sys.executable, "-c", "from firstread.cli import main; main()", *more]


def settled(world: World) -> int:
    return len(list((world.folder / "out").glob("*/*/*/*.dcm")))


def interruptible() -> None:
    """Let a child hear Ctrl-C even where these tests run as a background job, whose children ignore it.

    It gives way to the test, which must kill it before it has ended.
    """
    os.nice(19)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_a_killed_job_goes_on_where_it_stopped(world: World, how: signal.Signals) -> None:
    for number in range(300):
        world.put(f"{number:03}", slice_of(number))
    world.put("300", slice_of(7))
    world.put("301", slice_of(8, Modality="DX"))
    environment = os.environ | {"PYTHONPATH": str(pages.REPOSITORY)}
    typed = command(*arguments(world, "--jobs", "2", "--without", "clean-pixel-data"))
    with subprocess.Popen(
        typed, env=environment, stderr=subprocess.PIPE, preexec_fn=interruptible
    ) as process:
        while settled(world) < 20:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(how)
        process.communicate()
    before = settled(world)
    assert process.returncode == (-how if how is signal.SIGKILL else 130)
    assert before < 300, "it was too fast to be killed"
    done = subprocess.run(typed, env=environment, capture_output=True, check=True, text=True)
    assert not done.stderr
    options = Profile.LONGITUDINAL.options - {Option.CLEAN_PIXEL_DATA}
    world.job("whole", options=options).run()
    assert timeless(world.report()) == timeless(world.report("whole"))
    assert world.outputs() == world.outputs("whole")
    assert not [path for path in world.folder.iterdir() if path.name.startswith(".")]


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in ("started", "ended")}


def test_the_commands_of_the_how_to_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.folder)
    (world.folder / "incoming").mkdir()
    (world.folder / "incoming" / "one.dcm").write_bytes(encode(header(), pixels=BLACK))
    (world.folder / "secret").mkdir()
    lines = [
        line.removeprefix("$ .venv/bin/firstread ").split()
        for block in pages.blocks(HOW_TO, "console")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ .venv/bin/firstread ")
    ]
    assert len(lines) >= 3
    for line in lines:
        done = CliRunner().invoke(app, line)
        assert done.exit_code == 0, done.output
    assert json.loads((world.folder / "report.json").read_text("utf-8"))["complete"] is True
