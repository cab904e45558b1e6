"""The elements of plain DICOM files that the index wants, in a third of the time of a library that keeps all of them.

Little endian, explicit and implicit, well formed, one frame: nearly every image there is. All else raises `OddError`
and is read by pydicom; what this module does return is what pydicom returns.
"""

import struct
from collections.abc import Iterable, Sequence

from firstread.imaging.elements import (
    IMPLICIT,
    UNDEFINED,
    Head,
    OddError,
    Read,
    TruncatedError,
    elements,
    turned,
    vr,
)
from firstread.imaging.index.columns import NESTED, NUMBER_OF_FRAMES, WANTED

_TEXTS = frozenset(map(vr, "AE AS CS DA DS DT IS LO LT SH ST TM UI".split()))
BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FD": "d", "FL": "f"}
"""VRs whose values are no text, with their formats."""

_TURNED = {
    turned(tag): (tag, frozenset({0, vr(name)}) | (_TEXTS if vr(name) in _TEXTS else frozenset()))
    for tag, name in WANTED.items()
}
"""With the VRs that they may claim: texts are read alike; 0 where it is implicit."""
_NUMBERS = {tag: BINARY[name] for tag, name in WANTED.items() if name in BINARY}
_NO_DATA = (0x00020000, 0x00020010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD)
"""Tags that no data set has: where one is, lengths are wrong."""
_PIXELS = frozenset(map(turned, (0x7FE00008, 0x7FE00009, 0x7FE00010)))
_LOOKED_AT = _PIXELS | frozenset(map(turned, NESTED)) | frozenset(map(turned, _NO_DATA)) | _TURNED.keys()


_NOT_PLAIN: tuple[int, frozenset[int]] = (0, frozenset())
_LAYOUTS, _SIZES = 4, 4096
_Texts = dict[int, bytes]


class _Layout:
    """Where elements of a file lie: the same in another where the same heads are at the same places.

    Parameters
    ----------
    head, syntax
        Of the file; the heads that were passed are in its `spans`.
    values
        Tag, begin and end of each wanted value.
    """

    def __init__(self, head: Head, syntax: str, values: Sequence[tuple[int, int, int]]) -> None:
        self.syntax = syntax
        self._heads = _fields(head.spans or ())
        self._known = self._heads.unpack_from(head.data)
        self._values = _fields([(begin, end) for _, begin, end in values])
        self._tags = [tag for tag, _, _ in values]
        self._end = max(self._heads.size, self._values.size)

    def read(self, head: Head) -> _Texts | None:
        """Return the values of another file; None where it is laid out in another way."""
        data = head.reach(self._end)
        if self._heads.unpack_from(data) != self._known:
            return None
        return dict(zip(self._tags, self._values.unpack_from(data), strict=True))


def _fields(spans: Iterable[tuple[int, int]]) -> struct.Struct:
    """Return what takes pieces, in their order, out of bytes."""
    parts, at = ["<"], 0
    for begin, end in spans:
        parts.append(f"{begin - at}x{end - begin}s")
        at = end
    return struct.Struct("".join(parts))


class Elements:
    """Reads elements of files, and remembers how files were laid out: those of a series differ in a few lengths."""

    def __init__(self) -> None:
        self._layouts: dict[int, list[_Layout]] = {}

    def read(self, read: Read, size: int) -> tuple[str, _Texts]:
        """Return the transfer syntax and the wanted elements of a file.

        Parameters
        ----------
        read
            Of the file.
        size
            Its bytes.

        Raises
        ------
        NotDicomError, TruncatedError
            If it is no DICOM file, or a part of one.
        OddError
            If pydicom should read it.
        """
        head = Head(read, size)
        layouts = self._layouts.get(size)
        for layout in layouts or ():
            if (found := layout.read(head)) is not None:
                return layout.syntax, _texts(found)
        if layouts is not None and len(layouts) < _LAYOUTS:
            head.spans = []
        syntax, values = _walk(head)
        if layouts is None:
            # Layouts are made from the second file of a size on: compressed ones are all of different sizes.
            if len(self._layouts) >= _SIZES:
                self._layouts.clear()
            self._layouts[size] = []
        elif head.spans is not None:
            layouts.append(_Layout(head, syntax, values))
        return syntax, _texts({tag: head.data[begin:end] for tag, begin, end in values})


def _walk(head: Head) -> tuple[str, list[tuple[int, int, int]]]:
    """Return the transfer syntax, and tag, begin and end of each wanted value."""
    syntax, at = head.meta()
    values = []
    for key, code, start, length in elements(head, at, explicit=syntax != IMPLICIT, wanted=_LOOKED_AT):
        if key in _PIXELS:
            if length != UNDEFINED and start + length > head.size:
                raise TruncatedError
            break
        tag, allowed = _TURNED.get(key, _NOT_PLAIN)
        if code not in allowed or length == UNDEFINED:
            raise OddError
        values.append((tag, start, start + length))
    if values:
        head.reach(values[-1][2])
    return syntax, values


def _texts(found: _Texts) -> _Texts:
    for tag, kind in _NUMBERS.items():
        if tag in found:
            found[tag] = written(found[tag], kind, "<")
    if found.get(NUMBER_OF_FRAMES, b"").strip(b" \0") not in (b"", b"1"):
        raise OddError
    return found


def written(value: bytes, kind: str, order: str) -> bytes:
    """Return binary numbers as text.

    Parameters
    ----------
    value
        As they are in the file.
    kind, order
        Format of one, and byte order, as `struct` has them.

    Raises
    ------
    OddError
        If it is not a whole count of them.
    """
    if kind == "H" and len(value) == 2:  # nearly all there are
        return b"%d" % int.from_bytes(value, "little" if order == "<" else "big")
    count, rest = divmod(len(value), struct.calcsize("<" + kind))
    if rest:
        raise OddError
    return "\\".join(map(repr, struct.unpack(f"{order}{count}{kind}", value))).encode()
