"""The simulated radiograph is a valid file that says what it is."""

import io
from datetime import UTC, datetime

import numpy as np
import pydicom
import pytest

from firstread.demo import simulate
from firstread.demo.simulate import chest, radiograph
from firstread.dicom import Timing, facts, read

WHEN = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def data() -> bytes:
    return radiograph(seed=3, when=WHEN)


def test_the_file_passes_the_reader_and_is_within_the_population_of_the_model(data: bytes) -> None:
    file = read(io.BytesIO(data))
    timing = Timing.of(file.dataset, received=WHEN.date())
    found = facts(file.dataset, timing)
    assert (found.modality, found.body_part, found.view_position) == ("DX", "CHEST", "AP")
    assert (found.age_years, found.is_recent, found.simulated) == (3.0, True, True)


def test_it_says_that_it_is_simulated_wherever_there_is_a_place(data: bytes) -> None:
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert dataset.SyntheticData == "YES"
    assert "Simulated" in dataset.StudyDescription and "Simulated" in dataset.SeriesDescription
    assert dataset.PatientID.startswith("SIMULATED")
    assert dataset.pixel_array.shape == (768, 768)
    assert dataset.pixel_array.max() <= 4095
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(simulate, "_SIDE", 192)
    return 192


def test_its_pixels_depend_on_the_seed_alone(small: int) -> None:
    assert chest(3).shape == (small, small)
    assert np.array_equal(chest(3), chest(3))
    assert not np.array_equal(chest(3), chest(4))


def test_opacities_make_the_lungs_brighter_and_nothing_else(small: int) -> None:
    clear, opaque = chest(5, opacity=False).astype(float), chest(5, opacity=True).astype(float)
    lungs = (slice(small * 320 // 768, small * 480 // 768), slice(small * 200 // 768, small * 330 // 768))
    assert opaque[lungs].mean() > clear[lungs].mean() + 30
    corner = (slice(0, 15), slice(0, 15))
    assert abs(opaque[corner].mean() - clear[corner].mean()) < 5
