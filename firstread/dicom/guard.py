"""Bound what a header may cost before it is parsed: elements, items, depth and bytes, counted from lengths alone.

pydicom builds an object per element and per item. Here only the headers of elements are looked at, so that a hostile
file is refused before its objects exist.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from pydicom.datadict import dictionary_VR
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from firstread.dicom.pixels import PIXEL_TAGS
from firstread.errors import QuarantineError, Reason

UNDEFINED = 0xFFFFFFFF
DEFER_BYTES = 1024 * 1024
"""Values longer than this are not read while the header is parsed."""
ITEM_WEIGHT = 4  # an empty item costs about as much memory as four short elements
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SMALL = 64 * 1024  # a sequence that cannot hold enough to matter
_WINDOW = 64 * 1024
_VRS = frozenset(str(vr) for vr in VR)
_LONG = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_ENCAPSULATED_DOCUMENT = 0x00420011


@dataclass(frozen=True)
class Limits:
    """How far an untrusted file may go.

    Parameters
    ----------
    file_bytes, frame_bytes, inflated_bytes
        Sizes in bytes: the object, one decoded frame, a deflated dataset when inflated.
    header_bytes
        Sizes in bytes of all values before the pixel data together, without those that are never read.
    depth
        Levels of nested sequences.
    elements
        Data elements in all items together; an item counts as `ITEM_WEIGHT` elements.
    """

    file_bytes: int = 1024**3
    frame_bytes: int = 1024**3
    inflated_bytes: int = 1024**3
    header_bytes: int = 256 * 1024**2
    depth: int = 32
    elements: int = 1_000_000


def is_sequence(tag: int) -> bool:
    """Return whether PS3.6 says that an attribute is a sequence."""
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


def never_leaves(tag: int) -> bool:
    """Return whether no profile keeps the value of an element as it is: private ones and encapsulated documents."""
    return bool(tag >> 16 & 1) or tag == _ENCAPSULATED_DOCUMENT


@dataclass(frozen=True)
class Deferred:
    """A value of the top level that was not read: its tag, and where it lies."""

    tag: int
    start: int
    length: int


class Guard:
    """Told of every element of the top level before its value is read; ends the reading at the pixel data.

    Parameters
    ----------
    source
        The file that is being parsed; its offset is left where it was.
    size
        Of the file in bytes.
    limits
        How far it may go.
    implicit, little
        Encoding of the top level.

    Raises
    ------
    QuarantineError
        While reading, as soon as a limit is passed.
    """

    def __init__(self, source: IO[bytes], size: int, limits: Limits, *, implicit: bool, little: bool) -> None:
        self._source, self._size, self._limits = source, size, limits
        self._implicit, self._little = implicit, little
        self._order = "<" if little else ">"
        self._elements = self._bytes = self._last = 0
        self.deferred: list[Deferred] = []

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        """Judge one element; return whether reading ends before it."""
        if tag in PIXEL_TAGS:
            return True
        self._count(1)
        if length == UNDEFINED:
            if not self._is_element(tag, vr):
                return True
            self._scan(tag, vr, length)
        elif self._source.tell() + length > self._size:
            if self._is_element(tag, vr):
                raise QuarantineError(Reason.TRUNCATED)
            return True  # no element that was cut short: bytes that somebody has put behind the dataset
        elif length > _SMALL:
            self._weigh(tag, vr, length)
        else:
            self._take(length)
        self._last = tag
        return False

    def _is_element(self, tag: BaseTag, vr: str | None) -> bool:
        return tag > self._last if self._implicit else vr in _VRS

    def _weigh(self, tag: BaseTag, vr: str | None, length: int) -> None:
        if vr == "SQ" or (vr in (None, "UN") and is_sequence(tag)):
            self._scan(tag, vr, length)
        elif not (length > DEFER_BYTES and never_leaves(tag)):
            self._take(length)
        if length > DEFER_BYTES:
            self.deferred.append(Deferred(tag, self._source.tell(), length))

    def _count(self, elements: int) -> None:
        self._elements += elements
        if self._elements > self._limits.elements:
            raise QuarantineError(Reason.TOO_MANY_ELEMENTS)

    def _take(self, length: int) -> None:
        self._bytes += length
        if self._bytes > self._limits.header_bytes:
            raise QuarantineError(Reason.HEADER_TOO_LARGE)

    def _scan(self, tag: BaseTag, vr: str | None, length: int) -> None:
        start = self._source.tell()
        scan = _Scan(self._source, self._order, self._count, self._take, self._limits.depth)
        is_items = vr in ("SQ", "UN") or (vr is None and (is_sequence(tag) or scan.is_item_at(start)))
        scan.run(start, length, implicit=self._implicit, fragments=not is_items)
        self._source.seek(start)


@dataclass
class _Level:
    """Where the scan is: among the items of a sequence, the elements of an item, or the fragments of a value."""

    items: bool
    end: int | None
    implicit: bool
    fragments: bool = False


class _Scan:
    """Walks the headers of one sequence and of all that is nested in it, without recursion."""

    def __init__(
        self,
        source: IO[bytes],
        order: str,
        count: Callable[[int], None],
        take: Callable[[int], None],
        depth: int,
    ) -> None:
        self._source, self._count, self._take, self._depth = source, count, take, depth
        self._short = struct.Struct(f"{order}HH2sH").unpack_from
        self._long = struct.Struct(f"{order}HHL").unpack_from
        self._length = struct.Struct(f"{order}L").unpack_from
        self._window, self._base = b"", 0
        self._levels: list[_Level] = []

    def run(self, at: int, length: int, *, implicit: bool, fragments: bool) -> None:
        """Walk a value at an offset."""
        self._push_sequence(at, length, implicit=implicit, fragments=fragments)
        while self._levels:
            level = self._levels[-1]
            if level.end is not None and at >= level.end:
                if at > level.end:
                    raise QuarantineError(Reason.UNREADABLE)
                self._levels.pop()
            elif level.items:
                at = self._item(at, level)
            else:
                at = self._element(at, level)

    def is_item_at(self, at: int) -> bool:
        """Return whether an item begins at an offset."""
        found = self._see(at, 8)
        group, element, _ = self._long(self._window, found)
        return bool((group << 16 | element) == _ITEM)

    def _see(self, at: int, size: int) -> int:
        """Return where in the window the bytes at an offset are."""
        found = at - self._base
        if found < 0 or found + size > len(self._window):
            self._source.seek(at)
            self._window, self._base, found = self._source.read(_WINDOW), at, 0
            if len(self._window) < size:
                raise QuarantineError(Reason.TRUNCATED)
        return found

    def _push_sequence(self, at: int, length: int, *, implicit: bool, fragments: bool = False) -> None:
        if sum(level.items for level in self._levels) >= self._depth:
            raise QuarantineError(Reason.NESTED_TOO_DEEP)
        end = None if length == UNDEFINED else at + length
        self._levels.append(_Level(True, end, implicit, fragments))

    def _item(self, at: int, level: _Level) -> int:
        found = self._see(at, 8)
        group, element, length = self._long(self._window, found)
        tag = group << 16 | element
        at, length = at + 8, int(length)
        if tag == _SEQUENCE_END:
            self._levels.pop()
            return at
        if tag != _ITEM or (level.fragments and length == UNDEFINED):
            raise QuarantineError(Reason.UNREADABLE)
        if level.fragments:
            self._take(length)
            return at + length
        self._count(ITEM_WEIGHT)
        end = None if length == UNDEFINED else at + length
        self._levels.append(_Level(False, end, level.implicit or self._turns_implicit(at, end)))
        return at

    def _turns_implicit(self, at: int, end: int | None) -> bool:
        """Tell whether an item of an explicit sequence is implicit, as in a UN (PS3.5 6.2.2 note 4)."""
        if end is not None and at + 8 > end:
            return False
        found = self._see(at, 8)
        return not all(0x40 < letter < 0x5B for letter in self._window[found + 4 : found + 6])

    def _element(self, at: int, level: _Level) -> int:
        found = self._see(at, 8)
        group, element, vr, length = self._short(self._window, found)
        tag = group << 16 | element
        if tag == _ITEM_END:
            self._levels.pop()
            return at + 8
        self._count(1)
        at += 8
        if level.implicit or not b"AA" <= vr <= b"ZZ":  # as pydicom decides
            vr = b""
            (length,) = self._length(self._window, found + 4)
        elif vr in _LONG:
            found = self._see(at, 4)
            (length,) = self._length(self._window, found)
            at += 4
        if vr == b"SQ" or length == UNDEFINED or (vr in (b"", b"UN") and is_sequence(tag)):
            fragments = vr not in (b"", b"SQ", b"UN")
            self._push_sequence(at, length, implicit=level.implicit or vr != b"SQ", fragments=fragments)
            return at
        self._take(length)
        return at + int(length)
