"""The metadata of series, made once from the headers of their instances and kept in S3.

A document is kept under a digest of the keys of its instances, and these keys name content; whatever changes an
instance or the series gives it another name, so no document that is found can be out of date.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from firstread.errors import NotFoundError
from firstread.storage import Bucket, metadata_key
from portal.logic.dicomweb.dicom_json import Json, to_json
from portal.logic.dicomweb.header import Header, read_header
from portal.logic.dicomweb.keeping import Kept
from portal.logic.dicomweb.objects import Held, Place
from portal.logic.dicomweb.windows import add_window, middle

ROOT = "/dicomweb"
_MADE = "1"
"""Raised whenever a document of the same instances would be another one."""
_PIXEL_VR = {"7FE00008": "OF", "7FE00009": "OD"}
_READERS = 8
_KEPT_BYTES = 64 * 1024 * 1024


class Documents:
    """Metadata of series as gzipped JSON.

    Parameters
    ----------
    buckets
        Where objects are.
    shelf
        Bucket that keeps the documents.
    """

    def __init__(self, buckets: Mapping[Place, Bucket], shelf: Bucket) -> None:
        self._buckets = buckets
        self._shelf = shelf
        self._kept: Kept[bytes] = Kept(_KEPT_BYTES, len)

    def series(self, members: Sequence[Held]) -> bytes:
        """Return the metadata of the instances of one series, a JSON array, gzipped.

        Raises
        ------
        CannotRenderError
            If an object cannot be read.
        """
        key = metadata_key(members[0].study_uid, name_of(members))
        found = self._kept.get(key)
        if found is None:
            found = self._load(key) or self._make(key, members)
            self._kept.put(key, found)
        return found

    def instance(self, members: Sequence[Held], held: Held) -> bytes:
        """Return the metadata of one instance of a series, a JSON array of one, gzipped.

        Where the metadata of the series is not made yet, no other header is read but the one that a window comes from:
        a viewer shows the first image long before a large series has been read.
        """
        key = metadata_key(held.study_uid, name_of(members))
        made = self._kept.get(key) or self._load(key)
        if made is not None:
            self._kept.put(key, made)
            every: list[Json] = json.loads(gzip.decompress(made))
            found = [each for each in every if each["00080018"]["Value"] == [held.sop_uid]]
        else:
            found = [_document(held, self._header(held))]
            add_window(found, lambda: self._header(middle(members)))
        return _zipped(found)

    def datasets(self, members: Sequence[Held]) -> list[Json]:
        """Return the metadata of the instances of one series as values."""
        found: list[Json] = json.loads(gzip.decompress(self.series(members)))
        return found

    def _load(self, key: str) -> bytes | None:
        try:
            return self._shelf.get(key)
        except NotFoundError:
            return None

    def _make(self, key: str, members: Sequence[Held]) -> bytes:
        with ThreadPoolExecutor(_READERS) as readers:
            headers = list(readers.map(self._header, members))
        datasets = [_document(held, header) for held, header in zip(members, headers, strict=True)]
        add_window(datasets, lambda: middle(headers))
        made = _zipped(datasets)
        try:
            self._shelf.put(key, made, "application/gzip")
        except ClientError:
            pass  # it can be made again; whoever reads must not wait for the shelf to be mended
        return made

    def _header(self, held: Held) -> Header:
        return read_header(self._buckets[held.place], held.key)


def name_of(members: Sequence[Held]) -> str:
    """Return what the document of some instances is kept under."""
    said = "\n".join([_MADE, *sorted(each.key for each in members)])
    return hashlib.sha256(said.encode()).hexdigest()


def compressed(text: bytes) -> bytes:
    """Return gzipped text; the same text gives the same bytes."""
    return gzip.compress(text, compresslevel=6, mtime=0)


def _zipped(datasets: Sequence[Json]) -> bytes:
    return compressed(json.dumps(datasets, separators=(",", ":"), allow_nan=False).encode())


def instance_path(held: Held) -> str:
    """Return the path of an instance below the root of DICOMweb."""
    return f"{ROOT}/studies/{held.study_uid}/series/{held.series_uid}/instances/{held.sop_uid}"


def _document(held: Held, header: Header) -> Json:
    root = instance_path(held)
    dataset = to_json(header.dataset, lambda path: f"{root}/bulkdata/{path}")
    if header.pixels_tag:
        # Without scheme and host (RFC 3986 4.2): what is kept must be right behind every proxy.
        tag = f"{header.pixels_tag:08X}"
        dataset[tag] = {"vr": _PIXEL_VR.get(tag, "OW"), "BulkDataURI": f"{root}/bulkdata/{tag}"}
    dataset["00083002"] = {"vr": "UI", "Value": [str(header.stored_syntax)]}  # Available Transfer Syntax UID
    return dict(sorted(dataset.items()))
