"""Segmentations and structure sets of an index as mask channels, of whole volumes and of patches."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from pydicom.dataset import Dataset
from pydicom.uid import UID

from firstread.dicom.silence import quiet
from firstread.imaging.index import Index, build
from firstread.imaging.learn import LearnError, LearnReason, Sample, from_folders, from_index
from firstread.imaging.masks.mask import Mask, MaskError, MaskReason
from firstread.imaging.masks.segments import SegmentationType
from firstread.imaging.masks.written import to_segmentation, to_structures
from firstread.imaging.prepare import Pipeline
from firstread.imaging.series import load
from firstread.imaging.torch import PatchDataset, VolumeDataset
from firstread.imaging.volume import Volume
from tests.unit.imaging.learn.makers import write

MOMENT = datetime(2026, 1, 1)
KINDS = ["structures", *SegmentationType]
NAMES = {"inner": "tumour", "outer": "liver"}


def box(volume: Volume, *sides: slice) -> np.ndarray:
    made = np.zeros(volume.grid, bool)
    made[sides] = True
    return made


def parts(volume: Volume) -> dict[str, np.ndarray]:
    """Return two regions that overlap, neither symmetrical."""
    outer = box(volume, slice(4, 15), slice(6, 30), slice(5, 21))
    inner = box(volume, slice(6, 9), slice(10, 24), slice(12, 26))
    return {"Liver": outer, "Tumour": inner}


def drawn(folder: Path, kind: str, masks: Sequence[Mask]) -> Dataset:
    """Return an object that draws masks on a series."""
    files = sorted(folder.iterdir())
    images, volume = [pydicom.dcmread(each) for each in files], load(files)
    with quiet():
        if kind == "structures":
            return to_structures(masks, volume, images, MOMENT)
        return to_segmentation(masks, volume, images, SegmentationType(kind))


def saved(dataset: Dataset, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with quiet():
        dataset.save_as(path, enforce_file_format=True)


def indexed(root: Path, where: Path) -> tuple[Sample, ...]:
    build(root, where)
    return from_index(Index.open(where)).samples


@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_channels(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "A", "A", 0)
    write(root / "B", "B", 1)
    volume = load(root / "A")
    wanted = parts(volume)
    if kind == SegmentationType.LABELMAP:  # which holds no two regions of one voxel
        wanted["Liver"] &= ~wanted["Tumour"]
    if kind == SegmentationType.FRACTIONAL:
        shares = {name: mask * np.float32(0.9) + np.float32(0.1) for name, mask in wanted.items()}
        masks = [Mask(*each) for each in shares.items()]
    else:
        masks = [Mask(*each) for each in wanted.items()]
        assert (wanted["Liver"] & wanted["Tumour"]).any() == (kind != SegmentationType.LABELMAP)
    saved(drawn(root / "A", kind, masks), root / "drawn" / "one.dcm")
    samples = indexed(root, tmp_path / "index")
    assert [len(each.regions) for each in samples] == [1, 0]
    expected = torch.from_numpy(np.stack([wanted["Tumour"], wanted["Liver"]]).astype(np.uint8))

    data = VolumeDataset(samples, tmp_path / "cache", regions=NAMES, absent_is_empty=True)
    assert data.mask_names() == ("inner", "outer")
    assert torch.equal(data[0]["masks"], expected)
    assert data[1]["masks"].shape == expected.shape and not data[1]["masks"].any()

    patches = PatchDataset(
        samples[:1], tmp_path / "cache", (6, 12, 10), per_volume=8, regions=NAMES, around="inner", share=1.0
    )
    back = np.linalg.inv(data[0]["affine"].numpy())
    for patch in (patches[number] for number in range(len(patches))):
        start = np.rint(back @ patch["affine"].numpy()[:, 3])[:3].astype(int)
        there = tuple(slice(at, at + want) for at, want in zip(start, (6, 12, 10), strict=True))
        assert torch.equal(patch["masks"], expected[(slice(None), *there)])
        assert patch["masks"][0].any()


def test_regions_follow_the_grid_of_the_pipeline(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "A", "A", 0)
    wanted = parts(load(root / "A"))
    saved(drawn(root / "A", "BINARY", [Mask(*each) for each in wanted.items()]), root / "drawn" / "one.dcm")
    pipeline = Pipeline.from_yaml(
        "steps: [{kind: reorient, towards: RAI}, {kind: crop_or_pad, size: [16, 30, 40]}]"
    )
    data = VolumeDataset(
        indexed(root, tmp_path / "index"), tmp_path / "cache", regions=NAMES, pipeline=pipeline
    )
    item, volume = data[0], load(root / "A")
    for channel, name in enumerate(("Tumour", "Liver")):
        voxels = np.argwhere(item["masks"][channel].numpy())
        places = np.c_[voxels, np.ones(len(voxels))] @ item["affine"].numpy().T
        own = np.rint(places @ np.linalg.inv(volume.affine).T)[:, :3].astype(int)
        assert wanted[name][tuple(own.T)].all()
        assert len(own) == wanted[name].sum()


def test_objects_of_one_name_are_joined(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "A", "A", 0)
    wanted = parts(load(root / "A"))
    for number, (kind, name) in enumerate((("BINARY", "Liver"), ("structures", "Tumour"))):
        dataset = drawn(root / "A", kind, [Mask(name, wanted[name])])
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.7{number}")
        saved(dataset, root / "drawn" / f"{number}.dcm")
    samples = indexed(root, tmp_path / "index")
    data = VolumeDataset(samples, tmp_path / "cache", regions={"all": "liver|tumour"})
    assert np.array_equal(data[0]["masks"][0].numpy(), wanted["Liver"] | wanted["Tumour"])


def elsewhere(dataset: Dataset) -> None:
    """Give an object other coordinates than those of the images that it names."""
    dataset.FrameOfReferenceUID = "2.25.12345"
    for each in dataset.get("ReferencedFrameOfReferenceSequence", []):
        each.FrameOfReferenceUID = "2.25.12345"
    for each in dataset.get("StructureSetROISequence", []):
        each.ReferencedFrameOfReferenceUID = "2.25.12345"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("absent_is_empty", [True, False])
def test_a_region_of_other_coordinates_is_refused(kind: str, absent_is_empty: bool, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "A", "A", 0)
    dataset = drawn(root / "A", kind, [Mask("Tumour", parts(load(root / "A"))["Tumour"])])
    elsewhere(dataset)
    saved(dataset, root / "drawn" / "one.dcm")
    samples = indexed(root, tmp_path / "index")
    assert samples[0].regions
    data = VolumeDataset(
        samples, tmp_path / "cache", regions={"inner": "tumour"}, absent_is_empty=absent_is_empty
    )
    with pytest.raises(MaskError) as caught:
        data[0]
    assert caught.value.reason is MaskReason.ELSEWHERE


@pytest.mark.parametrize("find", ["index", "folders"])
def test_an_object_of_images_that_never_came_is_named(find: str, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "A", "A", 0)
    uid = write(tmp_path / "gone", "B", 1)
    saved(
        drawn(tmp_path / "gone", "BINARY", [Mask("Tumour", parts(load(root / "A"))["Tumour"])]),
        root / "drawn" / "one.dcm",
    )
    build(root, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    found = from_index(index) if find == "index" else from_folders([root])
    assert [each.regions for each in found.samples] == [()]
    assert found.left_out == {"region_object": 1, "regions_without_images": 1}
    unresolved = index.query("SELECT target_uid FROM links WHERE NOT is_resolved AND kind = 'source_images'")
    assert unresolved.column("target_uid").to_pylist() == [uid]
    with pytest.raises(LearnError) as caught:
        VolumeDataset(found.samples, tmp_path / "cache", regions={"inner": "tumour"})[0]
    assert caught.value.reason is LearnReason.NO_REGION


@pytest.mark.parametrize("kind", ["structures", "BINARY"])
def test_a_region_that_draws_nothing_is_absent(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "A", "A", 0)
    volume = load(root / "A")
    nothing = np.zeros(volume.grid, bool)
    wanted = parts(volume)
    masks = [Mask("Lesion 1", wanted["Tumour"]), Mask("Lesion 2", nothing), Mask("Liver", nothing)]
    saved(drawn(root / "A", kind, masks), root / "drawn" / "one.dcm")
    samples = indexed(root, tmp_path / "index")
    data = VolumeDataset(samples, tmp_path / "cache", regions={"lesions": r"lesion \d"})
    assert np.array_equal(data[0]["masks"][0].numpy(), wanted["Tumour"])
    with pytest.raises(LearnError) as caught:
        VolumeDataset(samples, tmp_path / "cache", regions={"liver": "liver"})[0]
    assert caught.value.reason is LearnReason.NO_REGION
    empty = VolumeDataset(samples, tmp_path / "cache", regions={"liver": "liver"}, absent_is_empty=True)
    assert not empty[0]["masks"].any()
