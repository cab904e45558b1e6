"""`firstread view` as a program: what it prints, whom it lets in, how it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from firstread.cli import app
from portal.folder.__main__ import main
from tests.support.folders import write_folder
from tests.unit.docs import pages

pytestmark = pytest.mark.slow

RUN = "from firstread.cli import main; main()"


@contextmanager
def viewing(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "PYTHONPATH": str(pages.REPOSITORY)}
    command = [sys.executable, "-c", RUN, "view", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_folder_is_shown_until_it_is_told_to_end(tmp_path: Path, ending: signal.Signals) -> None:
    write_folder(tmp_path)
    with viewing("--no-browser", str(tmp_path)) as program:
        assert program.stdout
        said = []
        for line in program.stdout:
            said.append(line)
            if line.startswith("http://"):
                break
        address = said[-1].strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/open/[A-Za-z0-9_-]{32}", address)
        assert "  CT · Axial: 28 images, regular\n" in said
        assert "Planted" not in "".join(said)
        root = address.partition("/open/")[0]
        assert httpx.get(root, timeout=60).status_code == 403
        assert "CT · Axial" in httpx.get(address, follow_redirects=True, timeout=60).text
        program.send_signal(ending)
        assert program.wait(120) == 0


def test_what_cannot_be_shown_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--no-browser", str(tmp_path / "none")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("no DICOM")
    assert main(["--no-browser", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out == "1 other file\n"
    assert told.err == "firstread: nothing here to show\n"


def test_the_command_ends_as_the_program_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pages.REPOSITORY))
    assert CliRunner().invoke(app, ["view", "--no-browser", str(tmp_path / "none")]).exit_code == 1
