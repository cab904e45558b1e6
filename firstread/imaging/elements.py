"""The elements of a plain DICOM file, one after the other (PS3.5 7.1, PS3.10 7.1); the one walk over headers there is.

Little endian, explicit and implicit. What is not well formed raises `OddError`: pydicom reads it or says what is wrong.
"""

import struct
from collections.abc import Callable, Container, Iterator
from typing import Self

Read = Callable[[int, int], bytes]
"""Gives as many bytes as asked for, from an offset on; fewer at the end of the file."""
Element = tuple[int, int, int, int]
"""Tag as `turned` gives it, VR as `vr` does (0 where it is implicit), where its value begins, and its length."""

UNDEFINED = 0xFFFFFFFF
IMPLICIT, DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
_PREFIX_END = 132
_FIRST, _MORE = 8192, 65536
_MOST = 1 << 24  # of a header; longer ones are somebody else's
_DEEPEST = 20


def vr(name: str) -> int:
    """Return a VR as elements have it."""
    return int.from_bytes(name.encode(), "little")


def turned(tag: int) -> int:
    """Return a tag as its four bytes in the file are read as one number; the group is in the lower half."""
    return (tag >> 16) | (tag & 0xFFFF) << 16


_LONGEST_HEAD = 12
_HEADS = {
    vr(name): 8 for name in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
} | {vr(name): _LONGEST_HEAD for name in "OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}
"""Bytes before the value, by VR."""
_SQ = vr("SQ")
_EXPLICIT_HEAD = struct.Struct("<IHH").unpack_from
IMPLICIT_HEAD = struct.Struct("<II").unpack_from
"""Tag and length, where no VR is written: of implicit elements and of items."""
_LENGTH = struct.Struct("<I").unpack_from
_META, _SYNTAX = 2, turned(0x00020010)
ITEM, ITEM_END, SEQUENCE_END = map(turned, (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD))


class OddError(Exception):
    """A file that is not plain; it carries nothing of it."""


class NotDicomError(Exception):
    """A file without the prefix of PS3.10 7.1."""


class TruncatedError(Exception):
    """A file that ends within an element."""


class Head:
    """The beginning of a file, as much of it as is asked for.

    Parameters
    ----------
    read
        Of the file.
    size
        Its bytes.

    Raises
    ------
    NotDicomError
        If it is no DICOM file.
    """

    def __init__(self, read: Read, size: int) -> None:
        self._read, self.size = read, size
        self.spans: list[tuple[int, int]] | None = None
        """Where everything lies that says what lies where, in its order: heads of elements and items, the transfer
        syntax. Gathered if a list is put here first."""
        self.end = 0
        """Where the last walk over elements came to its end."""
        self.data = read(_FIRST, 0)
        if self.data[_PREFIX_END - 4 : _PREFIX_END] != b"DICM":
            raise NotDicomError

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the beginning of a file of which no more is to be had; errors as of the class."""
        return cls(lambda length, at: data[at : at + length], len(data))

    def reach(self, end: int) -> bytes:
        """Have the bytes before an offset.

        Raises
        ------
        TruncatedError
            If there are not as many.
        OddError
            If they are more than a header has.
        """
        if end > len(self.data):
            if end > self.size:
                raise TruncatedError
            if end > _MOST:
                raise OddError
            self.data += self._read(max(end - len(self.data), _MORE), len(self.data))
            if end > len(self.data):
                raise TruncatedError
        return self.data

    def value(self, start: int, length: int) -> bytes:
        """Return the bytes of a value.

        Raises
        ------
        TruncatedError, OddError
            As `reach`.
        """
        return self.reach(start + length)[start : start + length]

    def meta(self) -> tuple[str, int]:
        """Return the transfer syntax, and where the data set begins.

        Raises
        ------
        OddError
            If it is not one of little endian, or the first element of the data set is not written as it says.
        TruncatedError
            If the file ends here.
        """
        syntax, at = b"", _PREFIX_END
        for key, _, start, length in elements(self, at, explicit=True, last=_META):
            if key & 0xFFFF != _META or length == UNDEFINED:
                raise OddError
            at = start + length
            if key == _SYNTAX:
                syntax = self.value(start, length).rstrip(b"\0 ")
                if self.spans is not None:
                    self.spans.append((start, at))
        name = syntax.decode("latin-1")
        if not name.startswith(IMPLICIT) or name in (DEFLATED, BIG_ENDIAN):
            raise OddError
        looks_explicit = _EXPLICIT_HEAD(self.reach(at + _LONGEST_HEAD), at)[1] in _HEADS
        if looks_explicit != (name != IMPLICIT):
            raise OddError
        return name, at


def elements(
    head: Head,
    at: int,
    *,
    explicit: bool,
    wanted: Container[int] | None = None,
    last: int = 0xFFFF,
    end: int | None = None,
) -> Iterator[Element]:
    """Yield elements from an offset to the end of the file.

    Sequences are passed over, also those without a length. Values need not be among the bytes that are there.

    Parameters
    ----------
    head
        Of the file.
    at
        Where an element begins.
    explicit
        Whether VRs are written.
    wanted
        Tags of those that are yielded, as `turned` gives them; all, where it is None.
    last
        The group after which it ends.
    end
        Where it ends, if not with the file.

    Raises
    ------
    OddError
        If there is an unknown VR, or something without a length that is no sequence.
    TruncatedError
        If the file ends within an element.
    """
    return (_explicit if explicit else _implicit)(head, at, wanted, last, head.size if end is None else end)


def _explicit(head: Head, at: int, wanted: Container[int] | None, last: int, end: int) -> Iterator[Element]:
    data, spans = head.data, head.spans
    while at < end:
        try:
            key, code, length = _EXPLICIT_HEAD(data, at)
            if key & 0xFFFF > last:
                break
            start = at + _HEADS[code]
            if start - at == _LONGEST_HEAD:
                (length,) = _LENGTH(data, at + 8)
        except struct.error:
            data = _more(head, data, at)
            continue
        except KeyError:
            raise OddError from None
        if spans is not None:
            spans.append((at, start))
        if wanted is None or key in wanted:
            yield key, code, start, length
            data = head.data
        at = start + length if length != UNDEFINED else _after(head, start, code)
    head.end = at
    if at > end:
        raise TruncatedError


def _implicit(head: Head, at: int, wanted: Container[int] | None, last: int, end: int) -> Iterator[Element]:
    data, spans = head.data, head.spans
    while at < end:
        try:
            key, length = IMPLICIT_HEAD(data, at)
        except struct.error:
            data = _more(head, data, at)
            continue
        if key & 0xFFFF > last:
            break
        start = at + 8
        if spans is not None:
            spans.append((at, start))
        if wanted is None or key in wanted:
            yield key, 0, start, length
            data = head.data
        at = start + length if length != UNDEFINED else _after(head, start, 0)
    head.end = at
    if at > end:
        raise TruncatedError


def _more(head: Head, data: bytes, at: int) -> bytes:
    end = min(at + _LONGEST_HEAD, head.size)
    if len(data) >= end:
        raise TruncatedError
    return head.reach(end)


def _after(head: Head, at: int, code: int) -> int:
    """Return where what has no length ends, if it is a sequence: where VRs are not written, all is that has none."""
    if code not in (0, _SQ):
        raise OddError
    return _after_sequence(head, at, explicit=code != 0, depth=0)


def _after_sequence(head: Head, at: int, *, explicit: bool, depth: int) -> int:
    """Return where a sequence of undefined length ends."""
    if depth > _DEEPEST:
        raise OddError
    while True:
        key, length = IMPLICIT_HEAD(head.reach(at + 8), at)
        at += 8
        if head.spans is not None:
            head.spans.append((at - 8, at))
        if key == SEQUENCE_END:
            return at
        if key != ITEM:
            raise OddError
        at = _after_item(head, at, explicit=explicit, depth=depth) if length == UNDEFINED else at + length


def _after_item(head: Head, at: int, *, explicit: bool, depth: int) -> int:
    while True:
        code, begin = 0, at + 8
        data = head.reach(begin)
        key, length = IMPLICIT_HEAD(data, at)
        if explicit and key != ITEM_END:
            _, code, length = _EXPLICIT_HEAD(data, at)
            begin = at + _HEADS.get(code, 0)
            if begin == at:
                raise OddError
            if begin - at == _LONGEST_HEAD:
                (length,) = _LENGTH(head.reach(begin), at + 8)
        if head.spans is not None:
            head.spans.append((at, begin))
        if key == ITEM_END:
            return begin
        if length != UNDEFINED:
            at = begin + length
        elif code in (0, _SQ):
            at = _after_sequence(head, begin, explicit=explicit, depth=depth + 1)
        else:
            raise OddError
