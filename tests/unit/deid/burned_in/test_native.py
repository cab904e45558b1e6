"""Native syntaxes: boxes are black, and every other bit is as it was."""

from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from firstread.errors import QuarantineError, Reason
from tests.unit.deid.burned_in.making import Always, Array, Beacon, cleaned, image, native

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
BOX = np.s_[10:20, 20:40]


def _check(before: Array, after: Array, black: int | tuple[int, ...]) -> None:
    """The box is black; what changed is the box and a margin."""
    assert (after[BOX] == black).all()
    changed = before != after
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    rows, columns = np.where(changed)
    assert rows.min() >= 7 and rows.max() <= 22
    assert columns.min() >= 12 and columns.max() <= 47


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: str(UID(uid).name))
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_gray(syntax: UID, dtype: str) -> None:
    frame = image((32, 64), dtype)
    frame[BOX] = np.iinfo(dtype).max
    dataset, result = cleaned(native(frame, syntax=syntax), Beacon())
    _check(frame, dataset.pixel_array, frame.min())
    assert (result.frames, result.looked_at, result.touched, result.blanked, result.kept) == (1, 1, 1, 1, 0)
    assert dataset.BurnedInAnnotation == "NO"


def test_monochrome1_is_white_where_it_is_black() -> None:
    frame = 255 - image((32, 64))
    frame[BOX] = 0
    dataset, _ = cleaned(native(frame, PhotometricInterpretation="MONOCHROME1"), Beacon())
    _check(frame, dataset.pixel_array, frame.max())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_rgb(syntax: UID) -> None:
    frame = image((32, 64, 3))
    frame[BOX] = 255
    dataset, _ = cleaned(native(frame, syntax=syntax), Beacon())
    _check(frame, dataset.pixel_array, 0)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_rgb_by_plane(syntax: UID) -> None:
    frame = image((32, 64, 3))
    frame[BOX] = 255
    planes = np.ascontiguousarray(np.moveaxis(frame, -1, 0))
    data = native(
        planes,
        syntax=syntax,
        Rows=32,
        Columns=64,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
    )
    dataset, _ = cleaned(data, Beacon())
    _check(frame, dataset.pixel_array, 0)


def test_ybr_full() -> None:
    frame = image((32, 64, 3))
    frame[..., 1:] = 128
    frame[BOX] = (255, 128, 128)
    dataset, _ = cleaned(native(frame, PhotometricInterpretation="YBR_FULL"), Beacon())
    after = np.frombuffer(dataset.PixelData, np.uint8).reshape(frame.shape)
    _check(frame, after, (0, 128, 128))


def test_ybr_full_422_is_blanked_in_pairs() -> None:
    pairs = image((32, 32, 4))
    pairs[..., 2:] = 128
    pairs[10:20, 10:20] = (255, 255, 128, 128)
    data = native(
        pairs,
        Columns=64,
        Rows=32,
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422",
        PlanarConfiguration=0,
    )
    dataset, _ = cleaned(data, Beacon())
    after = np.frombuffer(dataset.PixelData, np.uint8).reshape(pairs.shape)
    assert (after[10:20, 10:20] == (0, 0, 128, 128)).all()
    outside = np.ones(pairs.shape[:2], dtype=bool)
    outside[7:23, 6:24] = False
    assert (after[outside] == pairs[outside]).all()


def test_palette_gets_the_index_of_its_darkest_colour() -> None:
    table = np.full(256, 90, np.uint8)
    table[255], table[5] = 255, 1
    palette: dict[str, Any] = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [256, 0, 8]), ("Data", table.tobytes()))
    }
    frame = image((32, 64), top=70)
    frame[BOX] = 255
    data = native(frame, PhotometricInterpretation="PALETTE COLOR", **palette)
    dataset, _ = cleaned(data, Beacon())
    _check(frame, dataset.pixel_array, 5)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("signed", "hidden"), [(False, 0xF000), (True, 0x7000)])
def test_bits_that_no_viewer_shows_are_cleared_and_samples_stay(big: bool, signed: bool, hidden: int) -> None:
    words = image((32, 64), "uint16") & 0x7FF
    marked = words.copy()
    marked[BOX] |= hidden  # a retired overlay, PS3.5 8.1.2, or any other bytes
    frame = marked.astype(">u2" if big else "<u2")
    syntax = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    source = native(frame, BitsStored=12, HighBit=11, PixelRepresentation=int(signed), syntax=syntax)
    dataset, result = cleaned(source, Beacon())
    after = np.frombuffer(dataset.PixelData, frame.dtype).reshape(frame.shape)
    assert (after == words).all()
    assert result.blanked == 0


def test_cine_with_text_on_one_frame_changes_that_frame_only() -> None:
    frames = np.stack([image((32, 64), seed=seed) for seed in (1, 1, 2, 1)])
    frames[2][BOX] = 255
    detector = Beacon()
    dataset, result = cleaned(native(frames, 4), detector)
    after = dataset.pixel_array
    assert (after[[0, 1, 3]] == frames[[0, 1, 3]]).all()
    _check(frames[2], after[2], frames[2].min())
    assert (result.frames, result.looked_at, result.touched) == (4, 2, 1)
    assert detector.looks == 3  # equal frames once, the blanked one again


def test_allowed_text_stays() -> None:
    frame = image((32, 64))
    frame[BOX] = 255
    dataset, result = cleaned(native(frame), Beacon(text="PA"))
    assert (dataset.pixel_array == frame).all()
    assert (result.kept, result.blanked, result.touched) == (1, 0, 0)


def test_padding_of_odd_data_stays() -> None:
    frame = image((5, 5))
    padded = np.append(frame.ravel(), 0).astype(np.uint8).reshape(1, 26)
    dataset, _ = cleaned(native(padded, Rows=5, Columns=5), Beacon())
    assert dataset.PixelData[:25] == frame.tobytes()


def test_residue_is_quarantined_and_says_nothing() -> None:
    with pytest.raises(QuarantineError) as caught:
        cleaned(native(image((32, 64))), Always())
    assert caught.value.reason is Reason.MAY_CONTAIN_BURNED_IN_TEXT
    assert "QUIMBY" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"PhotometricInterpretation": "CMYK"},
        {"BitsStored": 0},
        {"PhotometricInterpretation": "PALETTE COLOR"},
    ],
)
def test_what_cannot_be_looked_at_is_quarantined(values: dict[str, Any]) -> None:
    with pytest.raises(QuarantineError) as caught:
        cleaned(native(image((32, 64)), **values), Beacon())
    assert caught.value.reason is Reason.MAY_CONTAIN_BURNED_IN_TEXT


def test_prefilter_skips_only_what_comes_from_a_detector() -> None:
    flat = np.full((64, 64), 7, np.uint8)
    _, radiograph = cleaned(native(flat), Beacon(), prefilter=True)
    assert (radiograph.skipped, radiograph.looked_at) == (1, 0)
    for values in (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"BurnedInAnnotation": "YES"},
    ):
        _, looked_at = cleaned(native(flat, **values), Beacon(), prefilter=True)
        assert (looked_at.skipped, looked_at.looked_at) == (0, 1)


def test_lines_that_run_down_a_radiograph_are_shown_to_the_detector() -> None:
    frame = np.full((200, 128), 30, np.uint8)
    frame[40:100:7, 50:80] = 200
    detector = Beacon()
    data = native(frame, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1")
    assert cleaned(data, detector, prefilter=True)[1].looked_at == 1
