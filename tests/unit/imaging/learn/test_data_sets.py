"""Items are right, cached once, and the same wherever they are made."""

import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from firstread.imaging.learn.cache import Cache
from firstread.imaging.prepare import Pipeline, Prepared
from firstread.imaging.series import load
from firstread.imaging.torch import (
    LearnError,
    LearnReason,
    PatchDataset,
    Sample,
    VolumeDataset,
    from_folders,
)
from firstread.imaging.volume import Volume
from tests.unit.imaging.learn.makers import ball, write

Samples = tuple[Sample, ...]
PIPELINE = Pipeline.from_yaml("steps: [{kind: window, centre: 0, width: 2000, scale: [0, 1]}]")


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.items()
    )


def test_a_volume_is_that_of_load(samples: Samples, tmp_path: Path) -> None:
    data = VolumeDataset(samples, tmp_path, masks=ball)
    assert len(data) == 2
    item, volume = data[0], load(samples[0].paths)
    assert np.array_equal(item["image"].numpy()[0], volume.values)
    assert (item["image"].dtype, item["masks"].dtype) == (torch.float32, torch.uint8)
    assert np.array_equal(item["masks"].numpy()[0], volume.values > 0)
    assert np.array_equal(item["affine"].numpy(), volume.affine)
    assert (item["label"], data.mask_names()) == (1, ("ball",))
    assert samples[0].series_uid not in item["series_uid"]
    assert item["series_uid"] != data[1]["series_uid"]
    with pytest.raises(IndexError):
        data[2]
    # Nothing in the cache says whose it is.
    held = b"".join(str(each).encode() + each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"Doe" not in held.replace(str(tmp_path).encode(), b"")
    assert samples[0].series_uid.encode() not in held


def test_regions_and_steps_make_masks(samples: Samples, tmp_path: Path) -> None:
    data = VolumeDataset(
        samples, tmp_path, regions={"tumour": "gtv.*"}, pipeline=PIPELINE, absent_is_empty=True
    )
    volume = load(samples[0].paths)
    assert np.array_equal(data[0]["masks"].numpy()[0], volume.values > 0)
    assert float(data[0]["image"].max()) == 1.0
    assert not data[1]["masks"].any()
    with pytest.raises(LearnError) as caught:
        VolumeDataset(samples, tmp_path, regions={"tumour": "gtv.*"})[1]
    assert caught.value.reason is LearnReason.NO_REGION


def test_what_decides_is_the_key(samples: Samples, tmp_path: Path) -> None:
    def entries() -> int:
        return len(list(tmp_path.glob("??/*.lock")))

    VolumeDataset(samples, tmp_path, masks=ball)[0]
    VolumeDataset(samples, tmp_path, masks=ball)[0]
    assert entries() == 1
    for settings in ({"pipeline": PIPELINE}, {"masks_version": "2"}, {"by_content": True}):
        VolumeDataset(samples, tmp_path, masks=ball, **settings)[0]
    assert entries() == 4
    path = samples[0].paths[0]
    bytes_, before = path.read_bytes(), VolumeDataset(samples, tmp_path, masks=ball, by_content=True)
    path.write_bytes(bytes_)  # another time of change
    assert equal(before[0], VolumeDataset(samples, tmp_path, masks=ball, by_content=True)[0])
    assert entries() == 4
    VolumeDataset(samples, tmp_path, masks=ball)[0]
    assert entries() == 5


def test_two_processes_make_an_entry_once(samples: Samples, tmp_path: Path) -> None:
    code = (
        "import pickle, sys\n"
        "from firstread.imaging.learn.volumes import Volumes\n"
        "samples = pickle.load(sys.stdin.buffer)\n"
        "made = []\n"
        "class Counted(Volumes):\n"
        "    def _prepared(self, sample):\n"
        "        made.append(1)\n"
        "        return super()._prepared(sample)\n"
        "data = Counted(samples, sys.argv[1])\n"
        "print(len(made), sum(float(data.arrays(each)['image'].sum()) for each in range(2)), len(made))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    runs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for each in runs:
        assert each.stdin is not None
        each.stdin.write(pickle.dumps(samples))
        each.stdin.close()
    said = []
    for each in runs:
        assert each.stdout is not None
        said.append(each.stdout.read().split())
        each.stdout.close()
        assert each.wait() == 0
    assert said[0][1] == said[1][1]
    assert int(said[0][2]) + int(said[1][2]) == 2


def test_what_a_killed_process_left_is_made_anew(samples: Samples, tmp_path: Path) -> None:
    data = VolumeDataset(samples, tmp_path)
    item = data[0]
    (entry,) = (each for each in tmp_path.glob("??/*") if each.is_dir())
    entry.rename(entry.with_suffix(".part"))
    (entry.with_suffix(".part") / "about.json").write_text("{")
    assert equal(VolumeDataset(samples, tmp_path)[0], item)
    assert not entry.with_suffix(".part").exists()


def patches(samples: Samples, cache: Path, **settings: Any) -> PatchDataset:  # noqa: ANN401 - those of the data set
    return PatchDataset(samples, cache, (8, 10, 12), per_volume=3, masks=ball, **settings)


def test_a_patch_is_a_part_of_its_volume(samples: Samples, tmp_path: Path) -> None:
    data, whole = patches(samples, tmp_path), VolumeDataset(samples, tmp_path, masks=ball)[0]
    assert len(data) == 6
    for index in range(3):
        patch = data[index]
        step = patch["affine"].numpy()[:3, 3] - whole["affine"].numpy()[:3, 3]
        start = np.rint(np.linalg.solve(whole["affine"].numpy()[:3, :3], step)).astype(int)
        box = tuple(slice(at, at + want) for at, want in zip(start, (8, 10, 12), strict=True))
        for name in "image", "masks":
            assert torch.equal(patch[name][0], whole[name][(0, *box)])
    assert patch["series_uid"] == whole["series_uid"]


def test_a_patch_larger_than_its_volume_is_filled(samples: Samples, tmp_path: Path) -> None:
    data = PatchDataset(samples, tmp_path, (24, 8, 50), fill=-5.0, masks=ball, around="ball", share=1.0)
    patch, whole = data[0], VolumeDataset(samples, tmp_path, masks=ball)[0]
    assert patch["image"].shape == (1, 24, 8, 50)
    assert (patch["image"][0, :2] == -5).all() and (patch["image"][0, -2:] == -5).all()
    assert (patch["image"][0, 2:-2, :, 5:-5] != -5).all()
    step = patch["affine"].numpy()[:3, 3] - whole["affine"].numpy()[:3, 3]
    assert np.allclose(np.linalg.solve(whole["affine"].numpy()[:3, :3], step)[[0, 2]], [-2, -5])


def test_patches_about_a_mask(samples: Samples, tmp_path: Path) -> None:
    data = PatchDataset(samples, tmp_path, (1, 1, 1), per_volume=50, masks=ball, around="ball", share=1.0)
    assert all(data[index]["masks"].item() for index in range(50))
    half = PatchDataset(samples, tmp_path, (1, 1, 1), per_volume=50, masks=ball, around="ball", share=0.0)
    assert not all(half[index]["masks"].item() for index in range(50))
    with pytest.raises(LearnError) as caught:
        PatchDataset(samples, tmp_path, (1, 1, 1), masks=ball, around="other")[0]
    assert caught.value.reason is LearnReason.NO_REGION


def test_seed_epoch_and_index_decide(samples: Samples, tmp_path: Path) -> None:
    data, again = patches(samples, tmp_path, seed=4), patches(samples, tmp_path, seed=4)
    first = [data[index] for index in range(6)]
    assert all(equal(again[index], first[index]) for index in reversed(range(6)))
    data.set_epoch(1)
    assert not all(equal(data[index], first[index]) for index in range(6))
    data.set_epoch(0)
    assert equal(pickle.loads(pickle.dumps(data))[5], first[5])  # noqa: S301 - our own
    assert not all(equal(patches(samples, tmp_path, seed=5)[index], first[index]) for index in range(6))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_make_the_same_in_every_epoch(start: str, samples: Samples, tmp_path: Path) -> None:
    data = patches(samples, tmp_path / "one")
    # Its own cache: both workers prepare volumes at once.
    others = patches(samples, tmp_path / "two")
    loader = DataLoader(
        others, batch_size=2, num_workers=2, multiprocessing_context=start, persistent_workers=True
    )
    for epoch in range(2):
        data.set_epoch(epoch)
        others.set_epoch(epoch)
        alone, together = list(DataLoader(data, batch_size=2)), list(loader)
        assert len(together) == 3
        for one, other in zip(alone, together, strict=True):
            assert torch.equal(one["image"], other["image"])
            assert torch.equal(one["masks"], other["masks"])
            assert torch.equal(one["label"], other["label"])
    del loader


def test_a_patch_reads_only_its_chunks(tmp_path: Path) -> None:
    write(tmp_path / "in", "A", 0)
    pipeline = Pipeline.from_yaml("steps: [{kind: crop_or_pad, size: [20, 36, 200]}]")
    data = PatchDataset(
        from_folders([tmp_path / "in"]).samples, tmp_path / "cache", (4, 4, 4), pipeline=pipeline
    )
    entry = data.entry(0)
    expected = entry.image((slice(0, 4), slice(0, 4), slice(70, 74)))
    for chunk in (0, 2, 3):
        (entry.folder / "image.zarr" / "c" / "0" / "0" / str(chunk)).write_bytes(b"broken")
    assert np.array_equal(entry.image((slice(0, 4), slice(0, 4), slice(70, 74))), expected)
    with pytest.raises((RuntimeError, ValueError)):
        entry.image((slice(0, 4), slice(0, 4), slice(0, 4)))


def test_settings_that_are_none(samples: Samples, tmp_path: Path) -> None:
    for reason, made in (
        (LearnReason.BAD_PATCH, partial(PatchDataset, samples, tmp_path, (0, 1, 1))),
        (LearnReason.BAD_PATCH, partial(PatchDataset, samples, tmp_path, (1, 1, 1), share=2.0)),
        (LearnReason.NOT_PICKLABLE, partial(VolumeDataset, samples, tmp_path, masks=lambda _: {})),
        (LearnReason.NO_LABEL, partial(VolumeDataset, [samples[0], type(samples[0])("", "", ())], tmp_path)),
    ):
        with pytest.raises(LearnError) as caught:
            made()
        assert caught.value.reason is reason
    gone = type(samples[0])("", "", (tmp_path / "gone",))
    with pytest.raises(LearnError, match=r"missing_file$"):
        VolumeDataset([gone], tmp_path)[0]


@pytest.mark.parametrize("is_colour", [True, False])
def test_times_and_colours_are_channels(is_colour: bool, tmp_path: Path) -> None:
    values = np.arange(3 * 4 * 5 * 6, dtype=np.int16).reshape(3, 4, 5, 6)
    stored = np.moveaxis(values, 0, -1) if is_colour else values
    made = Prepared(Volume(stored, np.eye(4), (), is_colour=is_colour), {})
    entry = Cache(tmp_path).entry("ab12", lambda: made)
    assert entry.shape == (4, 5, 6)
    assert np.array_equal(entry.image((slice(1, 3), slice(5), slice(2, 6))), values[:, 1:3, :5, 2:6])
