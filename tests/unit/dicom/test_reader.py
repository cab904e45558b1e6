"""Whatever the bytes are, the reader gives a file or a typed reason, and nothing else."""

import io
import logging
import struct
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from firstread.dicom import DicomFile, Limits, read
from firstread.errors import QuarantineError, Reason
from tests.support import dicoms
from tests.support.dicoms import PIXELS, UIDS, element, encode, header, image_module, part10, text_element

PIXELS_8X8 = element(0x7FE00010, "OW", PIXELS)
IMAGE_8X8 = image_module(8, 8)


REPORT = "1.2.840.10008.5.1.4.1.1.88.22"


def of_class(sop_class: str) -> bytes:
    """Return the four UIDs that every object needs."""
    return text_element(0x00080016, "UI", sop_class) + UIDS[UIDS.index(b"\x08\0\x18\0") :]


def reason(data: bytes, limits: Limits | None = None) -> Reason:
    """Read bytes that must be refused, and return why they were."""
    with pytest.raises(QuarantineError) as caught:
        read(io.BytesIO(data), limits)
    assert caught.value.__cause__ is None
    return caught.value.reason


def test_a_good_file_is_read_without_its_pixels() -> None:
    file = read(io.BytesIO(encode(header())))
    assert file.dataset.PatientID == "MRN-998877"
    assert "PixelData" not in file.dataset
    assert file.pixels.length == len(PIXELS)


@pytest.mark.parametrize("syntax", dicoms.SYNTAXES, ids=lambda uid: uid.keyword)
def test_the_span_of_the_pixels_holds_exactly_the_pixels(syntax: object) -> None:
    with read(io.BytesIO(encode(header(), syntax))) as file:  # type: ignore[arg-type]
        file.source.seek(file.pixels.start)
        span = file.source.read(file.pixels.stop - file.pixels.start)
    assert PIXELS in span or PIXELS in _swapped(span)
    assert len(span) < len(PIXELS) + 64


def _swapped(words: bytes) -> bytes:
    return b"".join(words[i + 1 : i + 2] + words[i : i + 1] for i in range(0, len(words), 2))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Reason.EMPTY),
        (b"\x00", Reason.NOT_DICOM),
        (bytes(132), Reason.NOT_DICOM),
        (b"%PDF-1.7 " + bytes(200), Reason.NOT_DICOM),
        (bytes(128) + b"DIC", Reason.NOT_DICOM),
        (bytes(128) + b"DICM", Reason.UNSUPPORTED_TRANSFER_SYNTAX),
        (part10(UIDS + IMAGE_8X8 + PIXELS_8X8, "1.2.3.4.5"), Reason.UNSUPPORTED_TRANSFER_SYNTAX),
        (part10(UIDS + image_module(65535, 65535)), Reason.PIXELS_MISSING),
        (part10(UIDS + image_module(65535, 65535) + PIXELS_8X8), Reason.PIXELS_IMPLAUSIBLE),
        (part10(UIDS + image_module(0, 8) + PIXELS_8X8), Reason.PIXELS_MISSING),
        (part10(UIDS + IMAGE_8X8 + element(0x7FE00010, "OW", PIXELS + b"hidden")), Reason.PIXELS_IMPLAUSIBLE),
        (part10(UIDS + IMAGE_8X8 + element(0x7FE00010, "OW", PIXELS[:-2])), Reason.PIXELS_IMPLAUSIBLE),
        (part10(UIDS + text_element(0x0040A040, "CS", "CONTAINER")), Reason.PIXELS_MISSING),
        (part10(of_class("1.2.840.10008.5.1.4.38.1")), Reason.NOT_AN_IMAGE),
        (part10(of_class("1.2.840.10008.5.1.4.1.1.68.1")), Reason.NOT_AN_IMAGE),
        (part10(of_class("1.2.3.4.5.6")), Reason.NOT_AN_IMAGE),
        (part10(of_class("1.2.3.4.5.6") + IMAGE_8X8), Reason.PIXELS_MISSING),
        (
            part10(of_class(REPORT) + IMAGE_8X8 + element(0x7FE00010, "OW", PIXELS[:-2])),
            Reason.PIXELS_IMPLAUSIBLE,
        ),
        (part10(IMAGE_8X8 + PIXELS_8X8), Reason.MISSING_UID),
    ],
    ids=[
        "empty",
        "one byte",
        "no prefix",
        "a PDF",
        "cut in the prefix",
        "nothing after the prefix",
        "unknown transfer syntax",
        "65535 x 65535 without pixels",
        "65535 x 65535 with tiny pixels",
        "no rows",
        "more pixel bytes than pixels",
        "fewer pixel bytes than pixels",
        "an image class without an image",
        "a hanging protocol",
        "a surface scan",
        "a private class",
        "a private class that claims to be an image",
        "a report with pixels that cannot be true",
        "no UIDs",
    ],
)
def test_hostile_input_has_its_reason(data: bytes, expected: Reason) -> None:
    assert reason(data) is expected


