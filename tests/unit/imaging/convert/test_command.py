"""`firstread convert`: exit codes, and what it prints, which names nobody."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstread.cli import app
from tests.support.phantoms import series
from tests.unit.imaging.convert.trees import PLANTED, write


def convert(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["convert", *words, "--jobs", "1"])
    return found.exit_code, found.output


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "Zyxwvut", series())
    return tmp_path / "Zyxwvut"


def test_a_tree_is_converted(source: Path, tmp_path: Path) -> None:
    code, told = convert(str(source), "-o", str(tmp_path / "out"), "--to", "nifti", "--no-compress")
    assert code == 0 and told.startswith("1 made, 0 unchanged")
    assert len(list(tmp_path.glob("out/*/*/*.nii"))) == 1


def test_failures_count(source: Path, tmp_path: Path) -> None:
    (source / "Quentin.dcm").write_bytes((source / "0000.dcm").read_bytes()[:300])
    command = (str(source), "-o", str(tmp_path / "out"), "--to", "hdf5")
    code, told = convert(*command)
    assert code == 1 and "not_read" in told
    assert not any(value in told for value in (*PLANTED.values(), "Quentin", "Zyxwvut"))
    code, told = convert(*command, "--keep-going", "--json")
    assert code == 0 and json.loads(told)["totals"]["unchanged"] == 1


def test_nothing_begins_with_a_bad_pattern(source: Path, tmp_path: Path) -> None:
    command = (str(source), "-o", str(tmp_path / "out"), "--to", "zarr", "--pattern", "{patient_id}")
    code, told = convert(*command)
    assert code == 2 and "identifying_pattern" in told and not (tmp_path / "out").exists()
    assert convert(*command, "--identifying")[0] == 0
    assert (tmp_path / "out" / "MRN90817263.zarr").is_dir()


def test_a_folder_that_cannot_be_written_to(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    code, told = convert(str(source), "-o", str(tmp_path / "out"), "--to", "nifti")
    assert code == 1 and "output folder" in told
