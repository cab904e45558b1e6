"""Content codings of request bodies (RFC 9110 8.4): gzip under limits, or none."""

import zlib
from collections.abc import Iterator

from ingest_service.errors import MalformedError, TooLargeError, UnsupportedError

_BLOCK = 1024 * 1024
_GZIP = zlib.MAX_WBITS + 16


class Plain:
    """A body without coding."""

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what a block holds."""
        yield block

    def finish(self) -> None:
        """Judge the end of the body."""


class Gzip:
    """A body in gzip (RFC 1952), one or several members.

    Parameters
    ----------
    ratio
        How far it may inflate, judged above a mebibyte.
    """

    def __init__(self, ratio: int) -> None:
        self._ratio = ratio
        self._inflater = zlib.decompressobj(_GZIP)
        self._received = self._inflated = 0
        self._begun = False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what a block inflates to, a mebibyte at a time.

        Raises
        ------
        MalformedError
            If it is no gzip.
        TooLargeError
            If it inflates too far.
        """
        self._received += len(block)
        more = True
        while block or more:
            if self._inflater.eof:
                if not block:
                    return
                self._inflater = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                inflated = self._inflater.decompress(block, _BLOCK)
            except zlib.error:
                raise MalformedError("the body is not in gzip") from None
            more = len(inflated) == _BLOCK  # output may wait when all input is taken
            block = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            self._inflated += len(inflated)
            if self._inflated > _BLOCK and self._inflated > self._ratio * self._received:
                raise TooLargeError("the body inflates too far")
            yield inflated

    def finish(self) -> None:
        """Judge the end of the body.

        Raises
        ------
        MalformedError
            If it ends within a member.
        """
        if not self._begun or not self._inflater.eof:
            raise MalformedError("the body ends too early")


def decoder_of(content_encoding: str, ratio: int) -> Plain | Gzip:
    """Return what decodes a body.

    Raises
    ------
    UnsupportedError
        If it is coded otherwise.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return Plain()
    if coding in ("gzip", "x-gzip"):
        return Gzip(ratio)
    raise UnsupportedError("content codings are gzip and identity")
