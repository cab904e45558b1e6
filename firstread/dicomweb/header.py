"""The header of a stored object, read by ranges: a large object is never loaded for a few of its bytes."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Protocol, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from firstread.dicom.guard import Limits
from firstread.dicom.reader import inflate, read_meta, transfer_syntax_of
from firstread.dicom.silence import quiet
from firstread.dicomweb.dicom_json import PIXELS
from firstread.dicomweb.errors import CannotRenderError
from firstread.storage import Piece

FIRST_BYTES = 64 * 1024
_GROWTH = 8
_UNDEFINED = 0xFFFFFFFF
_PREAMBLE = 132


class Source(Protocol):
    """Where the bytes of objects are; `firstread.storage.Bucket` is one."""

    def piece(self, key: str, start: int, length: int) -> Piece:
        """Return some bytes of an object."""


@dataclass(frozen=True)
class Header:
    """An object without its pixel data, and where that lies.

    Parameters
    ----------
    dataset
        Everything before the pixel data.
    syntax
        How the bytes that `read` gives are encoded; a deflated object has become Explicit VR Little Endian.
    stored_syntax
        The transfer syntax that the object is stored in.
    pixels_tag
        Tag of the pixel data; 0 where there is none.
    pixels_at, pixels_length
        Offset and length of its value in bytes; the length is None where it is encapsulated.
    size
        Of all bytes.
    read
        Gives the bytes from an offset, up to a number of them.
    """

    dataset: Dataset = field(repr=False)
    syntax: UID
    stored_syntax: UID
    pixels_tag: int
    pixels_at: int
    pixels_length: int | None
    size: int
    read: Callable[[int, int], bytes] = field(repr=False)


def read_header(source: Source, key: str, first: int = FIRST_BYTES) -> Header:
    """Read the header of an object.

    Parameters
    ----------
    source, key
        Where it is.
    first
        How many bytes to ask for first; whoever wants the pixels too asks for more, and spares a request.

    Raises
    ------
    firstread.errors.NotFoundError
        If there is no such object.
    CannotRenderError
        If it cannot be read.
    """
    length = first
    while True:
        piece = source.piece(key, 0, length)
        try:
            with quiet():
                found = _parse(source, key, piece)
        except Exception:
            # What pydicom raises where bytes end too soon varies, and its texts quote them.
            found = None
        if found is not None:
            return found
        if len(piece.body) >= piece.size:
            raise CannotRenderError("unreadable")
        length *= _GROWTH


def _parse(source: Source, key: str, piece: Piece) -> Header | None:
    """Return the header, or None where it does not end within the piece."""
    whole = len(piece.body) >= piece.size
    file = BytesIO(piece.body)
    file.seek(_PREAMBLE)
    meta, start = read_meta(file)
    stored = transfer_syntax_of(meta)
    syntax, size = stored, piece.size
    body = piece.body

    def read(offset: int, length: int) -> bytes:
        if offset + length <= len(body):
            return body[offset : offset + length]
        return source.piece(key, offset, length).body

    if stored == DeflatedExplicitVRLittleEndian:
        if not whole:
            return None
        file.seek(start)
        with inflate(file, Limits()) as inflated:
            inflated.seek(0)
            body = inflated.read()
        file, syntax, size, start = BytesIO(body), ExplicitVRLittleEndian, len(body), 0
    reached = _Reached()
    file.seek(start)
    dataset = read_dataset(
        cast(BinaryIO, file), syntax.is_implicit_VR, syntax.is_little_endian, stop_when=reached
    )
    if not reached.tag and not whole:
        return None
    dataset.file_meta = meta
    dataset.set_original_encoding(
        syntax.is_implicit_VR, syntax.is_little_endian, dataset.original_character_set
    )
    at = file.tell() + (8 if syntax.is_implicit_VR else 12)
    if not reached.tag:
        return Header(dataset, syntax, stored, 0, size, 0, size, read)
    length = None if reached.length == _UNDEFINED else reached.length
    return Header(dataset, syntax, stored, reached.tag, at, length, size, read)


class _Reached:
    """Stops pydicom at the pixel data, and remembers what was there."""

    def __init__(self) -> None:
        self.tag = 0
        self.length = 0

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag in PIXELS:
            self.tag, self.length = int(tag), length
        return bool(self.tag)


def unsigned(data: bytes, code: str) -> tuple[int, ...]:
    """Return little endian unsigned numbers; `code` is that of `struct`."""
    width = struct.calcsize(f"<{code}")
    return struct.unpack(f"<{len(data) // width}{code}", data[: len(data) // width * width])
