"""Frames of stored objects by ranges of S3, with their layouts kept in memory."""

from collections.abc import Mapping, Sequence

from firstread.dicomweb.frames import ObjectFrames
from firstread.dicomweb.header import Source, read_header
from firstread.dicomweb.held import Held, Place
from firstread.dicomweb.layout import Layout, layout_of
from portal.errors import MissingError
from portal.logic.dicomweb.keeping import Kept

_FIRST = 1024 * 1024
_LAYOUTS = 20_000


class Frames:
    """Frames by ranges of S3.

    Parameters
    ----------
    buckets
        Where objects are.
    """

    def __init__(self, buckets: Mapping[Place, Source]) -> None:
        self._buckets = buckets
        # A span is two numbers: what is kept of a long cine is small.
        self._layouts: Kept[Layout] = Kept(_LAYOUTS, lambda layout: 1 + len(layout.spans) // 10)

    def of(self, held: Held, numbers: Sequence[int]) -> ObjectFrames:
        """Return the frames of an object that has those asked for; 1 is the first.

        Raises
        ------
        MissingError
            If one of them is not there.
        CannotRenderError
            If it has none that can be told apart.
        """
        found = self._of(held)
        if not found.has(numbers):
            raise MissingError("no such frame")
        return found

    def _of(self, held: Held) -> ObjectFrames:
        bucket = self._buckets[held.place]
        layout = self._layouts.get(held.key)
        if layout is not None:
            return ObjectFrames(layout, lambda start, length: bucket.piece(held.key, start, length).body)
        # Most images are smaller than this: header and pixels come with one request.
        header = read_header(bucket, held.key, _FIRST)
        layout = layout_of(header)
        if header.syntax == header.stored_syntax:  # offsets in a deflated object mean nothing in S3
            self._layouts.put(held.key, layout)
        return ObjectFrames(layout, header.read)
