"""Headers without pydicom: what pydicom reads, or nothing; and volumes that are the same either way."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian

from firstread.dicom.silence import quiet
from firstread.imaging import load_all, reading
from firstread.imaging import series as module
from firstread.imaging.lookup import numbers
from firstread.imaging.plain import _KNOWN, HEAD, NotPlainError, PlainHeader, plain_header
from tests.support.phantoms import STEPS, image, planes, rotated, series
from tests.unit.imaging.convert.trees import write
from tests.unit.imaging.test_geometry import two_times, with_localizer

SAMPLES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm"))
_TEXTS = ("CS", "LO", "SH", "TM", "UI")


def encoded(undefined: bool = False) -> bytes:
    one = image(planes()[0], 1)
    item, other = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, "2.25.9"
    other.ReferencedSOPInstanceUID = "2.25.11"
    other.PurposeOfReferenceCodeSequence = [Dataset()]
    other.PurposeOfReferenceCodeSequence[0].CodeValue = "A"
    one.ReferencedImageSequence = [item, other]
    for sequence in (one["ReferencedImageSequence"], other["PurposeOfReferenceCodeSequence"]):
        sequence.is_undefined_length = undefined
    for each in (item, other, other.PurposeOfReferenceCodeSequence[0]):
        each.is_undefined_length_sequence_item = undefined
    one.KVP, one.EchoNumbers, one.RevolutionTime, one.SpiralPitchFactor = "120", [1, 2], 0.5, 1.25
    one.RescaleType, one.AcquisitionTime, one.PatientPosition = "HU", "101112.5", ""
    stream = BytesIO()
    assert isinstance(one, FileDataset)
    one.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def by_pydicom(data: bytes) -> Dataset | None:
    try:
        with quiet():
            return pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
    except Exception:
        return None


def text(value: object) -> object:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(each) for each in value]
    return "" if value is None else str(value)


def told(ask: Callable[[str], object], keyword: str) -> tuple[bool, object]:
    try:
        return True, ask(keyword)
    except NotPlainError:
        return False, None


def agree(plain: PlainHeader, expected: Dataset) -> int:
    """Compare all that is told; return how much that was."""
    count = 0
    for keyword, (_, vr) in _KNOWN.items():
        is_told, there = told(plain.__contains__, keyword)
        if is_told:
            assert there == (keyword in expected), keyword
        is_told, found = told(plain.numbers, keyword)
        if is_told:
            assert found == numbers(expected, keyword), keyword
            count += found != ()
        is_told, found = told(plain.get, keyword)
        if is_told and vr.decode() in _TEXTS:
            assert text(found) == text(expected.get(keyword)), keyword
            count += 1
        elif is_told and found is not None:
            items = expected[keyword].value
            assert isinstance(found, list) and len(found) == len(items)
            count += sum(agree(one, other) for one, other in zip(found, items, strict=True))
    return count


def test_the_table_is_that_of_the_standard() -> None:
    for keyword, (tag, vr) in _KNOWN.items():
        assert tag_for_keyword(keyword) == tag and dictionary_VR(tag) == vr.decode(), keyword


@pytest.mark.parametrize("undefined", [True, False])
def test_a_header_and_its_references(undefined: bool) -> None:
    data = encoded(undefined)
    plain, expected = plain_header(data), by_pydicom(data)
    assert expected is not None and agree(plain, expected) > 40
    assert [each.get("ReferencedSOPInstanceUID") for each in plain.get("ReferencedImageSequence")] == [
        "2.25.9",
        "2.25.11",
    ]
    assert plain.numbers("EchoNumbers") == (1.0, 2.0) and plain.numbers("RevolutionTime") == (0.5,)
    with pytest.raises(NotPlainError):
        plain.get("PatientName")


def test_samples_are_read_alike_or_left() -> None:
    read = 0
    for path in SAMPLES:
        try:
            plain = plain_header(path.read_bytes()[:HEAD])
        except NotPlainError:
            continue
        expected = by_pydicom(path.read_bytes())
        if expected is not None:
            with quiet():
                read += agree(plain, expected) > 0
    assert read > 10


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_broken_it_agrees_or_leaves_it(data: st.DataObject) -> None:
    whole = bytearray(encoded(undefined=data.draw(st.booleans()))[:1600])
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(
            st.one_of(st.integers(0, 255), st.sampled_from(b"\\ \0_.-1e9"))
        )
    try:
        plain = plain_header(bytes(whole))
    except NotPlainError:
        return
    expected = by_pydicom(bytes(whole))
    if expected is not None:
        with quiet():
            agree(plain, expected)


def signed() -> list[Dataset]:
    made = series()
    for each in made:
        each.PixelRepresentation, each.BitsStored, each.HighBit = 1, 12, 11
        stored = np.frombuffer(each.PixelData, "<u2") // 4 + 0xF000  # something in the unused bits
        each.PixelData = stored.astype("<u2").tobytes()
    return made


CASES: dict[str, Callable[[], Sequence[Dataset]]] = {
    "regular": series,
    "oblique": lambda: series(planes(directions=rotated(25.0))),
    "slopes": lambda: series(slope=lambda number: 1.0 + number % 3 / 4),
    "signed": signed,
    "missing": lambda: series(planes([each for each in STEPS if each != STEPS[9]])),
    "tilted": lambda: series(planes(lean=np.array([0.0, 0.2, 1.0]))),
    "times": lambda: two_times("EchoTime"),
    "localizer": lambda: with_localizer(labelled=True),
    "copy": lambda: [*series(), image(planes()[3], 4)],
}


@pytest.mark.parametrize("case", CASES)
def test_volumes_are_the_same_as_through_pydicom(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write(tmp_path, CASES[case]())
    found = load_all(paths)

    def never(*_: object) -> None:
        raise NotPlainError

    monkeypatch.setattr(module, "PlainFiles", never)
    for one, other in zip(found, load_all(paths), strict=True):
        assert one.values.dtype == other.values.dtype and np.array_equal(one.values, other.values)
        assert np.array_equal(one.affine, other.affine) and one.frames == other.frames
        assert one.verdict == other.verdict and one.frame_of_reference == other.frame_of_reference
        assert (one.modality, one.units, one.is_colour) == (other.modality, other.units, other.is_colour)


def test_what_is_not_plain_goes_to_pydicom(tmp_path: Path) -> None:
    paths = write(tmp_path, series())
    with quiet():
        one = pydicom.dcmread(paths[5])
        one.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        one.save_as(paths[5], implicit_vr=True, little_endian=True)
    with pytest.raises(NotPlainError):
        reading.PlainFiles(paths)
    assert load_all(paths)[0].values.shape == (28, 48, 64)


def test_a_plain_series_is_converted_without_pydicom(tmp_path: Path) -> None:
    write(tmp_path / "in", series())
    code = (
        "import sys; from pathlib import Path; from firstread.imaging.convert import *;"
        "summary = convert([Path(sys.argv[1])], Path(sys.argv[2]), Options(Target.NIFTI));"
        "assert summary.totals['made'] == 1;"
        "print([each for each in ('pydicom', 'pydantic', 'nibabel', 'SimpleITK') if each in sys.modules])"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "[]"
