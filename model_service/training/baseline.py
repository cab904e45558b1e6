"""The trivial baseline: how far does one get without looking at anatomy."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from model_service.training.data import Dataset
from model_service.training.split import Split

_HISTOGRAM_BINS = 16
_PICTURES = frozenset({".jpeg", ".jpg", ".png"})


def features(pixels: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[np.float64]:
    """Return histogram (16 bins), mean and standard deviation of one image.

    To these come the mean of each colour, where there is colour, and the size of a picture file.
    """
    histogram = np.bincount(pixels.ravel() >> 4, minlength=_HISTOGRAM_BINS) / pixels.size
    colours = pixels.reshape(-1, 3).mean(axis=0) if pixels.ndim == 3 else ()
    size = path.stat().st_size if path.suffix in _PICTURES else 0
    return np.array([*histogram, pixels.mean(), pixels.std(), *colours, size], dtype=np.float64)


def baseline_scores(
    data: Dataset, seed: int, indices: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.float64]]:
    """Fit both baselines on the training split and score other images.

    Parameters
    ----------
    data : Dataset
        Same images and split as the model's.
    seed : int
        Seed of the forest.
    indices : numpy.ndarray
        Which images to score.

    Returns
    -------
    dict of str to numpy.ndarray
        Images x classes probabilities, by the baseline's name.
    """
    table = np.stack([features(data.pixels[i], s.path) for i, s in enumerate(data.samples)])
    training = data.indices(Split.TRAIN)
    models = {
        "logistic_regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random_forest": RandomForestClassifier(n_estimators=300, min_samples_leaf=2, random_state=seed),
    }
    scores = {}
    for name, model in models.items():
        model.fit(table[training], data.labels(training))
        scores[name] = np.asarray(model.predict_proba(table[indices]), dtype=np.float64)
    return scores
