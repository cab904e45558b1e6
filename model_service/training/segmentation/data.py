"""Reading the sets: cases with their groups, preprocessed images, targets, and the frozen split."""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import torch
from monai.data.meta_tensor import MetaTensor
from PIL import Image
from torch import Tensor
from torch.nn import functional

from model_service.training.segmentation.config import DataConfig, SegmentationConfig
from model_service.training.segmentation.network import Preprocessing
from model_service.training.split import Split, assign_splits, drop_duplicates, near_duplicates

_DIGEST_LENGTH = 16
_VOLUME_HASH, _PHOTOGRAPH_HASH = 16, 32
_PHOTOGRAPH_CENTRE = 0.6
_CHASE = re.compile(r"Image_(?P<child>\d+)[LR]\.jpg")
_VOLUME = re.compile(r"hippocampus_(?P<number>\d+)\.nii\.gz")
# Luminance of 255 above which a pixel of a retinal photograph belongs to the field of view.
_FIELD_LEVEL = 20


@dataclass(frozen=True)
class Case:
    """One image with its reference.

    Parameters
    ----------
    name : str
        Name within the set.
    source : str
        Which set it is of.
    group : str
        Patient; a group is never split.
    image, label : pathlib.Path
        The files.
    field : pathlib.Path or None
        Field-of-view mask, where the set has one.
    """

    name: str
    source: str
    group: str
    image: Path
    label: Path
    field: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """A case as the network sees it.

    Parameters
    ----------
    image : torch.Tensor
        Channels x spatial, after the bundle's preprocessing.
    target : torch.Tensor
        Classes x spatial in [0, 1] on the same grid: background and foreground for a softmax, foreground only
        for a sigmoid.
    """

    image: Tensor
    target: Tensor


@dataclass(frozen=True)
class SegmentationData:
    """The cases of a set after de-duplication, each with its split.

    Parameters
    ----------
    cases : tuple of Case
        Sorted by source and name.
    digests : tuple of str
        SHA-256 of each image file.
    splits : tuple of Split
        Split of each case.
    unpaired : tuple of str
        Files of the set without an image or without a label; left out.
    duplicates : int
        Near-duplicates left out.
    closest : int
        Smallest hash distance of two cases that were kept.
    """

    cases: tuple[Case, ...]
    digests: tuple[str, ...]
    splits: tuple[Split, ...]
    unpaired: tuple[str, ...]
    duplicates: int
    closest: int

    def of(self, split: Split) -> list[Case]:
        """Return the cases of one split."""
        return [case for case, s in zip(self.cases, self.splits, strict=True) if s is split]

    def manifest(self) -> str:
        """Return the frozen split as CSV text: start of digest, source, split; sorted and without names."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sha256", "source", "split"])
        rows = zip(self.digests, self.cases, self.splits, strict=True)
        writer.writerows(sorted((d[:_DIGEST_LENGTH], case.source, s.value) for d, case, s in rows))
        return text.getvalue()


def scan(root: Path, kind: str) -> tuple[list[Case], list[str]]:
    """List the cases of a set and the files that lack their partner.

    Parameters
    ----------
    root : pathlib.Path
        ``hippocampus``: folder with ``images`` and ``labels``; ``vessels``: folder with ``DRIVE`` and
        ``CHASEDB1``.
    kind : str
        One of these.

    Returns
    -------
    list of Case
        Sorted.
    list of str
        Names of the files without a partner.
    """
    cases, unpaired = _scan_hippocampus(root) if kind == "hippocampus" else _scan_vessels(root)
    if not cases:
        raise FileNotFoundError("no cases in the data folder")
    return cases, unpaired


def _scan_hippocampus(root: Path) -> tuple[list[Case], list[str]]:
    images = {p.name: p for p in sorted((root / "images").glob("*.nii.gz"))}
    labels = {p.name: p for p in sorted((root / "labels").glob("*.nii.gz"))}
    cases = [
        Case(name.removesuffix(".nii.gz"), "MSD Task04", _subject(name), images[name], labels[name])
        for name in sorted(images.keys() & labels.keys())
    ]
    lonely = [f"images/{n}" for n in images.keys() - labels.keys()]
    lonely += [f"labels/{n}" for n in labels.keys() - images.keys()]
    return cases, sorted(lonely)


def _subject(name: str) -> str:
    """Return the subject of a volume: the two hippocampi of one bear an odd number and the next even one.

    The set does not say so. It has two volumes per subject, and the pairs that resemble each other most are
    neighbours of this kind.
    """
    match = _VOLUME.fullmatch(name)
    if match is None:
        raise ValueError("file name without a volume number")
    return f"subject_{(int(match['number']) + 1) // 2:03d}"


def _scan_vessels(root: Path) -> tuple[list[Case], list[str]]:
    cases, lonely = [], []
    for image in sorted((root / "CHASEDB1").glob("*.jpg")):
        match = _CHASE.fullmatch(image.name)
        if match is None:
            raise ValueError("CHASE_DB1 file name without a child's number")
        label = image.with_name(f"{image.stem}_1stHO.png")
        # Both eyes of one child.
        cases.append(Case(image.stem, "CHASE_DB1", f"CHASE_{match['child']}", image, label))
    for image in sorted((root / "DRIVE").glob("*/images/*.tif")):
        number, folder = image.name[:2], image.parent.parent
        label = folder / "1st_manual" / f"{number}_manual1.gif"
        field = folder / "mask" / f"{image.stem}_mask.gif"
        cases.append(Case(f"DRIVE_{number}", "DRIVE", f"DRIVE_{number}", image, label, field))
    lonely = [case.image.name for case in cases if not case.label.is_file()]
    return [case for case in cases if case.label.is_file()], lonely


def open_volume(path: Path) -> Any:  # noqa: ANN401
    """Open a NIfTI file; nothing is read of its voxels yet."""
    return nibabel.load(path)


def read_array(path: Path) -> npt.NDArray[Any]:
    """Read an image or label file with its first axis as MONAI's readers have it: x, y (, z or channel)."""
    if path.name.endswith(".nii.gz"):
        return np.asarray(open_volume(path).dataobj)
    with Image.open(path) as image:
        return np.asarray(image).swapaxes(0, 1)


