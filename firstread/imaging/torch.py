"""Series as data sets for PyTorch: whole volumes or patches, with masks and labels (extras `volumes` and `torch`).

`from_index` or `from_folders` find samples, `split` parts them by patient, and a data set prepares and caches them.
"""

from os import PathLike
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from firstread.imaging.learn import (
    LearnError,
    LearnReason,
    Sample,
    Selection,
    from_folders,
    from_index,
    part_of,
    read_labels,
    split,
    with_labels,
)
from firstread.imaging.learn.adapters import tf_dataset, to_subject
from firstread.imaging.learn.volumes import Arrays, Patches, Size, Volumes

__all__ = [
    "LearnError",
    "LearnReason",
    "PatchDataset",
    "Sample",
    "Selection",
    "VolumeDataset",
    "from_folders",
    "from_index",
    "part_of",
    "read_labels",
    "split",
    "tf_dataset",
    "to_meta",
    "to_subject",
    "with_labels",
]

Item = dict[str, Any]


class VolumeDataset(Volumes, Dataset[Item]):
    """Whole volumes as tensors; parameters and items are those of `Volumes`."""

    def __getitem__(self, index: int) -> Item:
        """Return an item: `Volumes.arrays` as tensors."""
        return _tensors(self.arrays(index))


class PatchDataset(Patches, Dataset[Item]):
    """Patches as tensors; parameters and items are those of `Patches`.

    `set_epoch` also reaches workers that a `DataLoader` keeps (``persistent_workers``).
    """

    def __init__(
        self,
        samples: "tuple[Sample, ...] | list[Sample]",
        cache: str | PathLike[str],
        size: Size,
        **settings: Any,  # noqa: ANN401 - those of Patches
    ) -> None:
        super().__init__(samples, cache, size, **settings)
        self._shared = torch.zeros((), dtype=torch.int64)
        self._shared.share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """Return the epoch, from 0."""
        return int(self._shared)

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch: each has other patches."""
        self._shared.fill_(epoch)

    def __getitem__(self, index: int) -> Item:
        """Return an item: `Patches.arrays` as tensors."""
        return _tensors(self.arrays(index))


def to_meta(item: Item) -> Item:
    """Return an item whose image and masks are MONAI's `MetaTensor`, with their affine, in LPS.

    Parameters
    ----------
    item
        Of a data set. MONAI's axes are then slices, rows, columns, as those of the item.
    """
    from monai.data.meta_tensor import MetaTensor
    from monai.utils.enums import SpaceKeys

    meta = {"space": SpaceKeys.LPS}
    there = [name for name in ("image", "masks") if name in item]
    return item | {name: MetaTensor(item[name], affine=item["affine"], meta=dict(meta)) for name in there}


def _tensors(arrays: Arrays) -> Item:
    return {
        name: torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
        for name, value in arrays.items()
    }
