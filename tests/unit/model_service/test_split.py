from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model_service.training.config import DataConfig, SourceConfig
from model_service.training.data import digest, load_dataset
from model_service.training.split import (
    Split,
    assign_splits,
    difference_hash,
    drop_duplicates,
    link_groups,
    near_duplicates,
    patient_of,
    shifted_twins,
)

_NORMAL, _PNEUMONIA = r"(NORMAL2-IM-\d+|IM-\d+)[_-]", r"(person\d+)[_-]"


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person1000_bacteria_2931.jpeg", "person1000"),
        ("person7_virus_1_2.jpeg", "person7"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0650-0001-0002.jpeg", "IM-0650"),
        ("NORMAL2-IM-0196-0001.jpeg", "NORMAL2-IM-0196"),
    ],
)
def test_patient_is_read_from_the_file_name(name: str, patient: str) -> None:
    assert patient_of(name, _PNEUMONIA if name.startswith("person") else _NORMAL) == patient


def test_name_without_patient_is_an_error() -> None:
    with pytest.raises(ValueError, match="patient"):
        patient_of("scan.jpeg", _NORMAL)


def _scene(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)


def test_hash_survives_brightness_and_size_but_not_another_scene() -> None:
    scene = _scene(1)
    brighter = scene.point(lambda value: value * 0.7 + 40).resize((80, 88))
    table = np.stack([difference_hash(scene), difference_hash(brighter), difference_hash(_scene(2))])
    assert near_duplicates(table, 24) == [(0, 1)]


def test_of_a_duplicate_pair_the_later_goes_and_of_a_contradiction_both() -> None:
    assert drop_duplicates([0, 0, 1, 1], [(0, 1)]) == {1}
    assert drop_duplicates([0, 0, 1, 1], [(1, 2)]) == {1, 2}


def test_links_are_transitive() -> None:
    groups = link_groups(["c", "b", "a", "d"], [(0, 1), (1, 2)])
    assert groups == ["a", "a", "a", "d"]


_GROUPS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 1)), min_size=1, max_size=120)


@settings(max_examples=60, deadline=None)
@given(
    _GROUPS, st.lists(st.tuples(st.integers(0, 119), st.integers(0, 119)), max_size=10), st.integers(0, 99)
)
def test_no_patient_and_no_linked_pair_straddles_the_split(
    images: list[tuple[int, int]], links: list[tuple[int, int]], seed: int
) -> None:
    patients = [f"p{number}" for number, _ in images]
    labels = [label for _, label in images]
    pairs = [(a % len(images), b % len(images)) for a, b in links]
    groups = link_groups(patients, pairs)
    splits = assign_splits(groups, labels, 0.15, 0.2, seed)
    assert len(splits) == len(images)
    by_patient: dict[str, set[Split]] = defaultdict(set)
    for patient, split in zip(patients, splits, strict=True):
        by_patient[patient].add(split)
    assert all(len(found) == 1 for found in by_patient.values())
    assert all(splits[a] == splits[b] for a, b in pairs)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(40)), st.integers(0, 9))
