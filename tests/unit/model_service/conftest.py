from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import model_service
from model_service.predict import Classifier

BUNDLE = Path(model_service.__file__).parent / "bundles" / "cxr_opacity"


@pytest.fixture(scope="session")
def bundle() -> Path:
    return BUNDLE


@pytest.fixture(scope="session")
def classifier(bundle: Path) -> Classifier:
    return Classifier.load(bundle)


@pytest.fixture(scope="session")
def image() -> npt.NDArray[np.float32]:
    """A smooth scene with edges: not an X-ray, only something with structure at several scales."""
    row, column = np.mgrid[0:300, 0:240].astype(np.float32) / 300
    waves = 0.5 + 0.2 * np.sin(9 * row) * np.cos(7 * column) + 0.15 * np.sin(31 * column + 5 * row)
    waves[80:220, 50:100] *= 0.5
    return np.asarray(np.clip(waves, 0, 1), dtype=np.float32)
