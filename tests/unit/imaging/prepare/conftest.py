"""Subjects with a sphere of a known place and size."""

import numpy as np
import pytest
import SimpleITK

from firstread.imaging.prepare import Subject
from firstread.imaging.series import load
from tests.support.phantoms import planes, rotated, series


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def ball(directions: np.ndarray | None = None) -> Subject:
    """Return the sphere of the phantoms, with the mask `ball` on it."""
    volume = load(series(planes() if directions is None else planes(directions=directions)))
    return Subject(volume, {"ball": volume.values > 0, "labels": (volume.values > 0).astype(np.uint8) * 3})


@pytest.fixture(scope="session")
def sphere() -> Subject:
    return ball()


@pytest.fixture(scope="session")
def oblique() -> Subject:
    return ball(rotated(20))
