import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from model_service.manifest import Classification, load_manifest
from model_service.predict import Classifier
from model_service.training import card, evaluate, perturb, publish, train
from model_service.training.augment import Augment
from model_service.training.config import AugmentConfig, load_config
from model_service.training.data import load_dataset

pytestmark = pytest.mark.slow

CONFIG = Path(train.__file__).with_name("cxr_opacity.yaml")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs on noise against noise alone, named like the set's files."""
    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(5)
    row, column = np.mgrid[0:64, 0:64]
    for label, pattern in (("NORMAL", "IM-{:04d}-0001.jpeg"), ("PNEUMONIA", "person{}_virus_1.jpeg")):
        (root / label).mkdir()
        for number in range(30):
            pixels = 80 + generator.normal(0, 25, (64, 64))
            if label == "PNEUMONIA":
                pixels[(row - 32) ** 2 + (column - 32) ** 2 < 200] += 90
            clipped = np.clip(pixels, 0, 255).astype(np.uint8)
            Image.fromarray(clipped).save(root / label / pattern.format(number))
    return root


@pytest.fixture(scope="module")
def config(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real configuration and bundle, with a network small enough for a test."""
    root = tmp_path_factory.mktemp("training")
    shutil.copytree(bundle, root / "bundle")
    inference = root / "bundle" / "configs" / "inference.json"
    settings = json.loads(inference.read_text(encoding="utf-8"))
    settings["network_def"]["block_inplanes"] = [16, 16, 16, 16]
    settings["preprocessing"]["size"] = 48
    inference.write_text(json.dumps(settings), encoding="utf-8")
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    raw |= {
        "bundle": "bundle",
        "initial": None,
        "epochs": 2,
        "batch_size": 8,
        "threads": 1,
        "bootstrap": 1000,
    }
    file = root / "config.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(config: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    out = tmp_path_factory.mktemp("run")
    try:
        train.main(["--config", str(config), "--data", str(images), "--out", str(out)])
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    return out


def test_resumed_run_repeats_an_unbroken_one(run: Path, config: Path, images: Path, tmp_path: Path) -> None:
    settings = load_config(config)
    data = load_dataset(images, settings.data, settings.seed)

    try:
        train.run(settings, data, tmp_path, stop_after=1)
        assert not torch.equal(*(load_file(f / "model.safetensors")["fc.weight"] for f in (run, tmp_path)))
        train.run(settings, data, tmp_path)
    finally:
        torch.use_deterministic_algorithms(False)
    unbroken, resumed = load_file(run / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)


def test_run_may_start_from_weights_all_but_the_last_layer(run: Path, config: Path, tmp_path: Path) -> None:
    settings = load_config(config).model_copy(update={"initial": run / "model.safetensors"})
    state, _ = train.start(settings)
    given, started = load_file(run / "model.safetensors"), state.network.state_dict()
    assert torch.equal(given["layer4.0.conv1.weight"], started["layer4.0.conv1.weight"])
    assert not torch.equal(given["fc.weight"], started["fc.weight"])
    save_file({"other.weight": torch.zeros(2)}, tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError, match="another network"):
        train.start(settings.model_copy(update={"initial": tmp_path / "wrong.safetensors"}))


def test_evaluated_run_becomes_a_bundle(run: Path, config: Path, images: Path) -> None:
    evaluate.main(
        ["--config", str(config), "--data", str(images), "--run", str(run), "--other", f"same={images}"]
    )
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["auroc"]["low"] <= metrics["test"]["auroc"]["value"]
    assert metrics["other_images"]["same"]["images"] == 60
    publish.main(["--config", str(config), "--run", str(run)])
    bundle = load_config(config).bundle
    manifest = load_manifest(bundle)
    assert isinstance(manifest.output, Classification)
    assert manifest.output.classes[0].operating_point.threshold == metrics["operating_point"]["threshold"]
    assert Classifier.load(bundle).manifest == manifest
    assert card.main(["--bundle", str(bundle), "--check"]) == 0
    assert (bundle / "docs" / card.PLOT).read_text(encoding="utf-8").startswith("<svg")


def test_run_of_another_split_is_refused(run: Path, config: Path, images: Path) -> None:
    settings = load_config(config)
    data = load_dataset(images, settings.data, settings.seed + 1)
    with pytest.raises(ValueError, match="split"):
        evaluate.evaluate(settings, data, run, {})


def test_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [train.learning_rate(step, 100, 1.0) for step in range(101)]
    assert rates[14] == max(rates) == 1.0
    assert rates[0] < 0.1
    assert rates[100] == 0.0


def test_augmentation_repeats_by_seed_and_stays_in_range() -> None:
    batch = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    first, second = (Augment(AugmentConfig(), torch.Generator().manual_seed(9))(batch) for _ in range(2))
    other = Augment(AugmentConfig(), torch.Generator().manual_seed(10))(batch)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == batch.shape
    assert 0.0 <= float(first.min()) <= float(first.max()) <= 1.0


@pytest.mark.parametrize("name", [*perturb.SHORTCUTS, *perturb.ROBUSTNESS, *perturb.SPECIAL])
def test_changes_keep_shape_and_range(name: str) -> None:
    batch = torch.rand(2, 1, 64, 48, generator=torch.Generator().manual_seed(0))
    changed = (perturb.SHORTCUTS | perturb.ROBUSTNESS | perturb.SPECIAL)[name](batch)
    assert changed.shape == batch.shape
    assert not torch.equal(changed, batch)
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0


def test_hidden_border_is_flat_and_the_rest_untouched() -> None:
    batch = torch.rand(1, 1, 100, 100, generator=torch.Generator().manual_seed(0))
    mask = perturb.border_mask(100, 100)
    hidden = perturb.hide_border(batch)[0, 0]
    assert float(hidden[mask].min()) == float(hidden[mask].max())
    assert torch.equal(hidden[~mask], batch[0, 0][~mask])


def test_configuration_is_strict(tmp_path: Path) -> None:
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(raw | {"learnin_rate": 1}), encoding="utf-8")
    with pytest.raises(ValidationError):
        load_config(file)
    assert load_config(CONFIG).bundle.name == "cxr_opacity"
