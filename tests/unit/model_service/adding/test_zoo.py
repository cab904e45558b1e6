"""Bundles of `monai.bundle` run here as they run there: the same pictures and volumes, the same answers."""

import json
import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml
from monai.bundle.config_parser import ConfigParser
from PIL import Image

from firstread.imaging.volume import SourceFrame, Volume
from model_service.adding.command import prepare
from model_service.inference import load_model
from model_service.manifest import load_manifest
from model_service.prediction import Classified, Detected, Segmented
from model_service.registry import digest
from tests.support.zoo import KINDS, Kind, change, configuration, zoo

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 56, 40


def silent(_text: str) -> None:
    return


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, tuple[Path, Path]]:
    """The four bundles: as they came, and as they were taken in."""
    found: dict[Kind, tuple[Path, Path]] = {}
    for kind in KINDS:
        where = tmp_path_factory.mktemp(kind)
        (where / "scratch").mkdir()
        came = zoo(where / "came", kind)
        found[kind] = came, prepare(str(came), where / "scratch", None, None, silent)[0]
    return found


def picture() -> npt.NDArray[np.uint8]:
    """A picture whose rows and columns cannot be mistaken for each other."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    noise = np.random.default_rng(1).integers(0, 60, (ROWS, COLUMNS))
    return np.asarray((rows * 3) % 150 + (columns > 12) * 40 + noise, np.uint8)


def by_monai(came: Path, sample: Path) -> npt.NDArray[Any]:
    """Run a bundle as MONAI runs it, up to the network's output."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of readers that are not installed
        return _by_monai(came, sample)


def _by_monai(came: Path, sample: Path) -> npt.NDArray[Any]:
    parser = ConfigParser(json.loads((came / "configs" / "inference.json").read_text()))
    parser["device"] = "cpu"
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(came / "models" / "model.pt", weights_only=True))
    loaded = parser.get_parsed_content("preprocessing")({"image": str(sample)})
    with torch.no_grad():
        found = parser.get_parsed_content("inferer")(loaded["image"][None], network.eval())
    return np.asarray(found[0])


def as_png(folder: Path) -> Path:
    Image.fromarray(picture()).save(folder / "sample.png")
    return folder / "sample.png"


def brightness() -> npt.NDArray[np.float32]:
    return np.asarray(picture() / 255, np.float32)


def test_a_classifier(made: dict[Kind, tuple[Path, Path]], tmp_path: Path) -> None:
    came, taken = made["classifier"]
    logits = torch.from_numpy(by_monai(came, as_png(tmp_path)))
    (found,) = load_model(taken, "cpu").predict([brightness()])
    assert isinstance(found, Classified)
    assert found.probabilities[0] == pytest.approx(float(logits.softmax(0)[1]), abs=1e-4)


def test_a_segmentation_of_images(made: dict[Kind, tuple[Path, Path]], tmp_path: Path) -> None:
    came, taken = made["images"]
    labels = by_monai(came, as_png(tmp_path)).argmax(0)
    (found,) = load_model(taken, "cpu").predict([brightness()])
    assert isinstance(found, Segmented)
    assert (found.labels == labels.T).mean() > 0.999
    assert len(np.unique(labels)) > 1  # or the test says nothing


def test_a_detector(made: dict[Kind, tuple[Path, Path]], tmp_path: Path) -> None:
    came, taken = made["detector"]
    (scores,) = 1 / (1 + np.exp(-by_monai(came, as_png(tmp_path))))
    (found,) = load_model(taken, "cpu").predict([brightness()])
    assert isinstance(found, Detected)
    assert found.highest == pytest.approx(scores.max(), abs=1e-4)
    inside = [scores.T[box.top : box.bottom, box.left : box.right].max() for box in found.boxes]
    assert inside == pytest.approx([box.probability for box in found.boxes], abs=1e-4)


