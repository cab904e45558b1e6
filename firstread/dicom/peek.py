"""Read a value without decoding it in place: what stays as it was read is written again at no cost."""

import struct

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

_TEXT = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"})


def plain_text(element: DataElement | RawDataElement) -> str | None:
    """Return the text of an undecoded element that means the same in every character set, else None."""
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes) and element.VR != "UN":
        value = element.value
        if value.isascii() and b"\x1b" not in value:  # no ISO 2022 escapes (PS3.5 6.1.2.5)
            return value.decode("ascii")
    return None


def peek(dataset: Dataset, keyword: str) -> object:
    """Return a value: text and US as they are encoded, everything else as pydicom decodes it; None if absent.

    Parameters
    ----------
    dataset
        Not changed where the value is plain.
    keyword
        Of the attribute.
    """
    tag = tag_for_keyword(keyword)
    element = None if tag is None else dataset.get_item(BaseTag(tag))
    if element is None or tag is None:
        return None
    if isinstance(element, RawDataElement):
        if element.VR in _TEXT and (text := plain_text(element)) is not None:
            return text.strip(" \0")
        if element.VR == "US" and element.value is not None and len(element.value) == 2:
            return int(struct.unpack("<H" if element.is_little_endian else ">H", element.value)[0])
    return dataset[tag].value
