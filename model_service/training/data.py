"""Reading the set: pixels in memory, split as configured, and the frozen list of the split."""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from model_service.training.config import DataConfig
from model_service.training.split import (
    Sample,
    Split,
    assign_splits,
    difference_hash,
    drop_duplicates,
    link_groups,
    near_duplicates,
    scan,
)

# 64 bits: enough to tell five thousand files apart, a quarter of the size in the repository.
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Dataset:
    """The images of a set after de-duplication, each with its split.

    Parameters
    ----------
    samples : tuple of Sample
        One per image.
    groups : tuple of str
        Patient group of each image.
    splits : tuple of Split
        Split of each image.
    pixels : numpy.ndarray
        N x height x width ``uint8``.
    dropped : int
        Near-duplicates left out.
    linked : int
        Pairs of images that joined two patients into one group.
    """

    samples: tuple[Sample, ...]
    groups: tuple[str, ...]
    splits: tuple[Split, ...]
    pixels: npt.NDArray[np.uint8]
    dropped: int
    linked: int

    def indices(self, split: Split) -> npt.NDArray[np.int64]:
        """Return the positions of one split's images."""
        return np.flatnonzero([s is split for s in self.splits])

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the labels of the images at ``indices``."""
        return np.array([self.samples[i].label for i in indices], dtype=np.int64)

    def patients(self, indices: npt.NDArray[np.int64]) -> list[str]:
        """Return the patient groups of the images at ``indices``."""
        return [self.groups[i] for i in indices]

    def batch(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """Return N x 1 x height x width values in [0, 1]."""
        return torch.from_numpy(self.pixels[indices]).unsqueeze(1).float().div_(255.0)

    def manifest(self) -> str:
        """Return the frozen split as CSV text, sorted and without names: start of digest, label, split."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sha256", "label", "split"])
        rows = zip(self.samples, self.splits, strict=True)
        writer.writerows(sorted((s.sha256[:_DIGEST_LENGTH], s.label, split.value) for s, split in rows))
        return text.getvalue()


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_dataset(root: Path, config: DataConfig, seed: int) -> Dataset:
    """Read a set, drop near-duplicates, group by patient and split.

    Parameters
    ----------
    root : pathlib.Path
        Folder that holds the class folders.
    config : DataConfig
        Classes and distances.
    seed : int
        Key of the split.

    Returns
    -------
    Dataset
        With all pixels in memory.
    """
    found = scan(root, config.negative, config.positive)
    pixels, hashes = [], []
    for sample in found:
        with Image.open(sample.path) as image:
            grey = image.convert("L")
            hashes.append(difference_hash(grey))
            pixels.append(np.asarray(grey))
    table = np.stack(hashes)
    dropped = drop_duplicates([s.label for s in found], near_duplicates(table, config.duplicate_distance))
    kept = [i for i in range(len(found)) if i not in dropped]
    samples = [found[i] for i in kept]
    links = near_duplicates(table[kept], config.link_distance)
    groups = link_groups([s.patient for s in samples], links)
    labels = [s.label for s in samples]
    splits = assign_splits(groups, labels, config.validation_fraction, config.test_fraction, seed)
    joined = sum(samples[a].patient != samples[b].patient for a, b in links)
    images = np.stack([pixels[i] for i in kept])
    return Dataset(tuple(samples), tuple(groups), tuple(splits), images, len(dropped), joined)
