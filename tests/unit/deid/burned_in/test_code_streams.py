"""Names beside the pixels of compressed frames: gone from every place, and every sample as it was."""

import struct
from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    MPEG2MPML,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from firstread.deid.burned_in import codec, encapsulated
from firstread.deid.burned_in.code_streams import without_text
from firstread.deid.burned_in.layout import Layout
from firstread.dicom import read
from firstread.errors import QuarantineError, Reason
from tests.unit.deid.burned_in.making import Array, code_of, compressed, described, image
from tests.unit.deid.burned_in.making import encapsulated as file_of

NAME = b"QUIMBY^THEODORA"
SYNTAXES = (JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless, RLELossless)
SIZE = (32, 64)


def _code(syntax: UID, **options: object) -> bytes:
    frame = image(SIZE)
    if syntax == JPEGBaseline8Bit:
        target = BytesIO()
        Image.fromarray(frame).save(target, "JPEG", **options)
        return target.getvalue()
    return code_of(frame, syntax, described(frame, 1))


def _segment(marker: int, value: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(value) + 2) + value


def _planted(code: bytes, syntax: UID) -> bytes:
    """Write the name wherever a syntax has room for it."""
    if syntax in (JPEGBaseline8Bit, JPEGLSLossless):
        segments = [_segment(0xFE, NAME), *(_segment(0xE0 + index, NAME) for index in range(16))]
        thumbnail = _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\5\1" + NAME)
        return code[:2] + thumbnail + b"".join(segments) + b"\xff\xff" + code[2:] + NAME
    if syntax == JPEG2000Lossless:
        at = code.index(b"\xff\x52")
        return code[:at] + b"\xff\x64" + struct.pack(">HH", len(NAME) + 4, 1) + NAME + code[at:] + NAME
    count, *offsets = struct.unpack("<16L", code[:64])
    head = struct.pack("<L", count) + struct.pack(f"<{count}L", *(one + 16 for one in offsets[:count]))
    return (head + NAME * 4)[:64] + NAME + b"." + code[64:] + NAME


def _samples(code: bytes, syntax: UID) -> Array:
    stored, _ = codec.decode(code, syntax, Layout.of(described(image(SIZE), 1)))
    return stored


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_no_name_is_left_and_no_sample_changes(syntax: UID) -> None:
    code = _code(syntax)
    planted = _planted(code, syntax)
    assert NAME in planted
    clean = without_text(planted, syntax, SIZE[0] * SIZE[1])
    assert b"QUIMBY" not in clean
    assert np.array_equal(_samples(clean, syntax), _samples(code, syntax))
    assert without_text(clean, syntax, SIZE[0] * SIZE[1]) == clean


def test_comments_between_the_scans_of_a_progressive_image() -> None:
    code = _code(JPEGBaseline8Bit, progressive=True)
    second = code.index(b"\xff\xda", code.index(b"\xff\xda") + 2)
    planted = code[:second] + _segment(0xFE, NAME) + code[second:]
    clean = without_text(planted, JPEGBaseline8Bit, SIZE[0] * SIZE[1])
    assert clean == without_text(code, JPEGBaseline8Bit, SIZE[0] * SIZE[1])
    assert b"QUIMBY" not in clean


def test_how_colour_was_transformed_is_still_known() -> None:
    adobe = b"Adobe\0\x64\0\0\0\0\1"
    code = _code(JPEGBaseline8Bit)
    planted = code[:2] + _segment(0xEE, adobe + NAME) + code[2:]
    clean = without_text(planted, JPEGBaseline8Bit, 2048)
    assert _segment(0xEE, adobe) in clean
    assert b"QUIMBY" not in clean


def test_boxes_around_a_code_stream() -> None:
    def box(kind: bytes, value: bytes) -> bytes:
        return struct.pack(">L", len(value) + 8) + kind + value

    code = _planted(_code(JPEG2000Lossless), JPEG2000Lossless)
    header = box(b"jp2h", box(b"ihdr", bytes(14)) + box(b"name", NAME))
    file = (
        box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + header + box(b"xml ", NAME)
        + box(b"uuid", bytes(16) + NAME) + struct.pack(">L", 1) + b"uuid" + struct.pack(">Q", 16 + len(NAME)) + NAME
        + box(b"jp2c", code) + b"QUIMBY"
    )  # fmt: skip
    clean = without_text(file, JPEG2000Lossless, 2048)
    assert b"QUIMBY" not in clean
    assert file.index(b"\xff\x4f\xff\x51") == clean.index(b"\xff\x4f\xff\x51")


def test_video_is_not_understood() -> None:
    with pytest.raises(QuarantineError) as caught:
        without_text(bytes(100), MPEG2MPML, 2048)
    assert caught.value.reason is Reason.MAY_CONTAIN_BURNED_IN_TEXT


@given(st.sampled_from(SYNTAXES), st.integers(0, 3000), st.binary(min_size=1, max_size=12))
def test_broken_streams_end_in_one_typed_error(syntax: UID, at: int, junk: bytes) -> None:
    code = bytearray(_planted(_code(syntax), syntax))
    code[at % len(code) : at % len(code) + len(junk)] = junk
    try:
        without_text(bytes(code), syntax, SIZE[0] * SIZE[1])
    except QuarantineError as error:
        assert error.reason is Reason.UNREADABLE


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_a_whole_file_is_copied_without_them(syntax: UID) -> None:
    code = _planted(_code(syntax), syntax)
    frame = image(SIZE)
    data = file_of(described(np.stack([frame, frame]), 2), [code, code], syntax, parts=2)
    target = BytesIO()
    with read(BytesIO(data)) as file:
        encapsulated.copy(file, target)
        file.dataset.preamble = bytes(128)
        whole = BytesIO()
        dcmwrite(whole, file.dataset, enforce_file_format=True)
    assert b"QUIMBY" not in target.getvalue()
    whole.write(target.getvalue())
    whole.seek(0)
    plain = file_of(described(np.stack([frame, frame]), 2), [_code(syntax)] * 2, syntax)
    before, after = pydicom.dcmread(BytesIO(plain)), pydicom.dcmread(whole)
    assert np.array_equal(before.pixel_array, after.pixel_array)


def test_a_name_in_the_basic_offset_table_is_left_behind() -> None:
    data = compressed(image(SIZE), RLELossless)
    whole = pydicom.dcmread(BytesIO(data))
    value = encapsulate([_code(RLELossless)])
    (size,) = struct.unpack_from("<L", value, 4)
    whole.PixelData = (
        value[:4] + struct.pack("<L", size + 16) + value[8 : 8 + size] + NAME + b"." + value[8 + size :]
    )
    source, target = BytesIO(), BytesIO()
    dcmwrite(source, whole)
    with read(source) as file:
        encapsulated.copy(file, target)
    assert b"QUIMBY" in source.getvalue()
    assert b"QUIMBY" not in target.getvalue()
