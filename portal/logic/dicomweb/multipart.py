"""``multipart/related`` answers (RFC 2387, PS3.18 8.6.1.2), written part by part as the parts come."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import IO

_CHUNK = 1024 * 1024


class Multipart:
    """An answer of several parts.

    Parameters
    ----------
    media_type
        Of the parts; what Content-Type names as ``type``.
    """

    def __init__(self, media_type: str) -> None:
        # 128 random bits: no part contains them by chance, and no sender could put them there.
        self._boundary = secrets.token_hex(16)
        self.content_type = f'multipart/related; type="{media_type}"; boundary={self._boundary}'

    def encode(self, parts: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
        """Yield the body.

        Parameters
        ----------
        parts
            Content-Type and bytes of each.
        """
        separator = f"--{self._boundary}\r\n"
        for content_type, chunks in parts:
            yield f"{separator}Content-Type: {content_type}\r\n\r\n".encode()
            yield from chunks
            separator = f"\r\n--{self._boundary}\r\n"
        yield f"\r\n--{self._boundary}--\r\n".encode()


def chunks(opened: AbstractContextManager[IO[bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a file and close it."""
    with opened as file:
        while chunk := file.read(_CHUNK):
            yield chunk
