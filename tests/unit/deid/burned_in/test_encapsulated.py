"""Encapsulated syntaxes: touched frames are encoded again without loss, the others stay as they are."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate_extended, generate_fragmented_frames, get_frame, parse_basic_offsets
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from firstread.deid.burned_in.code_streams import without_text
from firstread.errors import QuarantineError, Reason
from tests.unit.deid.burned_in.making import (
    Array,
    Beacon,
    cleaned,
    code_of,
    compressed,
    described,
    encapsulated,
    image,
)

BOX = np.s_[10:20, 20:40]
LOSSLESS = (RLELossless, JPEGLSLossless, JPEG2000Lossless)


def _name(value: object) -> str | None:
    return str(value.name) if isinstance(value, UID) else None


def _cine(dtype: str = "uint8", colour: bool = False) -> Array:
    shape = (32, 64, 3) if colour else (32, 64)
    frames = np.stack([image(shape, dtype, seed=seed) for seed in (1, 2, 3)])
    frames[1][BOX] = np.iinfo(dtype).max
    return frames


def _check(before: Array, after: Array) -> None:
    assert (after[[0, 2]] == before[[0, 2]]).all()
    changed = before[1] != after[1]
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    assert changed[BOX].all()
    assert not changed[:7].any() and not changed[23:].any() and not changed[:, :12].any()
    assert len(np.unique(after[1][BOX])) == 1


def _codes(dataset: pydicom.Dataset) -> list[bytes]:
    """Return the frames, without the comments of their encoder."""
    frames = int(dataset.NumberOfFrames)
    syntax, pixels = dataset.file_meta.TransferSyntaxUID, int(dataset.Rows) * int(dataset.Columns)
    return [
        without_text(b"".join(parts), syntax, pixels)
        for parts in generate_fragmented_frames(dataset.PixelData, number_of_frames=frames)
    ]


@pytest.mark.parametrize("syntax", LOSSLESS, ids=_name)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_one_frame_of_a_gray_cine(syntax: UID, dtype: str) -> None:
    frames = _cine(dtype)
    data = compressed(frames, syntax, 3)
    dataset, result = cleaned(data, Beacon())
    assert dataset.file_meta.TransferSyntaxUID == syntax
    _check(frames, dataset.pixel_array)
    old, new = _codes(pydicom.dcmread(BytesIO(data))), _codes(dataset)
    assert (old[0], old[2]) == (new[0], new[2])
    assert (result.frames, result.touched, result.blanked) == (3, 1, 1)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=_name)
def test_one_frame_of_a_colour_cine(syntax: UID) -> None:
    frames = _cine(colour=True)
    dataset, _ = cleaned(compressed(frames, syntax, 3), Beacon())
    _check(frames, dataset.pixel_array)
    assert (dataset.PhotometricInterpretation, dataset.PlanarConfiguration) == ("RGB", 0)


def test_jpeg_2000_with_its_component_transform() -> None:
    frames = _cine(colour=True)
    data = compressed(frames, JPEG2000Lossless, 3, PhotometricInterpretation="YBR_RCT")
    dataset, _ = cleaned(data, Beacon())
    _check(frames, dataset.pixel_array)
    assert dataset.PhotometricInterpretation == "YBR_RCT"


@pytest.mark.parametrize(
    ("syntax", "options"), [(JPEG2000, {"j2k_cr": [4]}), (JPEGLSNearLossless, {"jls_error": 3})], ids=_name
)
def test_lossy_syntaxes_that_may_hold_a_lossless_frame_lose_nothing_more(
    syntax: UID, options: dict[str, Any]
) -> None:
    frames = _cine()
    frames[1] = np.clip(frames[1], 0, 40)
    frames[1][BOX] = 255
    data = compressed(frames, syntax, 3, options=options, LossyImageCompression="01")
    before = pydicom.dcmread(BytesIO(data))
    dataset, _ = cleaned(data, Beacon(220))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    _check(before.pixel_array, dataset.pixel_array)
    assert _codes(before)[0] == _codes(dataset)[0]
    assert dataset.LossyImageCompression == "01"


def _jpeg(frames: Array, **values: object) -> bytes:
    codes = []
    for frame in frames:
        target = BytesIO()
        Image.fromarray(frame).save(target, "JPEG", quality=92)
        codes.append(target.getvalue())
    return encapsulated(described(frames, len(frames), **values), codes, JPEGBaseline8Bit)


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_becomes_jpeg_2000_lossless_as_a_whole(colour: bool) -> None:
    values: dict[str, object] = {"PhotometricInterpretation": "YBR_FULL_422"} if colour else {}
    frames = np.full((3, 32, 64, 3) if colour else (3, 32, 64), 60, np.uint8)
    frames[2] = 61
    frames[1, 8:24, 16:40] = 255
    data = _jpeg(frames, **values)
    before = pydicom.dcmread(BytesIO(data)).pixel_array
    dataset, _ = cleaned(data, Beacon(240))
    assert dataset.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert dataset.PhotometricInterpretation == ("YBR_FULL" if colour else "MONOCHROME2")
    after = dataset.pixel_array
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert (after[1, 10:22, 18:38].max(axis=-1) if colour else after[1, 8:24, 16:40]).max() < 70
    assert dataset.LossyImageCompression == "01"
    assert dataset.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(dataset.LossyImageCompressionRatio) > 1


def test_without_text_the_element_is_copied() -> None:
    data = _jpeg(np.full((2, 32, 64), 60, np.uint8))
    dataset, result = cleaned(data, Beacon())
    assert dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert dataset.PixelData == pydicom.dcmread(BytesIO(data)).PixelData
    assert (result.looked_at, result.touched) == (1, 0)
    assert "LossyImageCompression" not in dataset


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=_name)
def test_frames_in_several_fragments_become_one_each(syntax: UID) -> None:
    frames = _cine()
    data = compressed(frames, syntax, 3, parts=2)
    dataset, _ = cleaned(data, Beacon())
    _check(frames, dataset.pixel_array)
    table = parse_basic_offsets(dataset.PixelData)
    assert len(table) == 3
    parts = list(generate_fragmented_frames(dataset.PixelData, number_of_frames=3))
    assert [len(one) for one in parts] == [1, 1, 1]


def test_basic_offset_table_points_to_the_frames() -> None:
    dataset, _ = cleaned(compressed(_cine(), RLELossless, 3), Beacon())
    table, data = parse_basic_offsets(dataset.PixelData), dataset.PixelData
    first = 8 + 4 * len(table)
    for offset in table:
        assert data[first + offset : first + offset + 4] == b"\xfe\xff\x00\xe0"
    assert get_frame(data, 1, number_of_frames=3) == _codes(dataset)[1]


def test_extended_offset_table_is_built_anew() -> None:
    frames = _cine()
    file = pydicom.dcmread(BytesIO(compressed(frames, RLELossless, 3)))
    codes = _codes(file)
    file.PixelData, file.ExtendedOffsetTable, file.ExtendedOffsetTableLengths = encapsulate_extended(codes)
    whole = BytesIO()
    dcmwrite(whole, file)
    dataset, _ = cleaned(whole.getvalue(), Beacon())
    offsets, lengths = (
        struct.unpack("<3Q", value)
        for value in (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    )
    assert parse_basic_offsets(dataset.PixelData) == []
    for offset, length, code in zip(offsets, lengths, _codes(dataset), strict=True):
        assert dataset.PixelData[16 + offset : 16 + offset + length] == code[:length]
    _check(frames, dataset.pixel_array)


def test_a_frame_hidden_behind_another_is_quarantined() -> None:
    frames = _cine()
    dataset = described(frames[0], 1)
    codes = [code_of(frame, JPEG2000Lossless, dataset) for frame in frames[:2]]
    with pytest.raises(QuarantineError) as caught:
        cleaned(encapsulated(dataset, codes, JPEG2000Lossless), Beacon())
    assert caught.value.reason is Reason.PIXELS_IMPLAUSIBLE


def test_broken_frames_are_unreadable(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    dataset = described(image((32, 64)), 1)
    with pytest.raises(QuarantineError) as caught:
        cleaned(encapsulated(dataset, [b"\xff\x4f\xff\x51QUIMBY"], JPEG2000Lossless), Beacon())
    assert caught.value.reason is Reason.UNREADABLE
    assert not caplog.records
    assert "QUIMBY" not in "".join(capfd.readouterr())


def test_video_is_quarantined() -> None:
    with pytest.raises(QuarantineError) as caught:
        cleaned(encapsulated(described(image((32, 64)), 1), [b"\0\0\1\xb3"], MPEG2MPML), Beacon())
    assert caught.value.reason is Reason.MAY_CONTAIN_BURNED_IN_TEXT
