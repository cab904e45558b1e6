"""The objects of a STOW-RS body, taken out of the stream as it comes.

Each is spooled to disk while its digest is computed, so that memory does not grow with objects or requests.
"""

import hashlib
import logging
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Protocol

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingest_service.errors import MalformedError, TooLargeError, UnsupportedError

DICOM = "application/dicom"
_IN_MEMORY = 1024 * 1024
# It says what it did not like, and quotes it.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Part:
    """One object as it came.

    Parameters
    ----------
    number
        Counts from 1 within the request.
    media_type
        In lower case, without parameters; "" where the sender named none.
    content
        Its bytes, from the beginning; whoever takes the part closes it.
    size, sha256
        Of the bytes; the digest in hexadecimal.
    """

    number: int
    media_type: str
    content: IO[bytes]
    size: int
    sha256: str


class Reader(Protocol):
    """Takes objects out of a stream."""

    def write(self, block: bytes) -> None:
        """Read on."""

    def finish(self) -> None:
        """End the stream."""

    def take(self) -> list[Part]:
        """Return the objects that have ended and were not returned before."""

    def close(self) -> None:
        """Let go of what was not returned."""


class _Open:
    """An object that is coming in."""

    def __init__(self, number: int, media_type: str = "") -> None:
        self.number, self.media_type = number, media_type
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: memoryview | bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._file.write(data)

    def end(self) -> Part:
        self._file.seek(0)
        return Part(self.number, self.media_type, self._file, self.size, self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()


class SingleReader:
    """A body that is one object (PS3.18 10.5.1)."""

    def __init__(self) -> None:
        self._open: _Open | None = _Open(1, DICOM)
        self._ended = False

    def write(self, block: bytes) -> None:
        """Read on."""
        if self._open is not None:
            self._open.write(block)

    def finish(self) -> None:
        """End the object.

        Raises
        ------
        MalformedError
            If the body is empty.
        """
        if self._open is None or not self._open.size:
            raise MalformedError("the body is empty")
        self._ended = True

    def take(self) -> list[Part]:
        """Return the object, once it has ended."""
        if self._open is None or not self._ended:
            return []
        part, self._open = self._open.end(), None
        return [part]

    def close(self) -> None:
        """Let go of the object, if nobody has taken it."""
        if self._open is not None:
            self._open.close()


class MultipartReader:
    """A body of type multipart/related (RFC 2387).

    Parameters
    ----------
    boundary
        As the header names it.
    most
        Number of parts it may have.

    Raises
    ------
    MalformedError
        If there can be no such boundary.
    """

    def __init__(self, boundary: bytes, most: int) -> None:
        if (
            not 1 <= len(boundary) <= 70 or boundary.endswith(b" ") or not boundary.isascii()
        ):  # RFC 2046 5.1.1
            raise MalformedError("the boundary is missing, or is none")
        self._most, self._count = most, 0
        self._ended: list[Part] = []
        self._open: _Open | None = None
        self._name, self._value = b"", b""
        self._is_over = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._over,
                },
            )
        except FormParserError:
            raise MalformedError("the boundary is missing, or is none") from None

    def write(self, block: bytes) -> None:
        """Read on.

        Raises
        ------
        MalformedError
            If it does not go on as a multipart body does.
        TooLargeError
            If it has too many parts.
        """
        try:
            self._parser.write(block)
        except MultipartParseError:
            raise MalformedError("the body is not multipart, or its boundary is another one") from None

    def finish(self) -> None:
        """End the stream; every part has ended before.

        Raises
        ------
        MalformedError
            If the last boundary has not come, or there was no part.
        """
        if not self._is_over:
            raise MalformedError("the body ends too early")
        if not self._count:
            raise MalformedError("the body has no parts")

    def take(self) -> list[Part]:
        """Return the parts that have ended and were not returned before."""
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Let go of what was not returned."""
        for part in self.take():
            part.content.close()
        if self._open is not None:
            self._open.close()

    def _begin(self) -> None:
        self._count += 1
        if self._count > self._most:
            raise TooLargeError("the body has too many parts")
        self._open = _Open(self._count)
        self._name, self._value = b"", b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._open is not None and self._name.strip().lower() == b"content-type":
            self._open.media_type = media_type(self._value.decode("latin-1"))[0]
        self._name, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(memoryview(data)[start:end])

    def _end(self) -> None:
        if self._open is not None:
            self._ended.append(self._open.end())
            self._open = None

    def _over(self) -> None:
        self._is_over = True


def media_type(header: str) -> tuple[str, dict[str, bytes]]:
    """Return the media type of a header in lower case, and its parameters."""
    try:
        name, parameters = parse_options_header(header)
    except (ValueError, IndexError, LookupError):  # encodings and continuations that make no sense
        return "", {}
    text = name.decode("latin-1").strip().lower()
    return text, {key.decode("latin-1").lower(): value for key, value in parameters.items()}


def reader_of(content_type: str, most: int) -> Reader:
    """Return what reads a body of a Content-Type.

    Raises
    ------
    UnsupportedError
        If it is neither DICOM objects nor one of them; metadata with bulk data (PS3.18 10.5.1.1) among others.
    MalformedError
        If the boundary makes no sense.
    """
    kind, parameters = media_type(content_type)
    if kind == DICOM:
        return SingleReader()
    wanted = parameters.get("type", DICOM.encode()).decode("latin-1").strip().lower()
    if kind != "multipart/related" or wanted != DICOM:
        raise UnsupportedError('take multipart/related; type="application/dicom", or application/dicom')
    return MultipartReader(parameters.get("boundary", b""), most)
