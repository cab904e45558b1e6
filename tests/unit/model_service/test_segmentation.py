import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import torch
import yaml
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file

import model_service.training
from model_service.manifest import Segmentation, load_manifest
from model_service.training.segmentation import card, evaluate, publish, train
from model_service.training.segmentation.config import SegmentationConfig, load_config
from model_service.training.segmentation.data import load_data, prepare, read_field, read_second, scan
from model_service.training.segmentation.network import BundleParts
from model_service.training.segmentation.sampler import PatchSampler
from model_service.training.segmentation.series import describe_series
from model_service.training.split import Split
from tests.support.dicoms import encode, header

pytestmark = pytest.mark.slow

TRAINING = Path(model_service.training.__file__).parent
BUNDLES = TRAINING.parent / "bundles"
REAL = Path(__file__).resolve().parents[4] / "shared/data"
SMALL: dict[str, dict[str, Any]] = {
    "hippocampus": {
        "patch": [16, 16, 16],
        "network": {"channels": [4, 8], "strides": [2], "num_res_units": 1},
        "window": [16, 16, 16],
    },
    "vessels": {"patch": [32, 32], "network": {"features": [4, 4, 4, 4, 4, 4]}, "window": [64, 64]},
}


def write_volumes(root: Path, count: int) -> Path:
    """Volumes with a bright ball in two halves; the neighbours 2k - 1 and 2k are one subject."""
    generator = np.random.default_rng(3)
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(1, count + 1):
        shape = tuple(generator.integers(14, 19, 3))
        grid = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij"))
        ball = (grid**2).sum(axis=0) < 20
        label = (ball * np.where(grid[1] > 0, 1, 2)).astype(np.uint8)
        image = (generator.normal(100, 10, shape) + 80 * ball + 30 * (label == 1)).astype(np.float32)
        for folder, values in (("images", image), ("labels", label)):
            name = root / folder / f"hippocampus_{number:03d}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), name)
    return root


def write_photographs(root: Path, count: int) -> Path:
    """Dark lines on a disc: of DRIVE with a mask of the field, of CHASE_DB1 two eyes of one child."""
    generator = np.random.default_rng(4)
    chase, drive = root / "CHASEDB1", root / "DRIVE" / "training"
    chase.mkdir(parents=True)
    for folder in ("images", "1st_manual", "mask"):
        (drive / folder).mkdir(parents=True)

    def draw(side: int) -> tuple[Image.Image, Image.Image, Image.Image]:
        row, column = np.mgrid[0:side, 0:side]
        disc = (row - side / 2) ** 2 + (column - side / 2) ** 2 < (0.45 * side) ** 2
        angle, phase = generator.uniform(0, 3), generator.uniform(0, 9)
        wave = np.sin((row * np.cos(angle) + column * np.sin(angle)) * 0.5 + phase)
        vessel = (wave > 0.8) & disc
        grey = (disc * (140 + generator.normal(0, 6, (side, side))) - 60 * vessel).clip(0, 255)
        colour = np.stack([grey, grey * 0.7, grey * 0.4], axis=2).astype(np.uint8)
        return tuple(
            Image.fromarray(a) for a in (colour, vessel.astype(np.uint8) * 255, disc.astype(np.uint8) * 255)
        )  # type: ignore[return-value]

    for number in range(1, count + 1):
        for eye in "LR":
            colour, vessel, _ = draw(80)
            colour.save(chase / f"Image_{number:02d}{eye}.jpg", quality=95)
            vessel.save(chase / f"Image_{number:02d}{eye}_1stHO.png")
            vessel.save(chase / f"Image_{number:02d}{eye}_2ndHO.png")
        for each in (2 * number, 2 * number + 1):
            colour, vessel, field = draw(72)
            colour.save(drive / "images" / f"{each:02d}_training.tif")
            vessel.save(drive / "1st_manual" / f"{each:02d}_manual1.gif")
            field.save(drive / "mask" / f"{each:02d}_training_mask.gif")
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    return {
        "hippocampus": write_volumes(root / "hippocampus", 24),
        "vessels": write_photographs(root / "vessels", 8),
    }


