"""The quick walk over headers: what pydicom reads, or nothing."""

from io import BytesIO
from pathlib import Path

import pydicom
import pydicom.misc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from firstread.dicom.silence import quiet
from firstread.imaging.heads import header_of
from firstread.imaging.plain import HEAD
from tests.support.phantoms import image, planes

SAMPLES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))


def encoded(undefined: bool = False) -> bytes:
    one = image(planes()[0], 1)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "2.25.9"
    inner = Dataset()
    inner.CodeValue = "A"
    item.PurposeOfReferenceCodeSequence = [inner]
    one.ReferencedImageSequence = [item, item]
    one["ReferencedImageSequence"].is_undefined_length = undefined
    item["PurposeOfReferenceCodeSequence"].is_undefined_length = undefined
    one.SpecificCharacterSet, one.PatientName = "ISO_IR 100", "Müller^Jörg"
    one.private_block(0x0029, "OURS", create=True).add_new(1, "OB", b"abc ")
    stream = BytesIO()
    assert isinstance(one, FileDataset)
    one.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def readable(data: bytes) -> bool:
    try:
        with quiet():
            pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
    except Exception:
        return False
    return True


def check(data: bytes) -> bool:
    with quiet():
        found = header_of(data)
        if found is None:
            return False
        stream = BytesIO(data)
        expected = pydicom.dcmread(stream, stop_before_pixels=True)
        assert found[1] == stream.tell()
        assert found[0].file_meta == expected.file_meta
        assert list(found[0].keys()) == list(expected.keys())
        for element in expected:
            assert found[0][element.tag] == element
            assert found[0][element.tag].VR == element.VR
    return True


@pytest.mark.parametrize("undefined", [True, False])
def test_it_reads_what_pydicom_reads(undefined: bool) -> None:
    assert check(encoded(undefined))


def test_samples_are_read_alike_or_left() -> None:
    read = 0
    for path in SAMPLES:
        data = path.read_bytes()
        if pydicom.misc.is_dicom(path) and readable(data):
            read += check(data[:HEAD])
    assert read > 10


def test_what_is_not_plain_is_left() -> None:
    data = encoded()
    assert header_of(b"\0" * 300) is None
    assert header_of(data[:400]) is None
    one = image(planes()[0], 1)
    one.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2")
    stream = BytesIO()
    one.save_as(stream, implicit_vr=True, little_endian=True, enforce_file_format=True)
    assert header_of(stream.getvalue()) is None


@given(st.data())
def test_no_bytes_break_it(data: st.DataObject) -> None:
    whole = bytearray(encoded(undefined=data.draw(st.booleans()))[:1600])
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with quiet():
        header_of(cut)