def test_split_does_not_depend_on_the_order_of_the_images(order: list[int], seed: int) -> None:
    groups = [f"g{i // 2}" for i in range(40)]
    labels = [i // 20 for i in range(40)]
    plain = assign_splits(groups, labels, 0.2, 0.2, seed)
    moved = assign_splits([groups[i] for i in order], [labels[i] for i in order], 0.2, 0.2, seed)
    assert moved == [plain[i] for i in order]


def test_split_keeps_class_balance_and_size() -> None:
    groups = [f"g{i}" for i in range(1000)]
    labels = [int(i >= 700) for i in range(1000)]
    splits = assign_splits(groups, labels, 0.15, 0.2, 3)
    for split, share in ((Split.TEST, 0.2), (Split.VALIDATION, 0.15), (Split.TRAIN, 0.65)):
        members = [label for label, found in zip(labels, splits, strict=True) if found is split]
        assert len(members) == pytest.approx(1000 * share, abs=3)
        assert sum(members) / len(members) == pytest.approx(0.3, abs=0.01)


_CONFIG = DataConfig(
    classes=("normal", "pneumonia"),
    sources=(
        SourceConfig(name="set", label="normal", files="NORMAL/*.jpeg", patient=_NORMAL),
        SourceConfig(name="set", label="pneumonia", files="PNEUMONIA/*.jpeg", patient=_PNEUMONIA),
    ),
    duplicate_distance=8,
    link_distance=12,
    validation_fraction=0.2,
    test_fraction=0.2,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label, pattern in (("NORMAL", "IM-{:04d}-0001.jpeg"), ("PNEUMONIA", "person{}_virus_1.jpeg")):
        (tmp_path / label).mkdir()
        for number in range(12):
            seed = number + 100 * (label == "NORMAL")
            _scene(seed).save(tmp_path / label / pattern.format(number), quality=95)
    _scene(3).save(tmp_path / "PNEUMONIA" / "person77_virus_2.jpeg", quality=60)
    return tmp_path


def test_dataset_drops_the_duplicate_and_freezes_the_split(folder: Path) -> None:
    data = load_dataset(folder, _CONFIG, seed=1)
    assert data.dropped == 1
    assert len(data.samples) == 24
    assert digest(data.manifest()) == digest(load_dataset(folder, _CONFIG, seed=1).manifest())
    assert digest(data.manifest()) != digest(load_dataset(folder, _CONFIG, seed=2).manifest())
    assert "person" not in data.manifest()
    parts = [set(data.indices(split).tolist()) for split in Split]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 24
    batch = data.batch(data.indices(Split.TEST))
    assert batch.shape[1:] == (1, 96, 96)
    assert 0.0 <= float(batch.min()) <= float(batch.max()) <= 1.0


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="normal"):
        load_dataset(tmp_path, _CONFIG, seed=1)


def test_folds_take_turns_at_the_test_split() -> None:
    groups = [f"g{i}" for i in range(200)]
    labels = [int(i >= 140) for i in range(200)]
    folds = [assign_splits(groups, labels, 0.15, 0.25, 3, fold) for fold in range(4)]
    tested = [[i for i, split in enumerate(fold) if split is Split.TEST] for fold in folds]
    assert sorted(i for fold in tested for i in fold) == list(range(200))
    for fold in folds:
        assert fold.count(Split.TRAIN) == pytest.approx(120, abs=3)


def test_two_shots_of_one_scene_are_twins_and_two_scenes_are_not() -> None:
    wide = Image.fromarray(np.random.default_rng(4).integers(0, 256, (20, 20), dtype=np.uint8))
    wide = wide.resize((200, 200), Image.Resampling.BICUBIC)
    shots = [wide.crop((0, 0, 160, 160)), wide.crop((30, 12, 190, 172)), _scene(9)]
    table = np.stack([difference_hash(shot) for shot in shots])
    assert near_duplicates(table, 20) == []
    assert shifted_twins(shots, 0.5) == [(0, 1)]


def test_linked_images_of_different_classes_go_if_so_configured(folder: Path) -> None:
    _scene(3).rotate(2).save(folder / "NORMAL" / "IM-0999-0001.jpeg")
    both = _CONFIG.model_copy(update={"duplicate_distance": 0, "link_distance": 60})
    kept = load_dataset(folder, both, seed=1)
    left = load_dataset(folder, both.model_copy(update={"drop_conflicting_links": True}), seed=1)
    names = {sample.path.name for sample in kept.samples} - {sample.path.name for sample in left.samples}
    assert "IM-0999-0001.jpeg" in names
    assert "person3_virus_1.jpeg" in names


def test_source_is_held_out_with_every_patient_that_it_shares(folder: Path) -> None:
    inside, outside = _CONFIG.sources[0], _CONFIG.sources[1].model_copy(update={"use": "external"})
    config = _CONFIG.model_copy(update={"sources": (inside, outside)})
    data = load_dataset(folder, config, seed=1)
    held = data.indices(Split.EXTERNAL)
    assert set(data.labels(held).tolist()) == {1}
    assert len(held) == 12
    assert not set(data.patients(held)) & set(data.patients(data.indices(Split.TRAIN)))


def test_training_only_images_are_in_no_other_split(folder: Path) -> None:
    drawn = SourceConfig(name="drawn", label="normal", reader="synthetic", limit=20, use="train")
    config = _CONFIG.model_copy(update={"sources": (*_CONFIG.sources, drawn), "side": 96, "link_distance": 0})
    data = load_dataset(folder, config, seed=1)
    splits = {
        split for sample, split in zip(data.samples, data.splits, strict=True) if sample.source == "drawn"
    }
    assert splits == {Split.TRAIN}
