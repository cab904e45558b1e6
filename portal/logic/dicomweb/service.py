"""The parts of DICOMweb, made once per process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

from firstread.dicomweb.held import Held, Place
from firstread.environment import ReferenceSettings
from firstread.refs import References, open_references
from firstread.storage import Bucket
from portal.logic.dicomweb.documents import Documents
from portal.logic.dicomweb.frames import Frames
from portal.logic.dicomweb.objects import ObjectLists
from portal.logic.dicomweb.search import Search
from portal.logic.pictures import Pictures
from portal.logic.records import Records
from portal.logic.review.overlay import OverlayPolicy


@dataclass(frozen=True)
class DicomWeb:
    """What the routes below ``/dicomweb`` work with."""

    buckets: Mapping[Place, Bucket]
    pictures: Mapping[Place, Pictures]
    documents: Documents
    frames: Frames
    search: Search
    objects: ObjectLists

    @classmethod
    def make(
        cls,
        records: Records,
        studies: Bucket,
        results: Bucket,
        pictures: Pictures,
        settings: ReferenceSettings,
        policy: OverlayPolicy,
    ) -> "DicomWeb":
        """Put the parts together.

        Parameters
        ----------
        records
            The repositories.
        studies, results
            The buckets; the second also keeps the metadata of series.
        pictures
            Renders what is in the first bucket.
        settings
            The key of references, asked for when the first accession number is.
        policy
            When readers see what models say.
        """
        buckets = {Place.STUDIES: studies, Place.RESULTS: results}
        documents = Documents(buckets, results)
        objects = ObjectLists(records, policy, documents)

        @lru_cache(maxsize=1)
        def references() -> References:
            return open_references(settings)

        return cls(
            buckets=buckets,
            pictures={Place.STUDIES: pictures, Place.RESULTS: Pictures(results)},
            documents=documents,
            frames=Frames(buckets),
            search=Search(records, documents, references, objects),
            objects=objects,
        )

    @contextmanager
    def opened(self, held: Held) -> Iterator[IO[bytes]]:
        """Give the bytes of an object as they come from S3."""
        with self.buckets[held.place].stored(held.key) as stored:
            yield stored.body
