"""Long values of an object, found by the path that the metadata gives them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from firstread.dicomweb.dicom_json import PIXELS
from firstread.dicomweb.errors import CannotRenderError
from firstread.dicomweb.header import Header, Source, read_header
from firstread.dicomweb.layout import layout_of, value_of
from portal.errors import MissingError
from portal.logic.dicomweb.media import OCTETS, PDF

_PATH = re.compile(r"(?:[0-9A-F]{8}\.[0-9]{1,6}\.){0,16}[0-9A-F]{8}")
_CHUNK = 4 * 1024 * 1024
_DOCUMENT = 0x00420011  # Encapsulated Document
_PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"


@dataclass(frozen=True)
class Bulk:
    """A long value.

    Parameters
    ----------
    media_type
        What it is.
    header
        Of the object.
    value
        The bytes; None for pixel data, which is read piece by piece.
    """

    media_type: str
    header: Header = field(repr=False)
    value: bytes | None = field(repr=False)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; of encapsulated pixel data, the fragments of all frames without their items."""
        if self.value is not None:
            yield self.value
            return
        header = self.header
        if header.pixels_length is None:
            for start, stop in layout_of(header).spans:
                yield value_of(header.read(start, stop - start))
            return
        stop = header.pixels_at + header.pixels_length
        for start in range(header.pixels_at, stop, _CHUNK):
            yield header.read(start, min(_CHUNK, stop - start))


def read_bulk(source: Source, key: str, path: str) -> Bulk:
    """Return a long value of an object.

    Parameters
    ----------
    source, key
        Where the object is.
    path
        Tags and item numbers with dots in between, such as ``00283010.0.00283006``.

    Raises
    ------
    MissingError
        If the object has no bytes under that path.
    """
    if not _PATH.fullmatch(path):
        raise MissingError("no such value")
    header = read_header(source, key)
    *items, last = path.split(".")
    tag = int(last, 16)
    if not items and tag in PIXELS:
        if tag != header.pixels_tag:
            raise MissingError("no such value")
        if header.pixels_length is None:
            layout_of(header)  # whether frames can be told apart is known before the answer begins
        return Bulk(OCTETS, header, None)
    value = _value(header.dataset, items, tag)
    is_pdf = tag == _DOCUMENT and str(header.dataset.get("SOPClassUID")) == _PDF_CLASS
    return Bulk(PDF if is_pdf else OCTETS, header, value)


def _value(dataset: Dataset, items: list[str], tag: int) -> bytes:
    try:
        for sequence, number in zip(items[::2], items[1::2], strict=True):
            dataset = dataset[int(sequence, 16)].value[int(number)]
        value = dataset[tag].value
    except (KeyError, IndexError, TypeError):
        raise MissingError("no such value") from None
    except Exception:  # pydicom converts on access
        raise CannotRenderError("unreadable") from None
    if not isinstance(value, bytes) or not value:
        raise MissingError("no such value")
    return value