def read_image(case: Case) -> MetaTensor:
    """Read an image as channels x spatial with its geometry, as MONAI's own reading of files gives it."""
    values = torch.from_numpy(read_array(case.image).astype(np.float32))
    if case.image.name.endswith(".nii.gz"):
        return MetaTensor(values[None], affine=torch.from_numpy(open_volume(case.image).affine))
    return MetaTensor(values.movedim(-1, 0))


def read_label(case: Case, config: SegmentationConfig) -> npt.NDArray[np.int64]:
    """Read the reference on its own grid: 0 background, 1 and on the foreground classes."""
    values = read_array(case.label)
    if config.data.kind == "hippocampus":
        return np.asarray(values, dtype=np.int64)
    return np.asarray(values > 0, dtype=np.int64)


def read_field(case: Case) -> npt.NDArray[np.bool_]:
    """Return the field of view of a retinal photograph on its own grid, or everything for a volume."""
    if case.image.name.endswith(".nii.gz"):
        return np.ones(read_array(case.image).shape, dtype=bool)
    if case.field is not None:
        return np.asarray(read_array(case.field) > 0)
    with Image.open(case.image) as image:
        return np.asarray(image.convert("L")).swapaxes(0, 1) > _FIELD_LEVEL


def read_second(case: Case) -> npt.NDArray[np.bool_] | None:
    """Return the mask of the second observer of a retinal photograph, where the set has one."""
    folder, name = case.label.parent, case.label.name
    path = (
        folder.with_name("2nd_manual") / name.replace("manual1", "manual2")
        if case.source == "DRIVE"
        else folder / name.replace("1stHO", "2ndHO")
    )
    return np.asarray(read_array(path) > 0) if path != case.label and path.is_file() else None


