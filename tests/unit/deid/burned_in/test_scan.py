"""The cheap look at whole files: every frame, nothing decoded, nothing believed."""

from io import BytesIO

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from firstread.deid.burned_in.scan import Trace, scan
from firstread.deid.process import glance
from firstread.dicom import read
from tests.support.dicoms import encode
from tests.unit.deid.burned_in.making import Array, compressed, described, native
from tests.unit.deid.burned_in.planting import draw

CT = "1.2.840.10008.5.1.4.1.1.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def _smooth(frames: int, dtype: str = "uint16") -> Array:
    index, rows, columns = np.mgrid[:frames, :128, :200]
    wave = 500 + 400 * np.sin(rows / 30 + index) * np.cos(columns / 40)
    return np.asarray(wave.astype(dtype))


def _scan(data: bytes) -> Trace:
    with read(BytesIO(data)) as file:
        assert (glance(file) is None) is (scan(file) is not Trace.NONE)
        return scan(file)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32"])
@pytest.mark.parametrize("at", [None, 0, 2])
def test_text_on_any_frame(dtype: str, at: int | None) -> None:
    frames = _smooth(3, dtype)
    if at is not None:
        draw(frames[at], "QUIMBY^THEODORA", (30, 40), 14, 1200)
    for syntax in (ExplicitVRLittleEndian, ExplicitVRBigEndian):
        data = native(frames, 3, syntax, SOPClassUID=CT)
        assert _scan(data) is (Trace.NONE if at is None else Trace.SOME)


def test_bits_that_no_viewer_shows() -> None:
    frame = _smooth(1)[0]
    assert _scan(native(frame, SOPClassUID=CT, BitsStored=12, HighBit=11)) is Trace.NONE
    frame[5, 5] |= 0x8000
    assert _scan(native(frame, SOPClassUID=CT, BitsStored=12, HighBit=11)) is Trace.SOME


def test_radiographs_are_looked_at_turned_as_well() -> None:
    frame = _smooth(1)[0]
    draw(frame, "QUIMBY^THEODORA", (30, 40), 14, 1200)
    turned = np.ascontiguousarray(np.rot90(frame))
    assert _scan(native(turned, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1")) is Trace.SOME


@pytest.mark.parametrize("written", [True, False])
def test_binary_segmentation_whose_frames_begin_inside_a_byte(written: bool) -> None:
    frames = np.zeros((3, 61, 181), np.uint8)
    frames[:, 20:50, 30:90] = 1
    if written:
        draw(frames[2], "QUIMBY", (100, 20), 20, 1)
    bits = np.packbits(frames, bitorder="little").tobytes()
    header = described(
        frames, 3, SOPClassUID=SEGMENTATION, BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0
    )
    data = encode(header, ExplicitVRLittleEndian, bits + bytes(len(bits) % 2))
    assert _scan(data) is (Trace.SOME if written else Trace.NONE)


def test_what_nobody_has_looked_at_is_unknown() -> None:
    frame = _smooth(1)[0]
    assert _scan(compressed(frame, RLELossless, SOPClassUID=CT)) is Trace.UNKNOWN
    assert _scan(native(frame, SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1")) is Trace.UNKNOWN
    assert _scan(native(frame, SOPClassUID=CT, BurnedInAnnotation="YES")) is Trace.UNKNOWN
    assert _scan(native(frame, SOPClassUID=CT, HighBit=3, BitsStored=16)) is Trace.UNKNOWN
