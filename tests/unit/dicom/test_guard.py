"""What a header may cost, and what is left behind of it."""

import io
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID

from firstread.dicom import Limits, read
from firstread.dicom.guard import DEFER_BYTES
from firstread.dicom.objects import ENCAPSULATED_PDF, WITHOUT_PIXELS, is_image_class
from firstread.dicom.reader import DicomFile
from firstread.errors import QuarantineError, Reason
from tests.support.dicoms import (
    PIXELS,
    SYNTAXES,
    UIDS,
    UNDEFINED,
    element,
    encode,
    header,
    image_module,
    part10,
    text_element,
)

IMAGE = image_module(8, 8) + element(0x7FE00010, "OW", PIXELS)
REPORT = "1.2.840.10008.5.1.4.1.1.88.22"
REPORT_UIDS = text_element(0x00080016, "UI", REPORT) + UIDS[UIDS.index(b"\x08\0\x18\0") :]
EMPTY_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def reason(data: bytes, limits: Limits | None = None) -> Reason:
    with pytest.raises(QuarantineError) as caught:
        read(io.BytesIO(data), limits)
    return caught.value.reason


def opened(data: bytes, limits: Limits | None = None) -> DicomFile:
    return read(io.BytesIO(data), limits)


@pytest.mark.parametrize("length", [UNDEFINED, None], ids=["undefined length", "defined length"])
@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_a_million_empty_items_are_refused_before_they_cost_memory(length: int | None, vr: str) -> None:
    items = EMPTY_ITEM * 1_000_000 + (SEQUENCE_END if length else b"")
    data = part10(UIDS + element(0x00321064, vr, items, length) + IMAGE)
    tracemalloc.start()
    try:
        assert reason(data) is Reason.TOO_MANY_ELEMENTS
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_long_private_value_is_left_out_and_never_in_memory() -> None:
    private = element(0x00330010, "LO", b"ACME") + element(0x00331001, "OB", bytes(64 * 1024 * 1024))
    source = io.BytesIO(part10(UIDS + private + text_element(0x00321060, "LO", "CHEST") + IMAGE))
    del private
    tracemalloc.start()
    try:
        file = read(source)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert not file.dataset[0x00331001].value
    assert file.dataset.RequestedProcedureDescription == "CHEST"
    assert file.pixels.length == len(PIXELS)


def test_a_long_encapsulated_document_is_left_out() -> None:
    dataset = header(SOPClassUID=ENCAPSULATED_PDF, Rows=None, Columns=None)
    dataset.EncapsulatedDocument = b"%PDF" + bytes(DEFER_BYTES)
    file = opened(encode(dataset, pixels=None))
    assert not file.dataset.EncapsulatedDocument
    assert not file.has_pixels


@pytest.mark.parametrize("vr", ["UT", "OW"])
def test_a_long_value_that_is_wanted_is_read(vr: str) -> None:
    tag = {"UT": 0x0040A160, "OW": 0x00281201}[vr]
    text = b"ab" * DEFER_BYTES
    file = opened(part10(UIDS + element(0x00200011, "IS", b"1 ") + element(tag, vr, text) + IMAGE))
    assert len(file.dataset[tag].value) == len(text)
    assert file.pixels.length == len(PIXELS)


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "top level"])
def test_more_than_a_header_may_weigh_is_refused(nested: bool) -> None:
    text = element(0x0040A160, "UT", bytes(5000))
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(text)) + text
    body = element(0x0040A730, "SQ", item + SEQUENCE_END, UNDEFINED) if nested else text
    assert reason(part10(UIDS + body + IMAGE), Limits(header_bytes=4000)) is Reason.HEADER_TOO_LARGE
    assert opened(part10(UIDS + body + IMAGE), Limits(header_bytes=6000)).has_pixels


def test_a_long_value_in_the_file_meta_is_refused() -> None:
    long = element(0x00020102, "OB", bytes(DEFER_BYTES + 2))
    assert reason(bytes(128) + b"DICM" + long + UIDS + IMAGE) is Reason.UNREADABLE


@pytest.mark.parametrize("junk", [b"QUIMBY THEODORA, MRN 998877", b"\xff" * 40, b"short"])
def test_what_somebody_has_put_behind_a_document_is_left_behind(junk: bytes) -> None:
    plain = encode(header(SOPClassUID=REPORT, Rows=None, Columns=None, ValueType="CONTAINER"), pixels=None)
    assert list(opened(plain + junk).dataset.keys()) == list(opened(plain).dataset.keys())


def test_a_document_cut_short_is_not_taken_for_one_with_something_behind_it() -> None:
    body = REPORT_UIDS + text_element(0x0040A160, "UT", "no nodule is seen, except for")
    assert reason(part10(body[:-4])) is Reason.TRUNCATED


@pytest.mark.parametrize(
    "inner",
    [
        struct.pack("<HHL", 0x0010, 0x0010, 0),
        EMPTY_ITEM[:4] + struct.pack("<L", 400),
        struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED) + struct.pack("<HHL", 0x0008, 0x0100, 90),
    ],
    ids=["no item", "an item beyond the end", "an element beyond the end"],
)
def test_a_sequence_that_is_none_is_refused(inner: bytes) -> None:
    data = part10(REPORT_UIDS + element(0x0040A730, "SQ", inner, UNDEFINED))
    assert reason(data) in {Reason.UNREADABLE, Reason.TRUNCATED}


codes: st.SearchStrategy[Any] = st.builds(
    lambda text, undefined: (text, undefined, []), st.text("ab", max_size=5), st.booleans()
)
trees = st.recursive(
    codes,
    lambda below: st.tuples(st.text("ab", max_size=5), st.booleans(), st.lists(below, max_size=3)),
    max_leaves=12,
)


def built(tree: tuple[str, bool, list[Any]]) -> Dataset:
    """Return a content item and those below it, of defined or undefined length."""
    text, undefined, below = tree
    made = Dataset()
    made.CodeMeaning = text
    made.is_undefined_length_sequence_item = undefined
    if below:
        made.ContentSequence = [built(each) for each in below]
        made["ContentSequence"].is_undefined_length = undefined
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(trees, max_size=3), st.sampled_from(SYNTAXES[:3]))
def test_whatever_is_written_is_counted_and_read(drawn: list[Any], syntax: UID) -> None:
    dataset = header(SOPClassUID=REPORT, Rows=None, Columns=None)
    dataset.ContentSequence = [built(each) for each in drawn]
    dataset["ContentSequence"].is_undefined_length = True
    file = opened(encode(dataset, syntax, pixels=None))
    assert len(file.dataset.ContentSequence) == len(drawn)


def test_images_and_objects_without_pixels_are_told_apart() -> None:
    assert is_image_class("1.2.840.10008.5.1.4.1.1.2")
    assert not is_image_class(REPORT)
    assert not any(is_image_class(uid) for uid in WITHOUT_PIXELS)
