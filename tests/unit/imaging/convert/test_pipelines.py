"""Volumes through a pipeline on their way out: what is written, what is said of it, and when it is made anew."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import firstread.imaging.convert as conversion
from firstread.cli import app
from firstread.imaging import load
from firstread.imaging.convert import (
    ConvertError,
    ConvertReason,
    Existing,
    Options,
    Summary,
    Target,
    convert,
)
from firstread.imaging.convert.preparing import references_of
from firstread.imaging.prepare import Pipeline
from firstread.imaging.prepare.base import digest_of
from tests.support.phantoms import planes, series
from tests.unit.imaging.convert.trees import files, write
from tests.unit.imaging.test_geometry import two_times

STEPS = """
steps:
  - {kind: body_mask, above: 0, mask: sphere}
  - {kind: crop_to_mask, mask: sphere, margin_mm: 3}
  - {kind: resample, spacing_mm: 2.0}
  - {kind: window, preset: soft_tissue, scale: [0, 1]}
"""
PIPELINE = Pipeline.from_yaml(STEPS)
PREPARED = Options(Target.NIFTI, pipeline=PIPELINE)


def sidecar(summary: Summary, out: Path) -> Mapping[str, Any]:
    found = json.loads((out / summary.outcomes[0].outputs[1]).read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "in", series())
    return tmp_path / "in"


@pytest.mark.parametrize("target", [Target.NIFTI, Target.HDF5, Target.ZARR])
def test_what_the_steps_make_is_written_and_said(target: Target, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = convert([source], out, Options(target, pipeline=PIPELINE))
    outputs = summary.outcomes[0].outputs
    assert len(outputs) == 4 and all((out / each).exists() for each in outputs)
    expected = PIPELINE.run(load(source))
    made, mask = (conversion.open(out / outputs[each]) for each in (0, 2))
    assert np.array_equal(made.values, expected.volume.values)
    assert np.allclose(made.affine, expected.volume.affine, atol=0)
    assert np.array_equal(mask.values, expected.masks["sphere"].astype(np.uint8))
    assert mask.values.dtype == np.uint8 and np.array_equal(mask.affine, made.affine)
    said = sidecar(summary, out)
    assert said["spacing_mm"] == [2.0, 2.0, 2.0] and said["masks"] == {"sphere": Path(outputs[2]).name}
    how = said["prepared"]
    assert how["voxels_as_sent"] is False and how["references"] == {}
    assert how["steps"] == json.loads(json.dumps(expected.record["steps"]))
    assert how["versions"]["SimpleITK"] and how["versions"]["firstread"]
    assert Pipeline.model_validate(said["options"]["pipeline"]) == PIPELINE
    assert len(said["inputs"]) == 28 and said["verdict"]["geometry"] == "regular"
    assert json.loads((out / outputs[3]).read_text())["mask"] == "sphere"


def test_voxels_as_sent_say_nothing_of_a_pipeline(source: Path, tmp_path: Path) -> None:
    said = sidecar(convert([source], tmp_path / "out", Options(Target.NIFTI)), tmp_path / "out")
    assert "prepared" not in said and "pipeline" not in said["options"] and "masks" not in said


def test_another_pipeline_is_another_output(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = replace(PREPARED, pipeline=Pipeline.from_yaml("steps: [{kind: reorient, towards: RAS}]"))
    assert convert([source], out, PREPARED).totals["made"] == 1
    assert convert([source], out, PREPARED).totals["unchanged"] == 1
    before = files(out / next(out.iterdir()).name)
    for changed in (other, Options(Target.NIFTI)):
        assert convert([source], out, changed).totals["kept"] == 1
        assert convert([source], out, replace(changed, existing=Existing.FAIL)).failed == 1
    assert files(out / next(out.iterdir()).name) == before
    (mask,) = out.rglob("*.sphere.nii.gz")
    mask.unlink()
    assert convert([source], out, PREPARED).totals["made"] == 1 and mask.exists()
    summary = convert([source], out, replace(other, existing=Existing.OVERWRITE))
    assert summary.totals["made"] == 1
    assert [each["kind"] for each in sidecar(summary, out)["prepared"]["steps"]] == ["reorient"]
    assert not mask.exists() and not list(out.rglob("*.sphere.json"))  # nobody's any more


def test_overwriting_leaves_what_another_format_or_another_hand_wrote(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert([source], out, PREPARED)
    (mask,) = out.rglob("*.sphere.nii.gz")
    convert([source], out, Options(Target.ZARR, existing=Existing.OVERWRITE))
    assert mask.exists()
    convert([source], out, replace(PREPARED, existing=Existing.OVERWRITE))
    mask.write_bytes(b"mine")
    convert([source], out, Options(Target.NIFTI, existing=Existing.OVERWRITE))
    assert mask.read_bytes() == b"mine"


def test_a_mask_in_the_way_stays(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = replace(PREPARED, pattern="{modality}-{series}")
    convert([source], out, options, key=tmp_path / "key")
    for path in out.glob("CT-*"):
        if ".sphere.nii" not in path.name:
            path.unlink()
    (mask,) = out.glob("CT-*")
    mask.write_bytes(b"mine")
    (out / ".firstread" / "series").rename(tmp_path / "forgotten")
    assert convert([source], out, options, key=tmp_path / "key").totals["kept"] == 1
    assert mask.read_bytes() == b"mine"


def test_references_are_known_by_content(source: Path, tmp_path: Path) -> None:
    write(tmp_path / "atlas", series(planes(tuple(4.0 * (each - 9) for each in range(19)))))
    steps = Pipeline.from_yaml("steps: [{kind: resample_like, reference: atlas}]")
    options = Options(Target.NIFTI, pipeline=steps, references={"atlas": tmp_path / "atlas"})
    out = tmp_path / "out"
    summary = convert([source], out, options)
    said = sidecar(summary, out)
    assert said["shape"][0] == 19
    digest = digest_of(load(tmp_path / "atlas"))
    assert said["prepared"]["references"] == {"atlas": {"sha256": digest}}
    assert str(tmp_path) not in json.dumps(said)
    stored = convert([tmp_path / "atlas"], tmp_path / "stored", Options(Target.HDF5))
    moved = replace(options, references={"atlas": tmp_path / "stored" / stored.outcomes[0].outputs[0]})
    assert convert([source], out, moved).totals["unchanged"] == 1
    (tmp_path / "atlas" / "0018.dcm").unlink()
    assert convert([source], out, options).totals["kept"] == 1


def test_a_reference_that_changes_meanwhile_is_a_failure(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "atlas", series())
    steps = Pipeline.from_yaml("steps: [{kind: resample_like, reference: atlas}]")
    options = Options(Target.NIFTI, pipeline=steps, references={"atlas": tmp_path / "atlas"})

    def before(given: Options) -> object:
        found = references_of(given)
        (tmp_path / "atlas" / "0000.dcm").unlink()
        return found

    monkeypatch.setattr("firstread.imaging.convert.preparing.references_of", before)
    assert convert([source], tmp_path / "out", options).outcomes[0].reason == "input_changed"


@pytest.mark.parametrize("given", ["nothing", "no_such_folder", "two_volumes"])
def test_nothing_begins_without_references(given: str, source: Path, tmp_path: Path) -> None:
    write(tmp_path / "two_volumes", series(planes((0.0, 3.0, 6.0)))[:1] + series(planes())[3:])
    (tmp_path / "two_volumes" / "0002.dcm").write_bytes(b"no image")
    steps = Pipeline.from_yaml("steps: [{kind: register, reference: atlas}]")
    references = {} if given == "nothing" else {"atlas": tmp_path / given}
    with pytest.raises(ConvertError) as caught:
        convert([source], tmp_path / "out", Options(Target.NIFTI, pipeline=steps, references=references))
    assert caught.value.reason is ConvertReason.BAD_REFERENCE


@pytest.mark.parametrize("names", [("../up", "b"), ("a b", "c"), ("lung", "Lung")])
def test_masks_are_names_of_files(names: tuple[str, str]) -> None:
    steps = Pipeline.model_validate({"steps": [{"kind": "body_mask", "mask": each} for each in names]})
    with pytest.raises(ConvertError) as caught:
        Options(Target.NIFTI, pipeline=steps)
    assert caught.value.reason is ConvertReason.BAD_MASK_NAME


def test_a_step_that_cannot_fails_its_series_alone(source: Path, tmp_path: Path) -> None:
    times = two_times("EchoTime")
    for each in times:
        each.SeriesInstanceUID = "2.25.99"
    write(source / "times", times)
    summary = convert([source], tmp_path / "out", PREPARED)
    assert summary.totals["made"] == 1
    assert [(each.reason, each.step) for each in summary.outcomes if each.reason] == [
        ("in_time", "1 body_mask")
    ]


def test_a_data_set_of_nnunet_is_prepared_and_has_no_masks(source: Path, tmp_path: Path) -> None:
    summary = convert([source], tmp_path / "out", Options(Target.NNUNET, pipeline=PIPELINE))
    assert len(summary.outcomes[0].outputs) == 2
    assert sidecar(summary, tmp_path / "out")["spacing_mm"] == [2.0, 2.0, 2.0]


def test_processes_prepare_as_one_does(source: Path, tmp_path: Path) -> None:
    more = series()
    for each in more:
        each.SeriesInstanceUID = "2.25.98"
    write(source / "more", more)
    for jobs in (1, 2):
        convert([source], tmp_path / str(jobs), PREPARED, key=tmp_path / "key", jobs=jobs)
    assert files(tmp_path / "1") == files(tmp_path / "2")


def command(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["convert", *words, "--jobs", "1", "--to", "nifti"])
    return found.exit_code, " ".join(found.output.replace("│", " ").split())


def test_the_command_takes_yaml_and_references(source: Path, tmp_path: Path) -> None:
    (tmp_path / "steps.yaml").write_text("steps: [{kind: resample_like, reference: atlas}]")
    words = (str(source), "-o", str(tmp_path / "out"), "--pipeline", str(tmp_path / "steps.yaml"))
    code, told = command(*words)
    assert code == 2 and "bad_reference" in told
    code, told = command(*words, "--reference", f"atlas={source}")
    assert code == 0 and told.startswith("1 made")
    assert command(*words, "--reference", "atlas")[0] == 2


def test_the_command_says_what_is_wrong_with_yaml(source: Path, tmp_path: Path) -> None:
    words = (str(source), "-o", str(tmp_path / "out"), "--pipeline", str(tmp_path / "steps.yaml"))
    code, told = command(*words)
    assert code == 2 and "No such file" in told
    (tmp_path / "steps.yaml").write_text("steps: [{kind: resmple}]")
    code, told = command(*words)
    assert code == 2 and "resmple" in told and not (tmp_path / "out").exists()
