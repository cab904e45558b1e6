"""Headers of plain files without pydicom's reader: the same data sets, in a fraction of the time.

What the walk does not understand, or does not find in the bytes it is given, it leaves to pydicom.
"""

from functools import lru_cache
from io import BytesIO

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_sequence
from pydicom.tag import BaseTag

HEAD = 32 * 1024
"""Bytes of a file that are enough for most headers of one image."""
_LONG = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UT", b"UC", b"UR", b"SV", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO"}
    | {b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_NAMES = {each: each.decode() for each in _LONG | _SHORT}
_UNDEFINED = 0xFFFFFFFF
_SYNTAX, _CHARACTERS, _SEQUENCE_OF_PIXELS = 0x00020010, 0x00080005, 0x7FE00000
_EXPLICIT = b"1.2.840.10008.1.2.1"
_Elements = dict[BaseTag, DataElement | RawDataElement]


def header_of(head: bytes) -> tuple[Dataset, int] | None:
    """Return the data set before the pixels, and where those begin.

    Parameters
    ----------
    head
        The first bytes of a file.

    Returns
    -------
    tuple
        With its file meta information, as pydicom would have it; None for another transfer syntax than Explicit VR
        Little Endian, where the bytes end before the pixels, or where anything else is not plain (PS3.5 7.1.2,
        PS3.10 7.1).
    """
    if head[128:132] != b"DICM":
        return None
    meta: _Elements = {}
    elements: _Elements = {}
    try:
        at = _walk(head, 132, meta, stop=0x00030000)
        syntax = meta.get(BaseTag(_SYNTAX))
        if syntax is None or bytes(syntax.value or b"").rstrip(b" \0") != _EXPLICIT:
            return None
        at = _walk(head, at, elements, stop=_SEQUENCE_OF_PIXELS)
        # Elements are made by pydicom when they are looked at.
        found = Dataset(elements)
        characters = elements.get(BaseTag(_CHARACTERS))
        coding = _encodings(bytes(characters.value or b"")) if characters is not None else ["iso8859"]
        found.set_original_encoding(False, True, coding)
        found.file_meta = FileMetaDataset(meta)
    except Exception:  # bytes that end, or are not what they say: pydicom tells how they are wrong
        return None
    return found, at


@lru_cache(maxsize=64)
def _encodings(value: bytes) -> list[str]:
    return convert_encodings([each.strip() for each in value.decode("ascii").split("\\")])


def _walk(head: bytes, at: int, found: _Elements, stop: int) -> int:
    """Gather elements below a tag; return where the first of the others begins.

    Raises
    ------
    ValueError, IndexError
        If the bytes end, or are no plain elements.
    """
    size = len(head)
    while True:
        tag = int.from_bytes(head[at : at + 2], "little") << 16 | int.from_bytes(
            head[at + 2 : at + 4], "little"
        )
        if tag >= stop and at + 4 <= size:
            return at
        vr = head[at + 4 : at + 6]
        if vr in _LONG:
            start, length = at + 12, int.from_bytes(head[at + 8 : at + 12], "little")
        else:
            start, length = at + 8, int.from_bytes(head[at + 6 : at + 8], "little")
        name, key = _NAMES[vr], BaseTag(tag)
        if length == _UNDEFINED:
            at = _sequence(head, start, key, vr, found)
            continue
        at = start + length
        if at > size or key in found:
            raise ValueError("the bytes end, or an element comes twice")
        found[key] = RawDataElement(key, name, length, head[start:at] if length else None, start, False, True)


def _sequence(head: bytes, start: int, key: BaseTag, vr: bytes, found: _Elements) -> int:
    """Let pydicom read a sequence that ends with a delimiter; return where it ends."""
    if vr != b"SQ":
        raise ValueError("an undefined length")
    rest = BytesIO(head)
    rest.seek(start)
    found[key] = DataElement(key, "SQ", read_sequence(rest, False, True, _UNDEFINED, ["iso8859"]))
    if head[rest.tell() - 8 : rest.tell()] != b"\xfe\xff\xdd\xe0\0\0\0\0":
        raise ValueError("no delimiter")
    return rest.tell()
