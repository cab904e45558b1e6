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
from model_service.training.sources import read_source
from model_service.training.split import (
    Sample,
    Split,
    assign_splits,
    difference_hash,
    drop_duplicates,
    link_groups,
    near_duplicates,
    shifted_twins,
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
        N x height x width, or N x height x width x 3, ``uint8``.
    classes : tuple of str
        Names of the labels.
    dropped : int
        Near-duplicates left out.
    linked : int
        Pairs of images that joined two patients into one group.
    """

    samples: tuple[Sample, ...]
    groups: tuple[str, ...]
    splits: tuple[Split, ...]
    pixels: npt.NDArray[np.uint8]
    classes: tuple[str, ...]
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
        """Return N x 1 (3 in colour) x height x width values in [0, 1]."""
        values = torch.from_numpy(self.pixels[indices]).float().div_(255.0)
        return values.unsqueeze(1) if values.ndim == 3 else values.movedim(-1, 1)

    def balanced(self, split: Split, count: int, generator: torch.Generator) -> npt.NDArray[np.int64]:
        """Draw positions such that classes, and sources within a class, are equally frequent."""
        indices = self.indices(split)
        places = [(self.samples[i].label, self.samples[i].source) for i in indices]
        weights = [1 / (places.count(p) * len({s for c, s in places if c == p[0]})) for p in set(places)]
        table = dict(zip(set(places), weights, strict=True))
        share = torch.tensor([table[place] for place in places])
        drawn = torch.multinomial(share, count, replacement=True, generator=generator)
        return np.asarray(indices[drawn.numpy()], dtype=np.int64)

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


def load_dataset(root: Path, config: DataConfig, seed: int, fold: int = 0) -> Dataset:
    """Read a set, drop near-duplicates, group by patient and split.

    Parameters
    ----------
    root : pathlib.Path
        The data folder.
    config : DataConfig
        Sources, classes and distances.
    seed : int
        Key of the split.
    fold : int
        Which part of the set is the test split; 0 is the published one.

    Returns
    -------
    Dataset
        With all pixels in memory.
    """
    found = [pair for source in config.sources for pair in read_source(root, source, config)]
    images = [Image.fromarray(pixels) for _, pixels in found]
    hashes = np.stack([difference_hash(image) for image in images])
    labels = [sample.label for sample, _ in found]
    links = near_duplicates(hashes, config.link_distance)
    if config.link_correlation:
        links = sorted({*links, *shifted_twins(images, config.link_correlation)})
    dropped = drop_duplicates(labels, near_duplicates(hashes, config.duplicate_distance))
    conflicts = {pair for pair in links if labels[pair[0]] != labels[pair[1]]}
    if config.drop_conflicting_links:
        dropped |= {index for pair in conflicts for index in pair}
    kept = [i for i in range(len(found)) if i not in dropped]
    place = {index: position for position, index in enumerate(kept)}
    joined = [(place[a], place[b]) for a, b in links if a in place and b in place]
    samples = [found[i][0] for i in kept]
    groups = link_groups([s.patient for s in samples], joined)
    splits = _splits(samples, groups, config, seed, fold)
    used = [i for i, split in enumerate(splits) if split is not None]
    return Dataset(
        samples=tuple(samples[i] for i in used),
        groups=tuple(groups[i] for i in used),
        splits=tuple(split for split in splits if split is not None),
        pixels=np.stack([found[kept[i]][1] for i in used]),
        classes=config.classes,
        dropped=len(dropped),
        linked=sum(samples[a].patient != samples[b].patient for a, b in joined),
    )


def _splits(
    samples: list[Sample], groups: list[str], config: DataConfig, seed: int, fold: int
) -> list[Split | None]:
    """Split what is not held out; None for what must not be used.

    A group that reaches into a held-out source is held out with it, and an image that is for training only
    is not used where its group is in another split.
    """
    outside = {group for sample, group in zip(samples, groups, strict=True) if sample.use == "external"}
    inside = [i for i, group in enumerate(groups) if group not in outside]
    chosen = assign_splits(
        [groups[i] for i in inside],
        [samples[i].label for i in inside],
        config.validation_fraction,
        config.test_fraction,
        seed,
        fold,
    )
    splits: list[Split | None] = [Split.EXTERNAL if sample.use == "external" else None for sample in samples]
    for index, split in zip(inside, chosen, strict=True):
        if samples[index].use == "split" or split is Split.TRAIN:
            splits[index] = split
    return splits
