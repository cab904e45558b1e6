"""Volumes to learn from: samples of an index or of folders, split by patient, cached in Zarr, whole or in patches.

Nothing here needs torch: `firstread.imaging.torch` has the data sets for it.
"""

from firstread.imaging.learn.errors import LearnError, LearnReason
from firstread.imaging.learn.samples import (
    Sample,
    Selection,
    from_folders,
    from_index,
    read_labels,
    with_labels,
)
from firstread.imaging.learn.split import part_of, split

__all__ = [
    "LearnError",
    "LearnReason",
    "Sample",
    "Selection",
    "from_folders",
    "from_index",
    "part_of",
    "read_labels",
    "split",
    "with_labels",
]
