"""Spans of files: read in pieces, or copied without passing through Python where the system can."""

import os
from collections.abc import Iterator
from io import BufferedReader, BufferedWriter, FileIO
from typing import IO

from firstread.errors import QuarantineError, Reason

_CHUNK = 1024 * 1024


def chunks(source: IO[bytes], start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes of a span of a seekable file.

    Raises
    ------
    QuarantineError
        With `Reason.TRUNCATED` if the file ends before the span does.
    """
    source.seek(start)
    left = stop - start
    while left > 0:
        chunk = source.read(min(_CHUNK, left))
        if not chunk:
            raise QuarantineError(Reason.TRUNCATED)
        left -= len(chunk)
        yield chunk


def copy_span(source: IO[bytes], start: int, stop: int, target: IO[bytes]) -> None:
    """Append a span of a file to another one; in constant memory.

    Raises
    ------
    QuarantineError
        With `Reason.TRUNCATED` if the file ends before the span does.
    """
    done = _sent(source, start, stop, target)
    for chunk in chunks(source, start + done, stop):
        target.write(chunk)


def _sent(source: IO[bytes], start: int, stop: int, target: IO[bytes]) -> int:
    """Return how many bytes the system has copied between two plain files; 0 where it cannot."""
    # Asking other objects for a descriptor may have effects: a spooled file would move to the disk.
    # What decompresses or cuts out a part has the descriptor of the file below, whose bytes are others.
    if not (isinstance(target, BufferedWriter) and isinstance(source, BufferedReader)):
        return 0
    if not (hasattr(os, "sendfile") and isinstance(source.raw, FileIO)):
        return 0
    done = 0
    try:
        target.flush()
        while start + done < stop:
            count = os.sendfile(target.fileno(), source.fileno(), start + done, stop - start - done)
            if count == 0:
                break  # the file is shorter than the span: whoever reads the rest says so
            done += count
    except OSError as error:
        if done or isinstance(error, (BlockingIOError, InterruptedError)):
            raise
        return 0  # no descriptor, or a file system that cannot: the long way
    target.seek(0, os.SEEK_END)  # its own idea of where it is was passed by
    return done