def test_many_frames_of_the_largest_size_are_implausible_without_allocating_them() -> None:
    frames = text_element(0x00280008, "IS", "2147483647")
    assert (
        reason(part10(UIDS + frames + image_module(65535, 65535) + PIXELS_8X8)) is Reason.PIXELS_IMPLAUSIBLE
    )


@pytest.mark.parametrize(
    "nested",
    [dicoms.nested_undefined, dicoms.nested_defined],
    ids=["undefined length", "defined length"],
)
@pytest.mark.parametrize("depth", [33, 2000])
def test_sequences_nested_too_deep_are_refused(nested: object, depth: int) -> None:
    body = nested(depth) + UIDS + IMAGE_8X8 + PIXELS_8X8  # type: ignore[operator]
    assert reason(part10(body)) is Reason.NESTED_TOO_DEEP


def test_implicit_sequences_of_defined_length_nested_too_deep_are_refused() -> None:
    body = dicoms.nested_defined_implicit(2000)
    assert reason(part10(body, ImplicitVRLittleEndian)) is Reason.NESTED_TOO_DEEP


def test_sequences_hidden_in_unknown_vr_nested_too_deep_are_refused() -> None:
    value = dicoms.nested_defined_implicit(1999)
    hidden = element(0x00081140, "UN", struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value)
    assert reason(part10(hidden + UIDS + IMAGE_8X8 + PIXELS_8X8)) is Reason.NESTED_TOO_DEEP


def test_file_meta_nested_too_deep_is_refused() -> None:
    data = bytes(128) + b"DICM" + dicoms.nested_undefined(2000, tag=0x00020102)
    assert reason(data) in {Reason.NESTED_TOO_DEEP, Reason.UNREADABLE}


@pytest.mark.parametrize("nested", [dicoms.nested_undefined, dicoms.nested_defined])
def test_sequences_nested_as_deep_as_allowed_are_read(nested: object) -> None:
    body = nested(32) + UIDS + IMAGE_8X8 + PIXELS_8X8  # type: ignore[operator]
    assert isinstance(read(io.BytesIO(part10(body))), DicomFile)


@pytest.mark.parametrize("syntax", dicoms.SYNTAXES, ids=lambda uid: uid.keyword)
def test_a_file_cut_anywhere_is_refused(syntax: object) -> None:
    whole = encode(header(), syntax)  # type: ignore[arg-type]
    allowed = {
        Reason.EMPTY,
        Reason.NOT_DICOM,
        Reason.TRUNCATED,
        Reason.UNREADABLE,
        Reason.NOT_AN_IMAGE,
        Reason.PIXELS_MISSING,
        Reason.MISSING_UID,
        Reason.UNSUPPORTED_TRANSFER_SYNTAX,
        Reason.TRANSFER_SYNTAX_MISMATCH,
    }
    assert {reason(whole[:stop]) for stop in range(0, len(whole), 3)} <= allowed


