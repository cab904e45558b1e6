"""The metadata of series, made from the headers of their instances.

A document is kept under a digest of the keys of its instances, and these keys name content; whatever changes an
instance or the series gives it another name, so no document that is found can be out of date.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from firstread.dicomweb.dicom_json import Json, to_json
from firstread.dicomweb.header import Header, Source, read_header
from firstread.dicomweb.held import Held, Place
from firstread.dicomweb.windows import add_window, middle
from firstread.storage import metadata_key

ROOT = "/dicomweb"
MEDIA_TYPE = "application/gzip"
"""Of a document in its bucket."""
_MADE = "1"
"""Raised whenever a document of the same instances would be another one."""
_PIXEL_VR = {"7FE00008": "OF", "7FE00009": "OD"}
_READERS = 8


class Maker:
    """Makes the metadata of series as gzipped JSON; the same objects give the same bytes.

    Parameters
    ----------
    buckets
        Where objects are.
    """

    def __init__(self, buckets: Mapping[Place, Source]) -> None:
        self._buckets = buckets

    def series(self, members: Sequence[Held]) -> bytes:
        """Return the metadata of the instances of one series, a JSON array, gzipped.

        Raises
        ------
        CannotRenderError
            If an object cannot be read.
        firstread.errors.NotFoundError
            If one is not there.
        """
        with ThreadPoolExecutor(_READERS) as readers:
            datasets = list(readers.map(self._dataset, members))
        return self._finished(datasets, members)

    def instance(self, members: Sequence[Held], held: Held) -> bytes:
        """Return the metadata of one instance of a series, a JSON array of one, gzipped; errors as for `series`.

        No other header is read but the one that a window comes from.
        """
        return self._finished([self._dataset(held)], members)

    def _finished(self, datasets: list[Json], members: Sequence[Held]) -> bytes:
        add_window(datasets, lambda: self._header(middle(members)))
        return zipped(datasets)

    def _dataset(self, held: Held) -> Json:
        return _document(held, self._header(held))

    def _header(self, held: Held) -> Header:
        return read_header(self._buckets[held.place], held.key)


def key_of(members: Sequence[Held]) -> str:
    """Return what the document of the instances of a series is kept under, in the results bucket."""
    said = "\n".join([_MADE, *sorted(each.key for each in members)])
    return metadata_key(members[0].study_uid, hashlib.sha256(said.encode()).hexdigest())


def compressed(text: bytes) -> bytes:
    """Return gzipped text; the same text gives the same bytes."""
    return gzip.compress(text, compresslevel=6, mtime=0)


def zipped(datasets: Sequence[Json]) -> bytes:
    """Return datasets as a JSON array, gzipped."""
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
    # What it is asked for by, it has: a file of a folder may lack its UIDs.
    for tag, uid in (("0020000D", held.study_uid), ("0020000E", held.series_uid), ("00080018", held.sop_uid)):
        dataset[tag] = {"vr": "UI", "Value": [uid]}
    dataset["00083002"] = {"vr": "UI", "Value": [str(header.stored_syntax)]}  # Available Transfer Syntax UID
    return dict(sorted(dataset.items()))
