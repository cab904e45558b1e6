"""Pipelines as MONAI transforms. Imports MONAI, and torch with it: `as_monai` imports this when it is asked for."""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform, Transform
from monai.utils.enums import SpaceKeys

from firstread.imaging.prepare.base import References
from firstread.imaging.prepare.pipeline import Pipeline, Prepared
from firstread.imaging.prepare.subject import Array, Mask, PrepareError, PrepareReason
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import Volume

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SWAP = np.eye(4)[[2, 1, 0, 3]]  # MONAI has (column, row, slice), as NIfTI has


class Prepare(Transform):
    """A pipeline for one image.

    Parameters
    ----------
    pipeline
        What it does.
    modality, units, references
        As of `Pipeline.sitk`.
    """

    def __init__(self, pipeline: Pipeline, modality: str, units: str, references: References) -> None:
        self.pipeline, self.modality, self.units, self.references = pipeline, modality, units, references

    def __call__(self, data: MetaTensor) -> MetaTensor:
        """Prepare an image of one channel x columns x rows x slices."""
        return _tensor(self.prepared(data, {}), data)

    def prepared(self, data: MetaTensor, masks: Mapping[str, Mask]) -> Prepared:
        """Return what comes of an image and masks on its grid."""
        volume = Volume(_values(data), _affine(data), (), modality=self.modality, units=self.units)
        return self.pipeline.run(volume, masks, self.references)


class PrepareDict(MapTransform):
    """A pipeline for images of a dictionary and their masks.

    Parameters
    ----------
    pipeline
        What it does.
    keys, masks
        Of images, and of masks that they have or that steps make.
    modality, units, references
        As of `Pipeline.sitk`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        keys: str | Sequence[str],
        masks: Sequence[str],
        modality: str,
        units: str,
        references: References,
    ) -> None:
        super().__init__(keys)
        self.masks = tuple(masks)
        self.one = Prepare(pipeline, modality, units, references)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Prepare the images and masks of a dictionary; all else stays."""
        made = dict(data)
        first = data[self.keys[0]]
        given = {name: _mask(data[name], first) for name in self.masks if name in data}
        results = [(key, data[key], self.one.prepared(data[key], given)) for key in self.keys]
        for key, image, result in results:
            if image.shape != first.shape or not np.allclose(_affine(image), _affine(first), atol=1e-3):
                raise PrepareError(PrepareReason.BAD_MASK)
            made[key] = _tensor(result, image)
        for name in self.masks:
            if name not in results[0][2].masks:
                raise PrepareError(PrepareReason.NO_SUCH_MASK)
            made[name] = _tensor(
                results[0][2], data.get(name, first), results[0][2].masks[name].astype(np.uint8)
            )
        return made


def _values(data: MetaTensor) -> Array:
    if data.ndim != 4 or len(data) != 1:
        raise PrepareError(PrepareReason.NOT_A_VOLUME)
    found: Array = data.as_tensor().detach().cpu().numpy()[0].transpose(2, 1, 0)
    return found


def _to_lps(meta: Mapping[str, Any]) -> Matrix:
    """Return what takes points of an image to LPS; RAS is what MONAI has where it says nothing."""
    return np.eye(4) if meta.get("space") == SpaceKeys.LPS else _TO_RAS


def _affine(data: MetaTensor) -> Matrix:
    found: Matrix = _to_lps(data.meta) @ data.affine.detach().cpu().numpy().astype(np.float64) @ _SWAP
    return found


def _mask(data: MetaTensor, image: MetaTensor) -> Mask:
    if data.shape != image.shape or not np.allclose(_affine(data), _affine(image), atol=1e-3):
        raise PrepareError(PrepareReason.BAD_MASK)
    values = _values(data)
    labels = values.astype(np.uint8)
    if (labels != values).any():
        raise PrepareError(PrepareReason.BAD_MASK)
    return labels


def _tensor(result: Prepared, source: MetaTensor, values: Array | None = None) -> MetaTensor:
    shown = result.volume.values if values is None else values
    affine = _to_lps(source.meta) @ result.volume.affine @ _SWAP  # both are their own inverses
    meta = {
        **source.meta,
        "affine": torch.from_numpy(affine),
        "prepared": json.dumps(result.record),
        "spatial_shape": np.array(shown.shape[::-1]),
    }
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 1, 0)[None])), meta=meta)