@pytest.mark.parametrize(
    "data",
    [
        part10(UIDS + text_element(0x00100020, "LO", "12345678")[:-3]),
        encode(header())[:-1],
        encode(header())[: -len(PIXELS)],
        encode(header(), JPEGBaseline8Bit)[:-9],
        encode(header(), JPEGBaseline8Bit)[:-20],
        part10(UIDS + IMAGE_8X8 + dicoms.fragments([b"ab"], closed=False), JPEG2000Lossless),
        encode(header(), DeflatedExplicitVRLittleEndian)[:-8],
    ],
    ids=[
        "in an element",
        "last pixel byte",
        "all pixel bytes",
        "in the sequence delimiter",
        "in a fragment",
        "no sequence delimiter",
        "in the deflated stream",
    ],
)
def test_a_truncated_file_is_called_truncated(data: bytes) -> None:
    assert reason(data) is Reason.TRUNCATED


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ExplicitVRLittleEndian, JPEGBaseline8Bit),
        (JPEGBaseline8Bit, ExplicitVRLittleEndian),
    ],
)
def test_a_wrong_transfer_syntax_is_refused(written: object, declared: str) -> None:
    raw = encode(header(), written)  # type: ignore[arg-type]
    body = raw[raw.index(b"\x08\x00\x05\x00") :]
    assert reason(part10(body, declared)) is Reason.TRANSFER_SYNTAX_MISMATCH


def test_big_endian_declared_little_is_refused() -> None:
    raw = encode(header(), ExplicitVRBigEndian)
    body = raw[raw.index(b"\x00\x08\x00\x05") :]
    assert reason(part10(body, ExplicitVRLittleEndian)) in {
        Reason.TRANSFER_SYNTAX_MISMATCH,
        Reason.UNREADABLE,
        Reason.TRUNCATED,
    }


def test_a_deflate_bomb_is_refused_before_it_costs_memory() -> None:
    bomb = dicoms.deflated(bytes(64 * 1024 * 1024))
    assert len(bomb) < 100_000
    data = part10(bomb, DeflatedExplicitVRLittleEndian)
    assert reason(data, Limits(inflated_bytes=1024 * 1024)) is Reason.INFLATES_TOO_FAR


@pytest.mark.parametrize("beyond", [-300, -1, 0, 1])
def test_a_deflated_file_of_any_length_is_read_whole(beyond: int) -> None:
    dataset = header()
    dataset.TextValue = "x" * (2 * 1024 * 1024 + beyond)  # about a multiple of what is inflated at once
    with read(io.BytesIO(encode(dataset, DeflatedExplicitVRLittleEndian))) as file:
        assert len(file.dataset.TextValue) == 2 * 1024 * 1024 + beyond


@pytest.mark.parametrize("size", [*range((1 << 20) - 600, (1 << 20) - 300, 7), 1 << 20])
def test_an_inflated_dataset_may_end_at_any_byte(size: int) -> None:
    body = UIDS + IMAGE_8X8 + PIXELS_8X8
    padded = dicoms.deflated(body + bytes(size))
    with read(io.BytesIO(part10(padded, DeflatedExplicitVRLittleEndian))) as file:
        assert file.pixels.stop == len(body)


def test_something_else_than_a_deflated_stream_is_refused() -> None:
    assert reason(part10(b"\xff" * 64, DeflatedExplicitVRLittleEndian)) is Reason.UNREADABLE


def test_too_many_elements_are_refused_at_every_depth() -> None:
    dataset = header()
    child = Dataset()
    child.CodeValue = "1"
    dataset.ProcedureCodeSequence = [child] * 100
    assert reason(encode(dataset), Limits(elements=100)) is Reason.TOO_MANY_ELEMENTS


def test_too_large_a_file_is_refused() -> None:
    data = encode(header())
    assert reason(data, Limits(file_bytes=len(data) - 1)) is Reason.TOO_LARGE


def test_a_lying_length_does_not_allocate() -> None:
    lie = element(0x00204000, "UT", b"short", 0xFFFFFFF0)
    assert reason(part10(UIDS + lie)) in {Reason.TRUNCATED, Reason.UNREADABLE}


