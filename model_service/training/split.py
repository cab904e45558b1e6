"""Near-duplicates, patient groups and the frozen split."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d, pad

_HASH_SIDE = 16
_TWIN_SIDE = 48
_BLOCK = 1024


class Split(StrEnum):
    """What an image is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    EXTERNAL = "external"


@dataclass(frozen=True)
class Sample:
    """One image of the set.

    Parameters
    ----------
    path : pathlib.Path
        The file it comes from.
    label : int
        Position of its class; of two classes, 1 is the finding.
    patient : str
        The patient as the file name tells it.
    sha256 : str
        Digest of the file, or of the slice where the file is a volume.
    source : str
        Where it comes from.
    use : {"split", "train", "external"}
        What its source is for.
    """

    path: Path
    label: int
    patient: str
    sha256: str
    source: str
    use: Literal["split", "train", "external"] = "split"


def patient_of(name: str, pattern: str) -> str:
    r"""Return the patient that a file name tells.

    Examples
    --------
    >>> patient_of("person82_virus_154.jpeg", r"(person\d+|IM-\d+)[_-]")
    'person82'
    """
    match = re.match(pattern, name)
    if match is None:
        raise ValueError("file name without a patient")
    return match[1]


def difference_hash(image: Image.Image) -> npt.NDArray[np.bool_]:
    """Compute a 256-bit difference hash: is a pixel brighter than its left neighbour.

    Parameters
    ----------
    image : PIL.Image.Image
        Any image; only its luminance counts.

    Returns
    -------
    numpy.ndarray
        256 booleans.
    """
    small = image.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(small, dtype=np.int16)
    return (values[:, 1:] > values[:, :-1]).ravel()


def near_duplicates(hashes: npt.NDArray[np.bool_], distance: int) -> list[tuple[int, int]]:
    """Find the pairs whose hashes differ in at most ``distance`` bits.

    Parameters
    ----------
    hashes : numpy.ndarray
        One row of booleans per image.
    distance : int
        Largest Hamming distance of a pair.

    Returns
    -------
    list of tuple of int
        Pairs (i, j) with i < j.
    """
    bits = hashes.astype(np.float32)
    ones = bits.sum(axis=1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(bits), _BLOCK):
        rows = slice(start, start + _BLOCK)
        hamming = ones[rows, None] + ones[None, :] - 2.0 * bits[rows] @ bits.T
        first, second = np.nonzero(np.triu(hamming <= distance, k=start + 1))
        pairs += zip((first + start).tolist(), second.tolist(), strict=True)
    return pairs


def shifted_twins(images: Sequence[Image.Image], correlation: float) -> list[tuple[int, int]]:
    """Find the pairs that show the same scene, shifted.

    Local detail (48 x 48, less its neighbourhood's mean) is correlated at every shift, which finds two shots of
    one lesion where a hash compares fixed places.

    Parameters
    ----------
    images : sequence of PIL.Image.Image
        Only their luminance counts.
    correlation : float
        Least correlation of a pair at its best shift.

    Returns
    -------
    list of tuple of int
        Pairs (i, j) with i < j.
    """
    side = _TWIN_SIDE
    small = np.stack(
        [
            np.asarray(i.convert("L").resize((side, side), Image.Resampling.BILINEAR), np.float32)
            for i in images
        ]
    )
    wide = pad(torch.from_numpy(small)[:, None], (7, 7, 7, 7), mode="replicate")
    detail = small - avg_pool2d(wide, kernel_size=15, stride=1)[:, 0].numpy()
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    detail /= np.linalg.norm(detail, axis=(1, 2), keepdims=True) + 1e-6
    spectra = np.fft.rfft2(detail, s=(2 * side, 2 * side))
    pairs = []
    for first in range(len(images) - 1):
        products = np.fft.irfft2(spectra[first].conj() * spectra[first + 1 :])
        alike = np.flatnonzero(products.max(axis=(1, 2)) >= correlation)
        pairs += [(first, first + 1 + int(other)) for other in alike]
    return pairs


def drop_duplicates(labels: Sequence[int], pairs: Sequence[tuple[int, int]]) -> set[int]:
    """Choose which of the near-duplicates go.

    Of a pair with the same label the later one goes. A pair with different labels goes whole: one of its
    labels is wrong and nothing says which.

    Parameters
    ----------
    labels : sequence of int
        Label of each image.
    pairs : sequence of tuple of int
        As `near_duplicates` returns them.

    Returns
    -------
    set of int
        Indices to leave out.
    """
    dropped: set[int] = set()
    for first, second in pairs:
        dropped.add(second)
        if labels[first] != labels[second]:
            dropped.add(first)
    return dropped


def link_groups(patients: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Join the images of one patient, and of patients who may be one, into groups.

    Parameters
    ----------
    patients : sequence of str
        Patient of each image.
    pairs : sequence of tuple of int
        Images so alike that their patients must not be on two sides of a split.

    Returns
    -------
    list of str
        Group of each image, named by the group's first patient in sort order.
    """
    parent = {patient: patient for patient in patients}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = parent[parent[patient]]
            patient = parent[patient]
        return patient

    for first, second in pairs:
        one, other = sorted((root(patients[first]), root(patients[second])))
        parent[other] = one
    return [root(patient) for patient in patients]


def assign_splits(
    groups: Sequence[str], labels: Sequence[int], validation: float, test: float, seed: int, fold: int = 0
) -> list[Split]:
    """Give every group, whole, to one split, with the class balance kept.

    The order of groups comes from a keyed digest of their names, so adding a patient moves few others.

    Parameters
    ----------
    groups : sequence of str
        Group of each image.
    labels : sequence of int
        Label of each image; a group with several counts as the highest for the balance.
    validation, test : float
        Share of the images of each class.
    seed : int
        Key of the digest.
    fold : int
        Which part of the order is the test split, counted in test splits; 0 is the published one.

    Returns
    -------
    list of Split
        One per image.
    """
    sizes: dict[str, int] = {}
    stratum: dict[str, int] = {}
    for group, label in zip(groups, labels, strict=True):
        sizes[group] = sizes.get(group, 0) + 1
        stratum[group] = max(stratum.get(group, 0), label)
    chosen: dict[str, Split] = {}
    for label in sorted(set(stratum.values())):
        members = sorted((g for g in sizes if stratum[g] == label), key=lambda g: _key(seed, g))
        total, seen = sum(sizes[g] for g in members), 0
        for group in members:
            share = (seen / total - fold * test) % 1.0
            chosen[group] = (
                Split.TEST if share < test else Split.VALIDATION if share < test + validation else Split.TRAIN
            )
            seen += sizes[group]
    return [chosen[group] for group in groups]


def _key(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
