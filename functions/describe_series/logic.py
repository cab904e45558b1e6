"""A study version was closed -> the metadata of its series, where DICOMweb looks for it."""

from dataclasses import dataclass

from firstread.dicomweb.documents import MEDIA_TYPE, Maker, key_of
from firstread.dicomweb.errors import CannotRenderError
from firstread.dicomweb.held import by_series, images_of
from firstread.messages import DescribeSeriesRequest
from firstread.records.instances import InstanceRepository
from firstread.storage import Bucket


@dataclass(frozen=True)
class Described:
    """What a look at a study found.

    Parameters
    ----------
    made, kept
        Series whose metadata was made now, and was there already.
    unreadable
        Series with an object that cannot be read: whoever asks for their metadata is told the same.
    """

    made: int = 0
    kept: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class DescribeSeries:
    """The step `describe_series`.

    Parameters
    ----------
    instances
        The records of instances.
    maker
        Makes the metadata of a series.
    shelf
        Bucket that keeps it.
    """

    instances: InstanceRepository
    maker: Maker
    shelf: Bucket

    def version(self, request: DescribeSeriesRequest) -> Described:
        """Make the metadata of each series of a study that has none yet.

        The study is described as it is now, as a reader would find it: what has arrived or was withdrawn since is asked
        for by the next version, which finds this work done. Two at once write the same bytes under the same key, and
        what one that died has made is found by the next.
        """
        made = kept = unreadable = 0
        for members in by_series(images_of(self.instances.of_study(request.study_uid))).values():
            key = key_of(members)
            if self.shelf.has(key):
                kept += 1
                continue
            try:
                document = self.maker.series(members)
            except CannotRenderError:
                unreadable += 1  # trying again would not mend it, and the other series are waiting
                continue
            self.shelf.put(key, document, MEDIA_TYPE)
            made += 1
        return Described(made, kept, unreadable)
