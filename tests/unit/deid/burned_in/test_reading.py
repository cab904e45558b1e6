"""The real detector on real pixels with planted text: minutes, not seconds, on one processor."""

import warnings
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import RLELossless

from firstread.deid.burned_in import CleanResult, RapidTextDetector
from firstread.deid.burned_in.allowed import is_allowed
from firstread.deid.burned_in.views import stretched
from tests.unit.deid.burned_in.making import Array, cleaned, compressed, native
from tests.unit.deid.burned_in.planting import Line, draw, plant

pytest.importorskip("rapidocr")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector() -> RapidTextDetector:
    return RapidTextDetector()


def _sample(name: str) -> Dataset:
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip("this sample needs pydicom-data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(Path(str(found)))


def _gray(name: str) -> Array:
    pixels = _sample(name).pixel_array
    return np.ascontiguousarray(pixels)


def _hidden(before: Array, after: Array, lines: list[Line]) -> list[float]:
    """Return the part of each line's ink that is gone."""
    return [float((before != after)[line.ink].mean()) for line in lines]


def _finds(detector: RapidTextDetector, pixels: Array) -> bool:
    image = stretched(pixels) if pixels.ndim == 2 else pixels
    return any(not is_allowed(box) for box in detector.find(image))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("CT_small.dcm", (9, 10)), ("693_UNCI.dcm", (9, 12, 16, 24)), ("RG1_UNCI.dcm", (16, 24, 40, 80))],
)
@pytest.mark.parametrize("contrast", [1.0, 0.35])
def test_planted_lines_are_gone(
    detector: RapidTextDetector, name: str, sizes: tuple[int, ...], contrast: float
) -> None:
    frame = _gray(name)
    lines = plant(frame, 3, sizes, contrast)
    dataset, result = cleaned(native(frame), detector)
    after = dataset.pixel_array
    assert min(_hidden(frame, after, lines)) >= 0.98
    assert result.blanked >= len(lines) // 2
    assert not _finds(detector, after)


def test_ultrasound_with_the_name_of_an_institution(detector: RapidTextDetector) -> None:
    sample = _sample("US1_J2KI.dcm")
    before = sample.pixel_array
    whole = BytesIO()
    dcmwrite(whole, sample)
    dataset, result = cleaned(whole.getvalue(), detector)
    after = dataset.pixel_array
    assert dataset.file_meta.TransferSyntaxUID == sample.file_meta.TransferSyntaxUID
    assert after[5:104, :200].max() < 30  # the institution, a number, the age: noise of the codec is left
    assert not _finds(detector, after)
    assert result.blanked >= 15
    # Vessels in colour stay: the image is still worth reading.
    doppler = np.s_[150:290, 90:545]
    assert (before[doppler] == after[doppler]).all()


def test_colour_cine_with_text_on_one_frame(detector: RapidTextDetector) -> None:
    frames = np.zeros((3, 240, 320, 3), np.uint8)
    frames[:, 60:200, 60:260] = np.random.default_rng(1).integers(30, 90, (140, 200, 1))
    draw(frames[1], "QUIMBY^THEODORA", (20, 20), 16, 240)
    dataset, result = cleaned(compressed(frames, RLELossless, 3), detector)
    after = dataset.pixel_array
    assert np.array_equal(after[[0, 2]], frames[[0, 2]])
    assert not after[1, :40].any()
    assert (result.looked_at, result.touched) == (2, 1)


def test_markers_stay_and_names_go(detector: RapidTextDetector) -> None:
    frame = np.zeros((512, 512), np.uint16)
    frame[150:400, 100:400] = np.random.default_rng(1).integers(300, 900, (250, 300))
    name = draw(frame, "QUIMBY^THEODORA", (20, 20), 18, 4000)
    kept = draw(frame, "PORTABLE", (20, 450), 22, 4000, "DejaVuSans.ttf")
    dataset, result = cleaned(native(frame), detector)
    after = dataset.pixel_array
    assert _hidden(frame, after, [name]) == [1.0]
    assert _hidden(frame, after, [kept]) == [0.0]
    assert (result.kept, result.blanked) == (1, 1)


def test_monochrome1_and_a_rotated_line(detector: RapidTextDetector) -> None:
    frame = np.full((400, 400), 3500, np.uint16)
    draw(frame, "QUIMBY^THEODORA", (60, 60), 18, 100)
    frame = np.ascontiguousarray(np.rot90(frame))
    dataset, _ = cleaned(native(frame, PhotometricInterpretation="MONOCHROME1"), detector)
    assert (dataset.pixel_array == 3500).all()


def test_nothing_is_blanked_where_nothing_is_written(detector: RapidTextDetector) -> None:
    results: list[tuple[FileDataset, CleanResult]] = [
        cleaned(native(_gray(name)), detector) for name in ("CT_small.dcm", "MR_small.dcm")
    ]
    assert [result.blanked for _, result in results] == [0, 0]


def test_faint_letters_on_tissue(detector: RapidTextDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    speckle = np.random.default_rng(0).normal(90, 40, (300, 400)).astype(np.float32)
    tissue = cv2.GaussianBlur(speckle, (0, 0), 2.0) + np.linspace(0, 60, 400, dtype=np.float32)
    ink = np.zeros(tissue.shape, np.uint8)
    draw(ink, "QUIMBY THEODORA", (60, 100), 16, 255)
    faint = np.clip(tissue + ink.astype(np.float32) * (14 / 255), 0, 255).astype(np.uint8)
    assert len(detector.find(faint)) == 1
    assert not detector.find(tissue.clip(0, 255).astype(np.uint8))
    monkeypatch.setattr(RapidTextDetector, "_faint", lambda *_: ())
    assert not detector.find(faint)  # without the second look nobody sees them
