"""Files of the user, and objects made of them in memory, where the portal else has buckets."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from firstread.errors import NotFoundError
from firstread.storage import Piece

Make = Callable[[], bytes]
"""Makes an object when it is asked for."""


class Files:
    """Files by key; read-only.

    Parameters
    ----------
    paths
        Key -> file, or what makes it.
    """

    def __init__(self, paths: Mapping[str, Path | Make]) -> None:
        self._paths = paths

    @contextmanager
    def open(self, key: str) -> Iterator[IO[bytes]]:
        """Give a file.

        Raises
        ------
        NotFoundError
            If it is not there, or not any more.
        """
        found = self._paths.get(key)
        if callable(found):
            yield BytesIO(found())
            return
        if found is None:
            raise NotFoundError("no such file")
        try:
            file = found.open("rb")
        except OSError:
            raise NotFoundError("no such file") from None
        with file:
            yield file

    def piece(self, key: str, start: int, length: int) -> Piece:
        """Return some bytes of a file.

        Raises
        ------
        NotFoundError
            As `open`.
        """
        with self.open(key) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(start)
            return Piece(file.read(length), size)


class Made:
    """Objects that were made and are kept nowhere else."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> None:
        """Keep an object."""
        self._objects[key] = body

    @contextmanager
    def open(self, key: str) -> Iterator[IO[bytes]]:
        """Give an object as a file."""
        yield BytesIO(self._body(key))

    def piece(self, key: str, start: int, length: int) -> Piece:
        """Return some bytes of an object."""
        body = self._body(key)
        return Piece(body[start : start + length], len(body))

    def _body(self, key: str) -> bytes:
        try:
            return self._objects[key]
        except KeyError:
            raise NotFoundError("no such object") from None


class NoShelf:
    """Where the portal keeps the metadata of series in S3: here nothing is written, and memory keeps some."""

    def get(self, key: str) -> bytes:
        """Find nothing.

        Raises
        ------
        NotFoundError
            Always.
        """
        del key
        raise NotFoundError("nothing is kept")

    def put(self, key: str, body: bytes, content_type: str) -> str:
        """Keep nothing."""
        del key, body, content_type
        return ""
