"""Write a dataset as bytes: what was never decoded is copied, the rest goes through pydicom."""

import struct
from collections.abc import MutableSequence
from dataclasses import dataclass

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element
from pydicom.tag import BaseTag

from firstread.deid.elements import Element

_LONG = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)  # PS3.5 7.1.2
_UNDEFINED = 0xFFFFFFFF
_LONG_LENGTH = 0x10000
_Charset = str | MutableSequence[str]


def encode(dataset: Dataset, *, implicit: bool, little: bool) -> bytes:
    """Return the dataset encoded; sequences and items have defined lengths (PS3.5 7.5).

    Parameters
    ----------
    dataset
        Undecoded elements must have been read from a file of the same encoding.
    implicit, little
        Encoding of the transfer syntax (PS3.5 Annex A).
    """
    return _Encoder(implicit, little).dataset(dataset, "iso8859")


@dataclass(frozen=True)
class _Encoder:
    implicit: bool
    little: bool

    def dataset(self, dataset: Dataset, charset: _Charset) -> bytes:
        parts: list[bytes] = []
        charset = dataset.original_character_set or charset  # items that are new inherit it (PS3.5 7.5.3)
        for number, tag, element in sorted((int(tag), tag, element) for tag, element in dataset.items()):
            if isinstance(element, RawDataElement):
                if element.length == _UNDEFINED:
                    raise ValueError("an undecoded value of undefined length")
                value = element.value or b""
                parts += (self._header(number, element.VR or "UN", len(value)), value)
            elif element.VR == "SQ":
                value = b"".join(self._item(item, charset) for item in element.value or ())
                parts += (self._header(number, "SQ", len(value)), value)
            else:
                parts.append(self._decoded(dataset, tag, charset))
        return b"".join(parts)

    def _item(self, item: Dataset, charset: _Charset) -> bytes:
        value = self.dataset(item, charset)
        return struct.pack("<HHL" if self.little else ">HHL", 0xFFFE, 0xE000, len(value)) + value

    def _header(self, tag: int, vr: str, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if self.implicit:
            return struct.pack("<HHL", group, element, length)
        order = "<" if self.little else ">"
        if vr not in _LONG and length < _LONG_LENGTH:
            return struct.pack(order + "HH2sH", group, element, vr.encode(), length)
        # A value too long for its VR is written as UN (PS3.5 6.2.2 note 2).
        vr = vr if vr in _LONG else "UN"
        return struct.pack(order + "HH2sHL", group, element, vr.encode(), 0, length)

    def _decoded(self, dataset: Dataset, tag: BaseTag, charset: _Charset) -> bytes:
        element: Element = dataset[tag]
        if " or " in str(element.VR):
            element = correct_ambiguous_vr_element(element, dataset, self.little)
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = self.little, self.implicit
        write_data_element(buffer, element, convert_encodings(charset))
        return buffer.getvalue()
