"""The metadata of series as DICOMweb serves it: as it was made when a version was closed, else made now."""

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from botocore.exceptions import ClientError

from firstread.dicomweb.dicom_json import Json
from firstread.dicomweb.documents import MEDIA_TYPE, Maker, key_of, zipped
from firstread.dicomweb.header import Source
from firstread.dicomweb.held import Held, Place
from firstread.errors import NotFoundError
from portal.logic.dicomweb.keeping import Kept

_KEPT_BYTES = 64 * 1024 * 1024


class Shelf(Protocol):
    """Keeps documents by key; `firstread.storage.Bucket` is one."""

    def get(self, key: str) -> bytes:
        """Return a document; `NotFoundError` where it is not kept."""

    def put(self, key: str, body: bytes, content_type: str) -> str:
        """Keep a document."""


class Documents:
    """Metadata of series as gzipped JSON, the last ones used in memory.

    Parameters
    ----------
    buckets
        Where objects are.
    shelf
        Bucket that keeps the documents.
    """

    def __init__(self, buckets: Mapping[Place, Source], shelf: Shelf) -> None:
        self._maker = Maker(buckets)
        self._shelf = shelf
        self._kept: Kept[bytes] = Kept(_KEPT_BYTES, len)

    def series(self, members: Sequence[Held]) -> bytes:
        """Return the metadata of the instances of one series, a JSON array, gzipped.

        Raises
        ------
        CannotRenderError
            If an object cannot be read.
        """
        key = key_of(members)
        return self._found(key) or self._made(key, members)

    def instance(self, members: Sequence[Held], held: Held) -> bytes:
        """Return the metadata of one instance of a series, a JSON array of one, gzipped.

        Where the metadata of the series is not made yet, no other header is read but the one that a window comes from:
        a viewer shows the first image long before a large series has been read.
        """
        made = self._found(key_of(members))
        if made is None:
            return self._maker.instance(members, held)
        every: list[Json] = json.loads(gzip.decompress(made))
        return zipped([each for each in every if each["00080018"]["Value"] == [held.sop_uid]])

    def dataset(self, members: Sequence[Held], held: Held) -> Json:
        """Return the metadata of one instance of a series as values."""
        (found,) = json.loads(gzip.decompress(self.instance(members, held)))
        return dict(found)

    def datasets(self, members: Sequence[Held]) -> list[Json]:
        """Return the metadata of the instances of one series as values."""
        found: list[Json] = json.loads(gzip.decompress(self.series(members)))
        return found

    def _found(self, key: str) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            try:
                found = self._shelf.get(key)
            except NotFoundError:
                return None
            self._kept.put(key, found)
        return found

    def _made(self, key: str, members: Sequence[Held]) -> bytes:
        made = self._maker.series(members)
        self._kept.put(key, made)
        try:
            self._shelf.put(key, made, MEDIA_TYPE)
        except ClientError:
            pass  # it can be made again; whoever reads must not wait for the shelf to be mended
        return made