def write_config(root: Path, kind: str) -> Path:
    """The real configuration and bundle, with a network small enough for a test."""
    small = SMALL[kind]
    raw = yaml.safe_load((TRAINING / f"{kind}.yaml").read_text(encoding="utf-8"))
    bundle = root / "bundle"
    shutil.copytree(BUNDLES / Path(raw["bundle"]).name, bundle)
    file = bundle / "configs" / "inference.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["network_def"] |= small["network"]
    settings["inferer"]["roi_size"] = small["window"]
    for transform in settings["preprocessing"]["transforms"]:
        if transform["_target_"] == "Resized":
            transform["spatial_size"] = 64
    file.write_text(json.dumps(settings), encoding="utf-8")
    raw.pop("earlier_plan", None)
    raw |= {"bundle": "bundle", "epochs": 2, "steps": 4, "batch_size": 2, "patch": small["patch"]}
    raw |= {"validate_every": 1, "bootstrap": 1000}
    config = root / "config.yaml"
    config.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return config


@pytest.fixture(scope="module", params=["hippocampus", "vessels"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def config(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp(kind), kind)


@pytest.fixture(scope="module")
def run(kind: str, config: Path, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    out = tmp_path_factory.mktemp("run")
    try:
        train.main(["--config", str(config), "--data", str(folders[kind]), "--out", str(out)])
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    return out


def test_resumed_run_repeats_an_unbroken_one(
    kind: str, run: Path, config: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    settings = load_config(config)
    data = load_data(folders[kind], settings.data, settings.seed)
    try:
        train.run(settings, data, tmp_path, stop_after=1)
        half = load_file(tmp_path / "model.safetensors")
        train.run(settings, data, tmp_path)
    finally:
        torch.use_deterministic_algorithms(False)
    unbroken, resumed = (load_file(folder / "model.safetensors") for folder in (run, tmp_path))
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)
    assert not all(torch.equal(unbroken[key], half[key]) for key in unbroken)


def test_evaluation_and_publication_fill_the_bundle(
    kind: str, run: Path, config: Path, folders: dict[str, Path]
) -> None:
    evaluate.main(["--config", str(config), "--data", str(folders[kind]), "--run", str(run)])
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    settings = load_config(config)
    for name in settings.classes:
        dice = metrics["test"][f"dice_{name}"]
        assert 0 <= dice["low"] <= dice["value"] <= dice["high"] <= 1
        # A line through intensities finds these phantoms.
        assert metrics["baselines"]["logistic_regression"][f"dice_{name}"]["value"] > 0.5
    assert metrics["training"]["epochs"] == 2
    assert ("volumes" in metrics) == (kind == "hippocampus")
    assert ("second_observer" in metrics) == (kind == "vessels")

    publish.main(["--config", str(config), "--run", str(run)])

    manifest = load_manifest(settings.bundle)
    assert isinstance(manifest.output, Segmentation)
    assert manifest.graph is not None
    if kind == "vessels":
        assert manifest.output.threshold == metrics["operating_point"]["threshold"]
        postprocessing = (settings.bundle / "configs" / "inference.json").read_text(encoding="utf-8")
        assert f'"threshold": {manifest.output.threshold}' in postprocessing
    assert (settings.bundle / manifest.weights.file).stat().st_size == manifest.weights.bytes
    assert card.main(["--bundle", str(settings.bundle), "--check"]) == 0
    text = (settings.bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert f"{metrics['test'][f'dice_{settings.classes[0]}']['value']:.3f}" in text
    (settings.bundle / "docs" / "README.md").write_text(
        text.replace("### Data", "### data"), encoding="utf-8"
    )
    assert card.main(["--bundle", str(settings.bundle), "--check"]) == 1


def test_a_changed_set_is_not_evaluated(run: Path, config: Path, kind: str, tmp_path: Path) -> None:
    writers = {"hippocampus": write_volumes, "vessels": write_photographs}
    other = writers[kind](tmp_path / "other", 6)
    with pytest.raises(ValueError, match="split"):
        evaluate.main(["--config", str(config), "--data", str(other), "--run", str(run)])


def test_a_killed_training_goes_on(folders: dict[str, Path], tmp_path: Path, run: Path, kind: str) -> None:
    if kind == "vessels":
        pytest.skip("the same code; one kind is enough")
    out = tmp_path / "out"
    command = [sys.executable, "-m", train.__name__, "--config", str(write_config(tmp_path, kind))]
    command += ["--data", str(folders[kind]), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            if (out / "checkpoint" / "state.safetensors").is_file() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    threads = torch.get_num_threads()
    try:
        train.main(command[3:])
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    unbroken, resumed = (load_file(folder / "model.safetensors") for folder in (run, out))
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)


def test_both_sides_of_a_subject_and_both_eyes_of_a_child_stay_together(
    kind: str, config: Path, folders: dict[str, Path]
) -> None:
    settings = load_config(config)
    data = load_data(folders[kind], settings.data, settings.seed)
    where: dict[str, set[Split]] = {}
    for case, split in zip(data.cases, data.splits, strict=True):
        where.setdefault(case.group, set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())
    assert max(sum(c.group == group for c in data.cases) for group in where) == 2
    for split in (Split.TRAIN, Split.VALIDATION, Split.TEST):
        assert {c.source for c in data.of(split)} == {c.source for c in data.cases}


def test_files_without_a_partner_and_copies_are_left_out(tmp_path: Path) -> None:
    root = write_volumes(tmp_path, 8)
    (root / "images" / "hippocampus_003.nii.gz").unlink()
    (root / "labels" / "hippocampus_006.nii.gz").unlink()
    for folder in ("images", "labels"):
        shutil.copyfile(root / folder / "hippocampus_001.nii.gz", root / folder / "hippocampus_099.nii.gz")
    settings = load_config(TRAINING / "hippocampus.yaml")
    data = load_data(root, settings.data, settings.seed)
    assert data.unpaired == ("images/hippocampus_006.nii.gz", "labels/hippocampus_003.nii.gz")
    assert data.duplicates == 1
    assert [case.name[-3:] for case in data.cases] == ["001", "002", "004", "005", "007", "008"]


def test_an_image_whose_label_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    root = write_volumes(tmp_path, 1)
    label = root / "labels" / "hippocampus_001.nii.gz"
    values = np.asarray(nibabel.load(label).dataobj)  # type: ignore[attr-defined]
    moved = nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0]))
    nibabel.save(moved, label)
    settings = load_config(TRAINING / "hippocampus.yaml")
    (case,), _ = scan(root, "hippocampus")
    with pytest.raises(ValueError, match="grids"):
        prepare(case, BundleParts(settings.bundle).preprocessing(), settings)


def test_the_field_of_view_is_the_mask_of_the_set_or_where_there_is_light(folders: dict[str, Path]) -> None:
    cases, _ = scan(folders["vessels"], "vessels")
    for case in cases:
        share = read_field(case).mean()
        assert 0.5 < share < 0.72, case.source
        assert (read_second(case) is not None) == (case.source == "CHASE_DB1")


def test_a_patch_without_changes_is_the_middle_of_the_image(folders: dict[str, Path]) -> None:
    settings = load_config(TRAINING / "hippocampus.yaml")
    cases, _ = scan(folders["hippocampus"], "hippocampus")
    prepared = prepare(cases[0], BundleParts(settings.bundle).preprocessing(), settings)
    still = {name: 0 for name in type(settings.augment).model_fields if name not in {"flip_axes", "centre"}}
    quiet = settings.augment.model_copy(update={**still, "flip_axes": ()})
    shape = tuple(n - n % 2 for n in prepared.image.shape[1:])
    even = type(prepared)(
        *(t[:, : shape[0], : shape[1], : shape[2]] for t in (prepared.image, prepared.target))
    )
    sampler = PatchSampler(quiet, tuple(n - 4 for n in shape), torch.Generator().manual_seed(1))
    images, targets = sampler([even])
    assert torch.allclose(images[0], even.image[:, 2:-2, 2:-2, 2:-2], atol=1e-3)
    assert torch.allclose(targets[0], even.target[:, 2:-2, 2:-2, 2:-2], atol=1e-3)
    assert torch.allclose(targets.sum(dim=1), torch.ones(()), atol=1e-5)


def test_patches_change_with_the_seed_and_only_with_it(
    kind: str, config: Path, folders: dict[str, Path]
) -> None:
    settings = load_config(config)
    cases, _ = scan(folders[kind], kind)
    prepared = [prepare(c, BundleParts(settings.bundle).preprocessing(), settings) for c in cases[:2]]

    def drawn(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        images, targets = PatchSampler(settings.augment, settings.patch, generator)(prepared)
        assert images.shape[2:] == targets.shape[2:] == torch.Size(settings.patch)
        assert torch.isfinite(images).all() and -1e-5 <= targets.min() and targets.max() <= 1 + 1e-5
        return images

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_a_dicom_series_is_turned_to_the_orientation_of_the_training(tmp_path: Path) -> None:
    """The same ball as a series and as the training has it: the front half lies where the patient's front is."""
    settings = load_config(write_config(tmp_path, "hippocampus"))
    folder = tmp_path / "series"
    folder.mkdir()
    values = np.arange(16 * 16 * 16, dtype=np.uint16).reshape(16, 16, 16)
    for number, plane in enumerate(values):
        made = header(
            SOPClassUID=pydicom.uid.MRImageStorage,
            SOPInstanceUID=f"1.2.840.99.1.{number + 1}",
            StudyInstanceUID="1.2.840.99.2",
            SeriesInstanceUID="1.2.840.99.3",
            FrameOfReferenceUID="1.2.840.99.4",
            Modality="MR",
            ImagePositionPatient=[0, 0, number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
            SliceThickness=1,
            Rows=16,
            Columns=16,
            BitsAllocated=16,
            BitsStored=16,
            HighBit=15,
        )
        (folder / f"{number}.dcm").write_bytes(encode(made, pixels=plane.tobytes()))

    class Recorder(torch.nn.Module):
        seen: torch.Tensor

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            self.seen = batch
            return torch.cat([batch * 0, batch, -batch], dim=1)

    recorder = Recorder()
    chosen = {"calibration": {"temperature": 1.0}, "operating_point": {"keep_largest": False}}
    found = describe_series(folder, recorder, BundleParts(settings.bundle), chosen, settings)
    seen = recorder.seen[0, 0]
    # Right, anterior, superior: against x and y of DICOM's coordinates, along z.
    assert all((seen.diff(dim=d) * sign >= 0).all() for d, sign in ((0, -1), (1, -1), (2, 1)))
    assert found["anterior"]["volume_mm3"] + found["posterior"]["volume_mm3"] == pytest.approx(4096, abs=2)
    assert found["anterior"]["touches_edge"]


@pytest.mark.parametrize("name", ["hippocampus", "vessels"])
def test_shipped_configuration_is_the_one_in_the_bundle(name: str) -> None:
    config = load_config(TRAINING / f"{name}.yaml")
    assert (config.bundle / "configs" / "train.yaml").read_text(encoding="utf-8") == (
        TRAINING / f"{name}.yaml"
    ).read_text(encoding="utf-8")
    assert card.main(["--bundle", str(config.bundle), "--check"]) == 0


def test_the_schedule_of_a_shortened_run_changes_where_it_says() -> None:
    raw = yaml.safe_load((TRAINING / "hippocampus.yaml").read_text(encoding="utf-8"))
    raw |= {"epochs": 10, "earlier_plan": {"until": 4, "epochs": 20}}
    config = SegmentationConfig.model_validate(raw)
    assert [config.planned_epochs(epoch) for epoch in (0, 3, 4, 9)] == [20, 20, 10, 10]


@pytest.mark.parametrize(
    "change", [{"activation": "sigmoid"}, {"epochs": 0}, {"unknown": 1}, {"bootstrap": 100}, {"patch": [4]}]
)
def test_a_wrong_configuration_is_refused(change: dict[str, Any]) -> None:
    raw = yaml.safe_load((TRAINING / "hippocampus.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ValidationError):
        SegmentationConfig.model_validate(raw | change)


@pytest.mark.parametrize("value", ["$import os", "os.system", "@network_def"])
def test_a_configuration_runs_no_code(value: str, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    settings = {"network_def": {"_target_": value, "spatial_dims": value}}
    (tmp_path / "configs" / "inference.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ValueError, match=r"allowed|refused"):
        BundleParts(tmp_path)


@pytest.mark.parametrize(
    ("name", "folder", "floor"), [("hippocampus", "hippocampus", 0.8), ("vessels", "fundus-vessels", 0.7)]
)
def test_shipped_weights_segment_a_real_case(name: str, folder: str, floor: float) -> None:
    if not (REAL / folder).is_dir():
        pytest.skip(f"{folder} is not there: shipped weights are NOT tested on a real case")
    from model_service.bundle import load_weights
    from model_service.training.segmentation.predict import predict_case

    settings = load_config(TRAINING / f"{name}.yaml")
    cases, _ = scan(REAL / folder, settings.data.kind)
    parts = BundleParts(settings.bundle)
    network = parts.network()
    load_weights(network, settings.bundle / "models" / "model.safetensors")
    found = predict_case(cases[0], network, parts.preprocessing(), parts.inferer(), settings)
    figures = evaluate.score_masks(found.decide(0.5, keep_largest=False), found, settings)
    assert min(figures[f"dice_{each}"] for each in settings.classes) > floor
