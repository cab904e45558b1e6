"""`firstread model evaluate` as somebody who reads the how-to would use it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from firstread.cli import app
from model_service.evaluation.report import Report
from tests.unit.docs import pages

HOW_TO = pages.DOCS / "how-to" / "evaluate-a-model.md"
REPOSITORY = pages.REPOSITORY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `cases` and `labels.csv`, as the page has them."""
    generator = np.random.default_rng(3)
    for name in ("PNEUMONIA", "NORMAL"):
        (tmp_path / "cases" / name).mkdir(parents=True)
        for number in range(1, 4):
            values = (generator.random((40, 40)) * 255).astype(np.uint8)
            Image.fromarray(values).save(tmp_path / "cases" / name / f"{number}.png")
    (csv,) = pages.blocks(HOW_TO, "csv")
    (tmp_path / "labels.csv").write_text(csv, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", str(REPOSITORY)
    )  # the command starts a program, which is not installed here
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_how_to_work(folder: Path) -> None:
    lines = [
        line.removeprefix("$ .venv/bin/firstread ").split()
        for block in pages.blocks(HOW_TO, "console")
        for line in block.splitlines()
    ]
    assert len(lines) == 3
    told = []
    for line in lines:
        done = CliRunner().invoke(app, line)
        assert done.exit_code == 0, line
        told.append(Report.model_validate_json((folder / "report" / "report.json").read_text("utf-8")))
    assert [each.data.labels_from for each in told] == ["class_folders", "csv", "none"]
    assert [(each.data.cases, each.data.labelled) for each in told] == [(6, 6), (2, 2), (6, 0)]
    assert told[0].bundle.name == "cxr_opacity"
    assert told[0].engine in {"onnxruntime", "openvino", "torch-cpu"}
    assert [each.column for each in told[1].figures[0].subgroups] == ["scanner", "scanner"]


@pytest.mark.slow
def test_a_changed_bundle_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = REPOSITORY / "model_service" / "bundles" / "cxr_opacity"
    for path in source.rglob("*"):
        if path.is_file():
            target = folder / "mine" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    with (folder / "mine" / "models" / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x7f")
    done = CliRunner().invoke(app, ["model", "evaluate", "mine", "--data", "cases", "--report", "report"])
    assert done.exit_code == 1
    said = capfd.readouterr()
    assert said.err.startswith("evaluate: ")
    assert "Traceback" not in said.err
    assert not (folder / "report").exists()
