"""A small seeded exam: its own sanity, and the floors below which the library may not fall."""

import io
import json
import shutil
from pathlib import Path

import pydicom
import pytest

from tests.exam import __main__ as command
from tests.exam import score as scoring
from tests.exam.engine import no_detector, sit
from tests.exam.evidence import collect
from tests.exam.generate import generate
from tests.exam.key import MIDI, Action, Key, load
from tests.exam.oracle import Oracle
from tests.exam.rows import rows
from tests.exam.score import Score, score

SEED, PATIENTS = 1, 12
# What holds today. Raise a floor and lower a ceiling when the library gets better; never the other way.
FLOORS = {
    Action.TAG_RETAINED: 100.0,
    Action.TEXT_NOTNULL: 100.0,
    Action.TEXT_RETAINED: 100.0,
    Action.TEXT_REMOVED: 100.0,
    Action.DATE_SHIFTED: 100.0,
    Action.UID_CHANGED: 100.0,
    Action.UID_CONSISTENT: 100.0,
    Action.PATID_CONSISTENT: 100.0,
    Action.PIXELS_HIDDEN: 100.0,
    Action.PIXELS_RETAINED: 100.0,
    Action.YIELD: 100.0,
    Action.FILE_CLEAN: 100.0,
    Action.MARKING: 100.0,
    Action.LINK_STRENGTH: 100.0,
}
LEAKS_AT_MOST = 0


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    folder = tmp_path_factory.mktemp("exam")
    return folder, generate(folder, SEED, PATIENTS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    """An exam to examine the exam with."""
    folder = tmp_path_factory.mktemp("small")
    return folder, generate(folder, SEED + 1, 5)


def graded(exam: tuple[Path, Key], outputs: Path, report: Path | None = None) -> Score:
    folder, key = exam
    return score(key, collect(key, folder / "input", outputs, report))


@pytest.fixture(scope="module")
def library(exam: tuple[Path, Key], tmp_path_factory: pytest.TempPathFactory) -> Score:
    """The library's result; what is sent later meets a vault that was opened anew."""
    folder = tmp_path_factory.mktemp("library")
    return graded(exam, folder / "out", sit(exam[0] / "input", folder))


@pytest.mark.parametrize("action", list(FLOORS))
def test_the_library_does_not_fall_below_what_it_reached(library: Score, action: Action) -> None:
    failures = [failure for failure in library.failures if failure.action is action]
    assert library.percent(actions=(action,)) >= FLOORS[action], failures[:5]


def test_the_library_leaks_no_more_than_it_did(library: Score) -> None:
    assert len(library.leaks) <= LEAKS_AT_MOST, library.leaks[:10]


def test_nothing_is_withheld(library: Score) -> None:
    assert library.withheld == []


def test_the_gate_holds_every_image_with_burned_in_text(exam: tuple[Path, Key], tmp_path: Path) -> None:
    report = sit(exam[0] / "input", tmp_path, no_detector)
    outputs = collect(exam[1], exam[0] / "input", tmp_path / "out", report)
    assert any(output.released for output in outputs)
    assert not [output.key.name for output in outputs if output.key.boxes and output.released]


def test_doing_nothing_scores_low_and_leaks_everywhere(small: tuple[Path, Key]) -> None:
    result = graded(small, small[0] / "input")
    assert result.percent() < 40
    assert {leak.file for leak in result.leaks} == {file.name for file in small[1].files}
    for action in (Action.TEXT_REMOVED, Action.DATE_SHIFTED, Action.UID_CHANGED, Action.PIXELS_HIDDEN):
        assert result.percent(actions=(action,)) == 0.0, action
    assert result.percent(actions=(Action.MARKING, Action.FILE_CLEAN, Action.LINK_STRENGTH)) == 0.0


def test_refusing_everything_leaks_nothing_and_earns_nothing(small: tuple[Path, Key], tmp_path: Path) -> None:
    result = graded(small, tmp_path)
    assert result.leaks == []
    assert result.percent(actions=tuple(Action)) == 0.0
    assert len(result.withheld) == len(small[1].files)


def test_who_knows_the_key_scores_all(small: tuple[Path, Key], tmp_path: Path) -> None:
    Oracle(small[1]).answer(small[0] / "input", tmp_path)
    result = graded(small, tmp_path)
    assert result.failures == []
    assert result.leaks == []
    assert result.percent(actions=tuple(Action)) == 100.0


def test_wrong_answers_that_midi_b_lets_pass_are_found(small: tuple[Path, Key], tmp_path: Path) -> None:
    """One shift for all, two studies under one UID, a patient split in two, a name in the padding."""
    Oracle(small[1]).answer(small[0] / "input", tmp_path)
    first, second = small[1].files[0].name, small[1].files[1].name
    change(tmp_path / first, StudyDate="19000101", SOPInstanceUID=read(tmp_path / second).SOPInstanceUID)
    change(tmp_path / second, PatientID="somebody else", KVP=None)
    leaking = tmp_path / small[1].files[2].name
    text = next(secret.text for secret in small[1].files[2].secrets)
    leaking.write_bytes(leaking.read_bytes() + text.encode("utf-16-le"))
    result = graded(small, tmp_path)
    assert {(leak.file, leak.where) for leak in result.leaks} == {(small[1].files[2].name, "bytes")}
    assert {failure.action for failure in result.failures} >= {
        Action.DATE_SHIFTED,
        Action.UID_CONSISTENT,
        Action.PATID_CONSISTENT,
        Action.TEXT_RETAINED,
    }


def read(path: Path) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(path.read_bytes()))


def change(path: Path, **values: object) -> None:
    dataset = read(path)
    for keyword, value in values.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def test_every_row_of_the_table_has_its_turn(exam: tuple[Path, Key]) -> None:
    asked = {question.path.split("[")[0] for file in exam[1].files for question in file.questions}
    planted = {path.split(".")[-1] for file in exam[1].files for path in file.answers}
    missing = {row.kind for row in rows() if f"{row.tag:08x}" not in asked | planted}
    assert not missing


def test_every_action_is_asked(exam: tuple[Path, Key]) -> None:
    asked = {question.action for file in exam[1].files for question in file.questions}
    assert asked == set(Action)
    assert len(MIDI) == 10


def test_the_commands_work_on_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--out", str(tmp_path), "--seed", str(SEED), "--patients", "2"]) == 0
    again = tmp_path / "again"
    command.main(["--out", str(again), "--seed", str(SEED), "--patients", "2"])
    assert (tmp_path / "key.json").read_bytes() == (again / "key.json").read_bytes()
    key = load(tmp_path / "key.json")
    Oracle(key).answer(tmp_path / "input", tmp_path / "answers")
    renamed = {}
    for number, file in enumerate(key.files):
        renamed[file.sha256] = f"{number}.dcm"
        shutil.move(tmp_path / "answers" / file.name, tmp_path / "answers" / f"{number}.dcm")
    report = {"files": [{"input_sha256": digest, "output": name} for digest, name in renamed.items()]}
    (tmp_path / "tool.json").write_text(json.dumps(report))
    folders = ["--key", str(tmp_path / "key.json"), "--in", str(tmp_path / "input")]
    folders += ["--out", str(tmp_path / "answers"), "--report", str(tmp_path / "report.json")]
    for extra in (["--tool-report", str(tmp_path / "tool.json")], []):
        assert scoring.main([*folders, *extra]) == 0
        result = json.loads((tmp_path / "report.json").read_text())
        assert (result["all_percent"], result["leaks"]) == (100.0, [])
    assert "MIDI-10 100.000 %" in capsys.readouterr().out
