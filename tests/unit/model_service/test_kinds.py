import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import model_service
from model_service.manifest import Recognition, load_manifest
from model_service.training import card, evaluate, kinds, publish, train
from model_service.training.augment import Augment
from model_service.training.config import AugmentConfig, TrainConfig, load_config
from model_service.training.data import load_dataset
from model_service.training.split import Split

PUBLISHED = Path(model_service.__file__).parent / "bundles" / "modality_anatomy"
CONFIG = Path(train.__file__).with_name("modality_anatomy.yaml")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs, stripes across and stripes down; the discs of a second place are larger and red."""
    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(5)
    row, column = np.mgrid[0:48, 0:48]
    for number in range(24):
        at, step = generator.integers(18, 30, 2), int(generator.integers(5, 9))
        noise = generator.normal(0, 20, (48, 48))
        disc = np.hypot(row - at[0], column - at[1])
        for name, scene in (
            ("disc", disc < 12),
            ("across", row // step % 2 == 0),
            ("down", column // step % 2 == 0),
            ("other_disc", disc < 16),
        ):
            (root / name).mkdir(exist_ok=True)
            pixels = np.clip(60 + 120 * scene + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    bundle = root / "bundle"
    (bundle / "configs").mkdir(parents=True)
    (bundle / "docs").mkdir()
    settings = json.loads((PUBLISHED / "configs" / "inference.json").read_text(encoding="utf-8"))
    settings["network_def"] |= {"block_inplanes": [8, 8, 8, 8], "num_classes": 4}
    settings["preprocessing"]["size"] = 48
    (bundle / "configs" / "inference.json").write_text(json.dumps(settings), encoding="utf-8")
    manifest = yaml.safe_load((PUBLISHED / "firstread.yaml").read_text(encoding="utf-8"))
    manifest["output"]["classes"] = manifest["output"]["classes"][:4]
    manifest.pop("graph", None)
    (bundle / "firstread.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    (bundle / "docs" / "README.md").write_text(f"{card.BEGIN}{card.END}", encoding="utf-8")
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    raw |= {
        "bundle": "bundle",
        "initial": None,
        "epochs": 4,
        "epoch_images": 64,
        "batch_size": 8,
        "bootstrap": 1000,
    }
    raw["augment"] = {"rotate_degrees": 0.0, "marks": 0.2, "tint": 0.3, "invert": 0.1}
    raw["data"] |= {
        "classes": ["disc", "across", "down", "other"],
        "side": 48,
        "link_distance": 0,
        "sources": [
            *({"name": "here", "label": name, "files": f"{name}/*"} for name in ("disc", "across", "down")),
            {"name": "drawn", "label": "other", "reader": "synthetic", "limit": 24},
            {"name": "there", "label": "disc", "files": "other_disc/*", "use": "external"},
        ],
    }
    file = root / "config.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return file


def test_kinds_are_trained_evaluated_and_published(config: Path, images: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        train.main(["--config", str(config), "--data", str(images), "--out", str(tmp_path)])
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    evaluate.main(["--config", str(config), "--data", str(images), "--run", str(tmp_path)])
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    there = metrics["external"]["sources"]["there"]
    assert there["images"] == sum(there["answers"]["disc"].values()) == 24
    assert metrics["data"]["splits"]["external"]["by_class"]["disc"] == 24
    assert metrics["test"]["not_wrong"]["value"] >= metrics["test"]["accuracy"]["low"]
    publish.main(["--config", str(config), "--run", str(tmp_path)])
    bundle = load_config(config).bundle
    output = load_manifest(bundle).output
    assert isinstance(output, Recognition)
    assert output.unknown_below == metrics["unknown_below"]
    assert card.main(["--bundle", str(bundle), "--check"]) == 0
    text = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert "Sources held out whole" in text


def test_classes_and_sources_are_drawn_equally_often(config: Path, images: Path) -> None:
    settings = load_config(config)
    data = load_dataset(images, settings.data, settings.seed)
    drawn = data.balanced(Split.TRAIN, 4000, torch.Generator().manual_seed(0))
    assert np.bincount(data.labels(drawn)) == pytest.approx(np.full(4, 1000), rel=0.15)
    assert set(drawn) <= set(data.indices(Split.TRAIN))


@pytest.fixture
def settings(config: Path) -> TrainConfig:
    return load_config(config)


def test_unknown_is_what_lies_under_the_threshold_or_is_rejected(settings: TrainConfig) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 2000)
    logits = 6 * np.eye(4)[labels] + generator.normal(0, 2, (2000, 4))
    chosen = kinds.choose(labels, logits, settings)
    answered = chosen.answers(logits[labels != 3]) != 3
    assert answered.mean() == pytest.approx(settings.min_coverage, abs=0.01)
    assert answered.mean() >= settings.min_coverage
    assert chosen.answers(np.array([[0.0, 0.0, 0.0, 9.0]])).tolist() == [3]
    assert chosen.answers(np.array([[0.1, 0.0, 0.0, 0.0]])).tolist() == [3]
    assert chosen.answers(np.array([[20.0, 0.0, 0.0, 0.0]])).tolist() == [0]


def test_colour_augmentation_leaves_shape_and_range_and_shows_grey_and_coloured_images() -> None:
    grey = torch.rand(64, 1, 48, 48, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    config = AugmentConfig(tint=0.4, invert=0.2, marks=0.5, quarter_turns=True)
    changed = Augment(config, torch.Generator().manual_seed(1))(grey)
    assert changed.shape == grey.shape
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0
    spread = (changed.amax(dim=1) - changed.amin(dim=1)).amax(dim=(1, 2))
    assert (spread < 0.35).any()
    assert (spread > 0.4).any()
