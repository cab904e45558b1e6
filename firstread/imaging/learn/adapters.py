"""Items for TorchIO and TensorFlow; each library is imported when it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from firstread.imaging.learn.errors import LearnError, LearnReason
from firstread.imaging.learn.volumes import Arrays, Patches, Volumes

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SWAP = np.eye(4)[[2, 1, 0, 3]]


def to_subject(item: Mapping[str, Any], mask_names: Sequence[str] = ()) -> Any:  # noqa: ANN401 - of TorchIO
    """Return an item as a TorchIO subject: columns x rows x slices, affine to RAS, a label map for each mask.

    Parameters
    ----------
    item
        Of a data set of `firstread.imaging.torch`.
    mask_names
        Its `mask_names`.

    Returns
    -------
    torchio.Subject
        With ``image``, the masks by name, and what else the item has but its affine.

    Raises
    ------
    ImportError
        If TorchIO is not installed.
    """
    try:
        torchio = import_module("torchio")
    except ImportError:
        raise ImportError("to_subject needs TorchIO: pip install torchio") from None
    affine = _TO_RAS @ np.asarray(item["affine"]) @ _SWAP
    made = {name: value for name, value in item.items() if name not in ("image", "masks", "affine")}
    made["image"] = torchio.ScalarImage(tensor=item["image"].permute(0, 3, 2, 1), affine=affine)
    for channel, name in enumerate(mask_names):
        mask = item["masks"][channel : channel + 1].permute(0, 3, 2, 1)
        made[name] = torchio.LabelMap(tensor=mask, affine=affine)
    return torchio.Subject(made)


def tf_dataset(dataset: Volumes) -> Any:  # noqa: ANN401 - of TensorFlow
    """Return a data set as a `tf.data.Dataset` of the same dictionaries, channels first, in the order of its indices.

    Parameters
    ----------
    dataset
        Whole volumes or patches. Each pass over the result reads `epoch` anew.

    Returns
    -------
    tensorflow.data.Dataset
        Every item has as many channels as the first, and is as large, where it is a patch.

    Raises
    ------
    ImportError
        If TensorFlow is not installed.
    LearnError
        ``no_samples`` if the data set is empty.
    """
    try:
        tensorflow = import_module("tensorflow")
    except ImportError:
        raise ImportError('tf_dataset needs TensorFlow: pip install "firstread[tensorflow]"') from None
    if not len(dataset):
        raise LearnError(LearnReason.NO_SAMPLES)

    def items() -> Iterator[Arrays]:
        for index in range(len(dataset)):
            yield dataset.arrays(index)

    is_even = isinstance(dataset, Patches)
    first = {name: np.asarray(value) for name, value in dataset.arrays(0).items()}
    signature = {
        name: tensorflow.TensorSpec(
            # Volumes differ in size.
            shape=value.shape if is_even or value.ndim < 4 else (len(value), None, None, None),
            dtype=tensorflow.string if value.dtype.kind == "U" else tensorflow.as_dtype(value.dtype.name),
        )
        for name, value in first.items()
    }
    return tensorflow.data.Dataset.from_generator(items, output_signature=signature)
