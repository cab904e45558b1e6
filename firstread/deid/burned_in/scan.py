"""The cheap look at all frames of a file whose pixels come from a detector, without a codec and frame by frame."""

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

import numpy as np
from pydicom.dataset import Dataset

from firstread.deid.burned_in.layout import Array, Layout, extremes, hides_bits
from firstread.deid.burned_in.native import NativeFrames
from firstread.deid.burned_in.prefilter import may_have_text
from firstread.deid.gate import is_acquired, is_projection
from firstread.dicom.metadata import text
from firstread.dicom.reader import DicomFile
from firstread.errors import QuarantineError, Reason

_LARGEST_BLOCK = 24 * 1024 * 1024  # bytes; from 32 MiB on glibc learns nothing


class Trace(StrEnum):
    """What a cheap look at the pixels of a file found.

    `NONE`: every frame was looked at, and none has anything like text; Burned In Annotation may say NO. `SOME`:
    a detector of text must look. `UNKNOWN`: nobody has looked, for the pixels are compressed, or it is no image
    of a detector: they must be decoded, and shown to a detector.
    """

    NONE = "none"
    SOME = "some"
    UNKNOWN = "unknown"


def scan(file: DicomFile) -> Trace:
    """Look at all frames of a file; at equal neighbours once, in memory for two.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it.

    Raises
    ------
    QuarantineError
        With `Reason.TRUNCATED` if frames are missing.
    """
    if file.pixels.length is None or not is_acquired(file.dataset):
        return Trace.UNKNOWN
    turned = is_projection(file.dataset)
    if _bits(file.dataset) == 1:
        frames = _bit_planes(file)
        return Trace.SOME if any(may_have_text(frame, turned=turned) for frame in frames) else Trace.NONE
    try:
        layout = Layout.of(file.dataset)
    except QuarantineError:
        return Trace.UNKNOWN
    if not NativeFrames.has_integers(file):
        return Trace.UNKNOWN
    _keep_memory()
    native, before = NativeFrames.of(file, layout), b""
    for index in range(layout.frames):
        raw = native.read(index)
        if raw != before:
            stored = native.view(raw)
            limits = extremes(stored)
            if hides_bits(stored, layout, limits) or may_have_text(stored, turned=turned, limits=limits):
                return Trace.SOME
        before = raw
    return Trace.NONE


@lru_cache(maxsize=1)
def _keep_memory() -> None:
    """Let the allocator keep what frames are looked at in, instead of returning it to the system after each.

    glibc asks for it again page by page otherwise; it learns from the largest block it has seen freed (mallopt(3),
    M_MMAP_THRESHOLD). The block is never touched and takes no memory.
    """
    bytes(_LARGEST_BLOCK)


def _bits(dataset: Dataset) -> int:
    return int(text(dataset, "BitsAllocated") or 0)


def _bit_planes(file: DicomFile) -> Iterator[Array]:
    """Yield the frames of a binary segmentation, which lie bit by bit, without a gap between two (PS3.5 8.1.1)."""
    dataset = file.dataset
    rows, columns, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
    size, start = rows * columns, file.pixels.stop - (file.pixels.length or 0)
    for index in range(frames):
        first = index * size
        file.source.seek(start + first // 8)
        count = -(-(first % 8 + size) // 8)
        raw = file.source.read(count)
        if len(raw) != count:
            raise QuarantineError(Reason.TRUNCATED)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
        yield bits[first % 8 : first % 8 + size].reshape(rows, columns)
