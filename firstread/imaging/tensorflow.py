"""Series as a `tf.data.Dataset`: whole volumes or patches, with masks and labels (extra `tensorflow`; no torch).

`from_index` or `from_folders` find samples, `split` parts them by patient, `Volumes` or `Patches` prepare and cache
them, and `tf_dataset` hands them over.
"""

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
from firstread.imaging.learn.adapters import tf_dataset
from firstread.imaging.learn.volumes import Patches, Volumes

__all__ = [
    "LearnError",
    "LearnReason",
    "Patches",
    "Sample",
    "Selection",
    "Volumes",
    "from_folders",
    "from_index",
    "part_of",
    "read_labels",
    "split",
    "tf_dataset",
    "with_labels",
]
