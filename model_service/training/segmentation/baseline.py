"""Plain baselines beside a network: where a structure usually lies, and a linear model of simple features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]
from torch.nn import functional

from model_service.training.segmentation.config import SegmentationConfig
from model_service.training.segmentation.data import Case, read_array, read_field, read_label

Features = npt.NDArray[np.float32]
_PER_CASE = 2000
_SCALES = (1.0, 2.0, 3.0)
_ATLAS_SHAPE = (36, 50, 36)


class Atlas:
    """The mean label of the training volumes, each stretched to one shape: anatomy without any intensity."""

    def __init__(self, cases: Sequence[Case], config: SegmentationConfig) -> None:
        count = len(config.classes) + 1
        total = torch.zeros(count, *_ATLAS_SHAPE)
        for case in cases:
            label = torch.from_numpy(read_label(case, config))
            total += _stretch(functional.one_hot(label, count).movedim(-1, 0).float(), _ATLAS_SHAPE)
        self._mean = total / len(cases)

    def probabilities(self, shape: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return classes x shape, background first."""
        return np.asarray(_stretch(self._mean, shape).numpy())


def _stretch(values: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    return functional.interpolate(values[None], size=tuple(shape), mode="trilinear")[0]


def volume_features(case: Case, atlas: Atlas) -> Features:
    """Return the standardised intensity, smoothed at three scales, the atlas and the position; features x shape."""
    values = read_array(case.image).astype(np.float32)
    low, high = np.percentile(values, [0.5, 99.5])
    values = np.clip(values, low, high)
    values = (values - values.mean()) / values.std()
    smooth = [ndimage.gaussian_filter(values, scale) for scale in _SCALES]
    edges = [ndimage.gaussian_gradient_magnitude(values, scale) for scale in _SCALES[:2]]
    prior = np.log(atlas.probabilities(values.shape) + 1e-3)
    grid = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in values.shape), indexing="ij")
    return np.stack([values, *smooth, *edges, *prior, *grid, *(axis**2 for axis in grid)]).astype(np.float32)


def photograph_features(case: Case) -> Features:
    """Return ridge strength (largest Hessian eigenvalue) and dark top-hat of the green channel; features x shape."""
    green = read_array(case.image)[..., 1].astype(np.float32)
    inside = read_field(case)
    local = ndimage.gaussian_filter(green, 15.0) / ndimage.gaussian_filter(
        inside.astype(np.float32), 15.0
    ).clip(0.1)
    values = np.where(inside, green - local, 0.0)
    values /= values[inside].std()
    ridges = [_ridge(values, scale * max(green.shape) / 640) for scale in (1.0, 2.0, 3.0, 4.0)]
    sizes = [int(size * max(green.shape) / 640) | 1 for size in (9, 17)]
    hats = [ndimage.black_tophat(values, size=(size, size)) for size in sizes]
    return np.stack([values, *ridges, *hats]).astype(np.float32)


def _ridge(values: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    xx, yy, xy = (ndimage.gaussian_filter(values, scale, order=order) for order in ((2, 0), (0, 2), (1, 1)))
    largest = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.asarray(scale**2 * np.maximum(largest, 0), dtype=np.float32)


class Baseline:
    """Logistic regression of simple features of every voxel, fitted on samples of the training cases.

    Parameters
    ----------
    cases : sequence of Case
        The training cases.
    config : SegmentationConfig
        Kind of set and seed.
    """

    def __init__(self, cases: Sequence[Case], config: SegmentationConfig) -> None:
        self._volumes = config.data.kind == "hippocampus"
        self.atlas = Atlas(cases, config) if self._volumes else None
        generator = np.random.default_rng(config.seed)
        rows, labels = [], []
        for case in cases:
            features, label, inside = self._features(case), read_label(case, config), read_field(case)
            usable = np.flatnonzero(inside)
            chosen = generator.choice(usable, min(_PER_CASE, len(usable)), replace=False)
            rows.append(features.reshape(len(features), -1)[:, chosen].T)
            labels.append(label.ravel()[chosen])
        self._model: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        self._model.fit(np.concatenate(rows), np.concatenate(labels))

    def probabilities(self, case: Case) -> npt.NDArray[np.float32]:
        """Return classes x shape, background first."""
        features = self._features(case)
        scores = self._model.predict_proba(features.reshape(len(features), -1).T)
        return np.asarray(scores.T.reshape(-1, *features.shape[1:]), dtype=np.float32)

    def _features(self, case: Case) -> Features:
        return photograph_features(case) if self.atlas is None else volume_features(case, self.atlas)