def test_fewer_fragments_than_frames_are_implausible() -> None:
    frames = text_element(0x00280008, "IS", "3 ")
    data = part10(UIDS + frames + IMAGE_8X8 + dicoms.fragments([b"ab", b"cd"]), JPEG2000Lossless)
    assert reason(data) is Reason.PIXELS_IMPLAUSIBLE


def test_something_else_than_items_in_encapsulated_pixels_is_refused() -> None:
    junk = element(0x7FE00010, "OB", element(0x00100010, "PN", b"Doe^John"), dicoms.UNDEFINED)
    assert reason(part10(UIDS + IMAGE_8X8 + junk, JPEG2000Lossless)) is Reason.TRANSFER_SYNTAX_MISMATCH


def test_the_digest_is_of_the_dataset_and_not_of_its_envelope() -> None:
    data = encode(header())
    other_preamble = b"X" * 128 + data[128:]
    assert read(io.BytesIO(data)).digest() == read(io.BytesIO(other_preamble)).digest()
    assert read(io.BytesIO(data)).digest() == read(io.BytesIO(data + b"padding")).digest()
    assert read(io.BytesIO(data)).digest() != read(io.BytesIO(encode(header(), pixels=PIXELS[::-1]))).digest()
    assert read(io.BytesIO(data)).digest() != read(io.BytesIO(encode(header(PatientID="other")))).digest()


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def accepted_or_refused(data: bytes) -> Reason | None:
    """Read any bytes; every other exception, warning or log line fails the test."""
    handler = _Kept()
    loggers = (logging.getLogger(), logging.getLogger("pydicom"))
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(io.BytesIO(data), Limits(file_bytes=1 << 24, inflated_bytes=1 << 24)).close()
    except QuarantineError as error:
        return error.reason
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        assert not handler.records
    return None


fast = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@fast
@given(st.binary(max_size=600))
def test_random_bytes_after_the_prefix_are_refused(tail: bytes) -> None:
    assert accepted_or_refused(bytes(128) + b"DICM" + tail) is not None


@fast
@given(
    st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless]),
    st.binary(max_size=600),
)
def test_random_bytes_after_a_good_file_meta_are_refused(syntax: str, tail: bytes) -> None:
    assert accepted_or_refused(part10(tail, syntax)) is not None


VALID = tuple(encode(header(), syntax) for syntax in dicoms.SYNTAXES)


@fast
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=5),
    st.integers(0, 2000),
)
def test_a_mutated_file_is_read_or_refused(data: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    mutated = bytearray(data)
    for at, part in changes:
        mutated[at % len(data) : at % len(data) + len(part)] = part
    accepted_or_refused(bytes(mutated[: len(data) - cut % 200]))


def _corpus() -> list[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [Path(name) for name in get_testdata_files()]
    return [path for path in found if path.is_file() and path.stat().st_size < 1 << 24]


def test_every_file_of_pydicoms_own_tests_is_read_or_refused() -> None:
    outcomes = {path.name: accepted_or_refused(path.read_bytes()) for path in _corpus()}
    assert outcomes["CT_small.dcm"] is None
    assert outcomes["MR_small_RLE.dcm"] is None
    assert outcomes["DICOMDIR"] is Reason.NOT_AN_IMAGE
    assert outcomes["reportsi.dcm"] is outcomes["rtplan.dcm"] is outcomes["waveform_ecg.dcm"] is None
    assert outcomes["MR_truncated.dcm"] is Reason.TRUNCATED
    assert sum(outcome is None for outcome in outcomes.values()) > 60


def test_pixels_of_a_short_value_representation_are_refused() -> None:
    """Read with a long length they would hide elements, which a reader of the output would see."""
    hidden = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"LO", 4, 128) + b"Quimby".ljust(128)
    assert reason(part10(UIDS + image_module(8, 8) + hidden)) is Reason.UNREADABLE