def test_a_segmentation_of_volumes(made: dict[Kind, tuple[Path, Path]], tmp_path: Path) -> None:
    came, taken = made["volumes"]
    slices, rows, columns = 24, 36, 30
    values = np.random.default_rng(2).integers(0, 1000, (slices, rows, columns)).astype(np.float32)
    values[:, :10] *= 0.3
    # Slices towards the head, rows to the back, columns to the left (LPS); in RAS two axes are the other way round.
    spacing = np.array([2.0, 1.5, 1.0])
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1
    nifti = nibabel.Nifti1Image(values.transpose(2, 1, 0), np.diag([-1.0, -1.5, 2.0, 1.0]))
    nibabel.save(nifti, tmp_path / "sample.nii")
    expected = by_monai(came, tmp_path / "sample.nii").argmax(0)[::-1, ::-1].transpose(2, 1, 0)
    frames = tuple(SourceFrame("2.25.1", number + 1) for number in range(slices))
    (found,) = load_model(taken, "cpu").predict([Volume(values, affine, frames)])
    assert isinstance(found, Segmented)
    assert (found.labels == expected).mean() > 0.999
    assert len(np.unique(expected)) == 3


def test_what_was_derived_is_what_the_configuration_says(made: dict[Kind, tuple[Path, Path]]) -> None:
    inputs = {
        kind: load_manifest(taken).input.model_dump(exclude_defaults=True)
        for kind, (_, taken) in made.items()
    }
    minmax = {"kind": "minmax"}
    assert inputs["classifier"] == {
        "kind": "image",
        "columns_first": True,
        "size": (56, 40),  # MONAI says columns x rows
        "intensity": minmax,
    }
    assert inputs["images"] == {
        "kind": "image",
        "columns_first": True,
        "window": (48, 32),
        "overlap": 0.5,
        "intensity": minmax,
    }
    assert inputs["detector"] == {
        "kind": "image",
        "columns_first": True,
        "multiple_of": 4,
        "intensity": minmax,
    }
    assert inputs["volumes"] == {
        "kind": "volume",
        "spacing_mm": (1.0, 1.5, 2.0),
        "window": (16, 24, 16),
        "overlap": 0.5,
        "intensity": {"kind": "range", "low": 0.0, "high": 900.0},
    }


def test_nothing_that_could_run_is_kept(made: dict[Kind, tuple[Path, Path]]) -> None:
    for came, taken in made.values():
        names = {path.relative_to(taken).as_posix() for path in taken.rglob("*") if path.is_file()}
        assert names == {
            *(
                "LICENSE",
                "configs/inference.json",
                "configs/metadata.json",
                "docs/README.md",
                "firstread.yaml",
            ),
            *("models/model.onnx", "models/model.safetensors"),
        }
        assert "$" in (came / "configs" / "inference.json").read_text()
        assert not set("$@%") & set((taken / "configs" / "inference.json").read_text())


def test_a_bundle_that_was_taken_in_is_taken_in_again_unchanged(
    made: dict[Kind, tuple[Path, Path]], tmp_path: Path
) -> None:
    """Also: one that is complete, as this repository ships, is left as it is."""
    _, taken = made["volumes"]
    again, told = prepare(str(taken), tmp_path, None, None, silent)
    assert digest(again) == digest(taken) == told["bundle_sha256"]


def test_the_same_configuration_in_yaml(tmp_path: Path) -> None:
    came = zoo(tmp_path / "came", "images")
    (came / "configs" / "inference.json").unlink()
    (came / "configs" / "inference.yaml").write_text(yaml.safe_dump(configuration("images")))
    (tmp_path / "scratch").mkdir()
    folder, _ = prepare(str(came), tmp_path / "scratch", None, None, silent)
    assert load_manifest(folder).input.model_dump()["window"] == (48, 32)


def test_a_manifest_that_says_more_wins(tmp_path: Path) -> None:
    came = zoo(tmp_path / "came", "images")
    change(came, preprocessing=None, postprocessing={"_target_": "Lambdad", "func": "$lambda x: x"})
    content = yaml.safe_load((came / "firstread.yaml").read_text())
    content["output"]["activation"] = "softmax"
    content["input"] = {"kind": "image", "multiple_of": 4, "intensity": {"kind": "rank"}}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content))
    (tmp_path / "scratch").mkdir()
    folder, told = prepare(str(came), tmp_path / "scratch", file, None, silent)
    assert load_manifest(folder).input.intensity.kind == "rank"
    assert told["remarks"] == []