def prepare(case: Case, preprocessing: Preprocessing, config: SegmentationConfig) -> Prepared:
    """Run the bundle's preprocessing on a case, and bring its reference to the same grid.

    Parameters
    ----------
    case : Case
        What to read.
    preprocessing : callable
        As `BundleParts.preprocessing` builds it.
    config : SegmentationConfig
        Kind of set, classes and activation.

    Returns
    -------
    Prepared
        On the network's grid.

    Raises
    ------
    ValueError
        If image and label of a volume lie on different grids.
    """
    if config.data.kind == "hippocampus":
        _check_grids(case)
    image = plain(preprocessing({"image": read_image(case)})["image"]).float()
    label = torch.from_numpy(read_label(case, config))
    count = len(config.classes) + 1
    target = functional.one_hot(label, count).movedim(-1, 0).float()
    if target.shape[1:] != image.shape[1:]:
        target = functional.interpolate(
            target[None], size=tuple(image.shape[1:]), mode="bilinear", antialias=True
        )[0]
    return Prepared(image, target if config.activation == "softmax" else target[1:])


def _check_grids(case: Case) -> None:
    image, label = open_volume(case.image), open_volume(case.label)
    if image.shape != label.shape or not np.allclose(image.affine, label.affine, atol=1e-3):
        raise ValueError("image and label lie on different grids")
    if nibabel.aff2axcodes(image.affine) != ("R", "A", "S"):
        raise ValueError("the set's volumes are expected in RAS order")


def plain(tensor: Tensor) -> Tensor:
    """Return a tensor without the geometry that MONAI's transforms attach."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor


def case_hash(case: Case) -> npt.NDArray[np.bool_]:
    """Compute a difference hash: is a pixel brighter than its neighbour.

    A volume gives 3 x 256 bits, of its mean along each axis. Photographs of the retina all have the same
    outline and shading, so they give 1024 bits of the green channel's centre, where the vessels differ.
    """
    values = read_array(case.image).astype(np.float32)
    if case.image.name.endswith(".nii.gz"):
        return np.concatenate([_plane_hash(values.mean(axis=axis), _VOLUME_HASH) for axis in range(3)])
    green = values[..., 1]
    low = [round(n / 2 - min(green.shape) * _PHOTOGRAPH_CENTRE / 2) for n in green.shape]
    return _plane_hash(green[low[0] : -low[0], low[1] : -low[1]], _PHOTOGRAPH_HASH)


def _plane_hash(plane: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.bool_]:
    batch = torch.from_numpy(np.ascontiguousarray(plane))[None, None]
    small = functional.interpolate(batch, (side, side + 1), mode="bilinear", antialias=True)[0, 0].numpy()
    return np.asarray(small[:, 1:] > small[:, :-1]).ravel()


def load_data(root: Path, config: DataConfig, seed: int) -> SegmentationData:
    """Scan a set, drop near-duplicates and split by group, each source in every split.

    Parameters
    ----------
    root : pathlib.Path
        See `scan`.
    config : DataConfig
        Kind, distances and shares.
    seed : int
        Key of the split.

    Returns
    -------
    SegmentationData
        Without pixels.
    """
    found, unpaired = scan(root, config.kind)
    hashes = np.stack([case_hash(case) for case in found])
    groups = [case.group for case in found]
    dropped = _duplicates(hashes, groups, config.duplicate_distance)
    cases = [case for i, case in enumerate(found) if i not in dropped]
    sources = sorted({case.source for case in cases})
    splits = assign_splits(
        [case.group for case in cases],
        [sources.index(case.source) for case in cases],
        config.validation_fraction,
        config.test_fraction,
        seed,
    )
    digests = [hashlib.sha256(case.image.read_bytes()).hexdigest() for case in cases]
    kept = hashes[[i for i in range(len(found)) if i not in dropped]]
    return SegmentationData(
        tuple(cases), tuple(digests), tuple(splits), tuple(unpaired), len(dropped), _closest(kept)
    )


def _duplicates(hashes: npt.NDArray[np.bool_], groups: Sequence[str], distance: int) -> set[int]:
    # Two images of one patient may resemble each other: they are on one side of the split anyway.
    pairs = [(a, b) for a, b in near_duplicates(hashes, distance) if groups[a] != groups[b]]
    return drop_duplicates([0] * len(hashes), pairs)


def _closest(hashes: npt.NDArray[np.bool_]) -> int:
    bits = hashes.astype(np.float32)
    ones = bits.sum(axis=1)
    hamming = ones[:, None] + ones[None, :] - 2.0 * bits @ bits.T
    return int(hamming[~np.eye(len(bits), dtype=bool)].min())
