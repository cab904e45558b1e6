"""What the engine writes into every object: who it is now, what was done, and a new file meta information.

Elements are made as a file would hold them, which spares pydicom's checks of known values and their encoding later.
"""

import struct
from functools import lru_cache

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from firstread.deid.encode import encode
from firstread.deid.options import METHOD_CODES, Option

IMPLEMENTATION_CLASS_UID = UID("2.25.323842716104098423017206171418463372143")


def plain(tag: BaseTag | int, vr: str, text: str) -> RawDataElement:
    """Return an element of plain ASCII text, undecoded.

    Parameters
    ----------
    tag, vr
        The element.
    text
        Its value, padded here to even length (PS3.5 6.2).
    """
    value = text.encode("ascii")
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)


def mark(
    dataset: FileDataset, options: frozenset[Option], patient: str, method: str, *, checked: bool
) -> None:
    """Say whose the object is now and what was done (PS3.15 E.1.1 and E.3; codes of CID 7050).

    Parameters
    ----------
    dataset
        After its elements were cleaned.
    options
        What was applied.
    patient
        The pseudonym.
    method
        For De-identification Method.
    checked
        Whether somebody has looked at every frame: what the sender said of them is not believed.
    """
    implicit, little = (bool(part) for part in dataset.original_encoding)
    applied = options if checked else options - {Option.CLEAN_PIXEL_DATA}
    codes = _method(applied, implicit, little)
    marks = [
        plain(0x00100010, "PN", patient),
        plain(0x00100020, "LO", patient),
        plain(0x00100030, "DA", ""),
        plain(0x00120062, "CS", "YES"),
        plain(0x00120063, "LO", method),
        RawDataElement(BaseTag(0x00120064), "SQ", len(codes), codes, 0, implicit, little),
    ]
    if Option.RETAIN_FULL_DATES not in options:
        modified = Option.RETAIN_MODIFIED_DATES in options
        marks.append(plain(0x00280303, "CS", "MODIFIED" if modified else "REMOVED"))
    dataset.pop(BaseTag(0x00280301), None)
    if checked:
        marks.append(plain(0x00280301, "CS", "NO"))
    for each in marks:
        dataset[each.tag] = each


@lru_cache(maxsize=64)
def _method(applied: frozenset[Option], implicit: bool, little: bool) -> bytes:
    """Return the value of De-identification Method Code Sequence as a file holds it."""
    dataset = Dataset()
    dataset.DeidentificationMethodCodeSequence = [_item(option) for option in (None, *sorted(applied))]
    return encode(dataset, implicit=implicit, little=little)[8 if implicit else 12 :]


def _item(option: Option | None) -> Dataset:
    code = METHOD_CODES[option]
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def new_meta(sop_class: str, sop_instance: str, syntax: UID) -> FileMetaDataset:
    """Return a file meta information made anew: the old one may name application entities (PS3.10 7.1)."""
    meta = FileMetaDataset()
    for element in (
        RawDataElement(BaseTag(0x00020001), "OB", 2, b"\0\1", 0, False, True),
        plain(0x00020002, "UI", sop_class),
        plain(0x00020003, "UI", sop_instance),
        plain(0x00020010, "UI", syntax),
        plain(0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
        plain(0x00020013, "SH", "FIRSTREAD"),
    ):
        meta[element.tag] = element
    return meta


def encoded_meta(meta: FileMetaDataset) -> bytes:
    """Return a file meta information with its group length, which is always Explicit VR Little Endian."""
    group = encode(meta, implicit=False, little=True)
    return struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(group)) + group
