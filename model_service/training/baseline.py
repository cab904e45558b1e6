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


def features(pixels: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[np.float64]:
    """Return histogram (16 bins), mean, standard deviation and file size of one image."""
    histogram = np.bincount(pixels.ravel() >> 4, minlength=_HISTOGRAM_BINS) / pixels.size
    return np.array([*histogram, pixels.mean(), pixels.std(), path.stat().st_size], dtype=np.float64)


def baseline_scores(data: Dataset, seed: int) -> dict[str, npt.NDArray[np.float64]]:
    """Fit both baselines on the training split and score the test split.

    Parameters
    ----------
    data : Dataset
        Same images and split as the model's.
    seed : int
        Seed of the forest.

    Returns
    -------
    dict of str to numpy.ndarray
        Probability per test image, by the baseline's name.
    """
    table = np.stack([features(data.pixels[i], s.path) for i, s in enumerate(data.samples)])
    training, test = data.indices(Split.TRAIN), data.indices(Split.TEST)
    models = {
        "logistic_regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random_forest": RandomForestClassifier(n_estimators=300, min_samples_leaf=2, random_state=seed),
    }
    scores = {}
    for name, model in models.items():
        model.fit(table[training], data.labels(training))
        scores[name] = np.asarray(model.predict_proba(table[test])[:, 1], dtype=np.float64)
    return scores
