"""The command `firstread index`."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstread.cli import app
from tests.support.phantoms import series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    for number, each in enumerate(series()):
        each.PatientID = "MRN-4711"
        each.save_as(made / f"{number}.dcm", enforce_file_format=True)
    return made


def test_it_prints_counts_and_nothing_of_headers(folder: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["index", str(folder), "-o", str(tmp_path / "out")])
    assert found.exit_code == 0, found.output
    assert "geometry: regular" in found.output
    assert "4711" not in found.output


def test_quality_is_read_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    (folder / "3.dcm").write_bytes((folder / "3.dcm").read_bytes().replace(b"MONOCHROME2", b"YBR_FULL   "))
    command = ["index", str(folder), "-o", str(tmp_path / "out")]
    assert "pixels" not in CliRunner().invoke(app, command).output
    found = CliRunner().invoke(app, [*command, "--quality"]).output
    assert re.search(r"images whose pixels were read +│ +27 ", found)
    assert "pixels not read: not_decoded" in found


def test_json(folder: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["index", str(folder), "--out", str(tmp_path / "out"), "--json"])
    assert json.loads(found.output)["instances"] == 28


def test_errors_are_one_line(folder: Path) -> None:
    found = CliRunner().invoke(app, ["index", str(folder), "-o", str(folder)])
    assert found.exit_code == 1
    assert "the folder for the index holds something else" in found.output
