"""Items of NumPy arrays: whole volumes, and patches of them."""

import pickle
from collections.abc import Mapping, Sequence
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread import __version__
from firstread.imaging.learn.cache import Cache, Entry
from firstread.imaging.learn.errors import LearnError, LearnReason
from firstread.imaging.learn.masks import Maker, drawn
from firstread.imaging.learn.samples import Sample
from firstread.imaging.prepare.base import References, digest_of
from firstread.imaging.prepare.pipeline import Pipeline, Prepared
from firstread.imaging.series import load

Arrays = dict[str, Any]
Size = tuple[int, int, int]
_FORMAT = 2
"""Of cache entries; another one makes them anew."""


class Volumes:
    """Samples as arrays, one item for each.

    Parameters
    ----------
    samples
        All with a label, or none.
    cache
        Folder for prepared volumes; several data sets and processes may share it.
    pipeline
        What is done to each volume with its masks; None for nothing. Masks that it makes are masks of the item.
    regions
        Mask -> regular expression of segment labels and ROI names, see `firstread.imaging.masks.mask.chosen`.
    masks
        A function that makes masks of a loaded volume, before the pipeline; it must be picklable.
    masks_version
        Of what `masks` does: cached masks are made anew when it changes, as code itself is not looked at.
    absent_is_empty
        Whether a region that nothing draws on a series is an empty mask; else the item is refused.
    references
        Volumes that the pipeline names.
    by_content
        Whether the cache knows files by SHA-256 instead of path, size and time of change.

    Raises
    ------
    LearnError
        ``no_label`` if some samples have one and others do not; ``not_picklable`` for a lambda.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        cache: str | PathLike[str],
        *,
        pipeline: Pipeline | None = None,
        regions: Mapping[str, str] | None = None,
        masks: Maker | None = None,
        masks_version: str = "",
        absent_is_empty: bool = False,
        references: References | None = None,
        by_content: bool = False,
    ) -> None:
        self.samples = tuple(samples)
        if len({each.label is None for each in self.samples}) > 1:
            raise LearnError(LearnReason.NO_LABEL)
        self._cache = Cache(Path(cache))
        self._pipeline = pipeline or Pipeline(steps=())
        self._regions, self._maker = dict(regions or {}), masks
        self._absent_is_empty, self._references = absent_is_empty, dict(references or {})
        self._by_content = by_content
        self._said = {
            "format": _FORMAT,
            "firstread": __version__,
            "pipeline": self._pipeline.to_yaml(),
            "regions": self._regions,
            "absent_is_empty": absent_is_empty,
            "masks": [_pickled(masks), masks_version],
            "references": {name: digest_of(volume) for name, volume in self._references.items()},
        }
        self._digests: dict[int, str] = {}

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.samples)

    def entry(self, number: int) -> Entry:
        """Return the cached volume of a sample, by its number; made where it is not there.

        Raises
        ------
        VolumeError, PixelError, MaskError, PrepareError, LearnError
            If the sample makes no item.
        """
        if number not in self._digests:
            files = (self.samples[number].paths, self.samples[number].regions)
            known = [[_known(path, by_content=self._by_content) for path in paths] for paths in files]
            self._digests[number] = self._cache.digest({**self._said, "files": known})
        return self._cache.entry(self._digests[number], lambda: self._prepared(self.samples[number]))

    def arrays(self, index: int) -> Arrays:
        """Return an item.

        Parameters
        ----------
        index
            From 0; negative ones count from the end.

        Returns
        -------
        dict
            ``image``, float32, channels (times, colours) x slices x rows x columns; ``masks``, uint8, a channel for
            each name of `mask_names`, where there are any; ``affine``, float64, 4 x 4, (slice, row, column, 1) to LPS
            millimetres; ``series_uid``, a digest; ``label`` where there is one.

        Raises
        ------
        IndexError
            If there is none.
        VolumeError, PixelError, MaskError, PrepareError, LearnError
            If the sample makes no item.
        """
        number = self._place(index)
        shape = self.entry(number).shape
        return self._item(number, (0, 0, 0), shape, 0.0)

    def mask_names(self, index: int = 0) -> tuple[str, ...]:
        """Return the names of the channels of ``masks``, in their order."""
        return self.entry(self._place(index) // (len(self) // len(self.samples))).masks

    def _place(self, index: int) -> int:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return place

    def _prepared(self, sample: Sample) -> Prepared:
        volume = load(sample.paths)
        if volume.is_colour and volume.is_in_time:
            raise LearnError(LearnReason.COLOUR_IN_TIME)
        masks = (
            drawn(volume, sample.regions, self._regions, absent_is_empty=self._absent_is_empty)
            if self._regions
            else {}
        )
        masks |= self._maker(volume) if self._maker else {}
        return self._pipeline.run(volume, masks, self._references)

    def _item(self, number: int, start: Sequence[int], size: Size, fill: float) -> Arrays:
        entry = self.entry(number)
        box, place = _inside(start, size, entry.shape)
        affine = np.array(entry.affine).reshape(4, 4)
        affine[:3, 3] += affine[:3, :3] @ np.array(start, np.float64)
        item: Arrays = {
            "image": _pasted(entry.image(box).astype(np.float32), place, size, fill),
            "affine": affine,
            "series_uid": self._cache.pseudonym(self.samples[number].series_uid),
        }
        if entry.masks:
            item["masks"] = _pasted(entry.regions(box), place, size, 0)
        if self.samples[number].label is not None:
            item["label"] = self.samples[number].label
        return item


class Patches(Volumes):
    """Patches of volumes: the same for the same seed, epoch and index, in whatever process.

    Parameters
    ----------
    samples, cache, settings
        As for `Volumes`.
    size
        Slices, rows and columns of a patch. What lies outside a volume is `fill`, and no mask.
    per_volume
        Patches of each volume in an epoch; items of one volume follow one another.
    around
        Mask about whose voxels patches are centred; None: all are uniform.
    share
        Of the patches that are; where the mask is empty they are uniform too.
    fill
        Value outside the volume.
    seed
        Another one gives other patches.

    Raises
    ------
    LearnError
        As `Volumes`; ``patch_not_understood`` if a size, number or share is none.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        cache: str | PathLike[str],
        size: Size,
        *,
        per_volume: int = 1,
        around: str | None = None,
        share: float = 0.5,
        fill: float = 0.0,
        seed: int = 0,
        **settings: Any,  # noqa: ANN401 - those of Volumes
    ) -> None:
        super().__init__(samples, cache, **settings)
        if min(size) < 1 or per_volume < 1 or not 0 <= share <= 1 or seed < 0:
            raise LearnError(LearnReason.BAD_PATCH)
        self._size, self._per_volume, self._fill = size, per_volume, fill
        self._around, self._share, self._seed = around, share, seed
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Return the epoch, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch: each has other patches."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return how many items an epoch has."""
        return len(self.samples) * self._per_volume

    def arrays(self, index: int) -> Arrays:
        """Return a patch, as `Volumes.arrays` does a volume; its affine is that of its own first voxel."""
        place = self._place(index)
        number = place // self._per_volume
        entry = self.entry(number)
        start = self._start(entry, np.random.default_rng([self._seed, self.epoch, place]))
        return self._item(number, start, self._size, self._fill)

    def _start(self, entry: Entry, random: np.random.Generator) -> list[int]:
        if self._around is not None and self._around not in entry.masks:
            raise LearnError(LearnReason.NO_REGION)
        room = [have - want for have, want in zip(entry.shape, self._size, strict=True)]
        uniform = [int(random.integers(each + 1)) if each > 0 else each // 2 for each in room]
        if self._around is None or random.random() >= self._share:
            return uniform
        points = entry.points(self._around)
        if not len(points):
            return uniform
        middle = points[random.integers(len(points))]
        centred = (int(at) - want // 2 for at, want in zip(middle, self._size, strict=True))
        return [
            min(max(at, 0), each) if each > 0 else each // 2 for at, each in zip(centred, room, strict=True)
        ]


def _pickled(maker: Maker | None) -> str:
    try:
        return sha256(pickle.dumps(maker)).hexdigest()
    except (AttributeError, pickle.PicklingError, TypeError):
        raise LearnError(LearnReason.NOT_PICKLABLE) from None


def _known(path: Path, *, by_content: bool) -> list[object]:
    try:
        if by_content:
            with path.open("rb") as file:
                made = sha256()
                while block := file.read(1 << 20):
                    made.update(block)
            return [made.hexdigest()]
        found = path.stat()
        return [str(path.absolute()), found.st_size, found.st_mtime_ns]
    except OSError:
        raise LearnError(LearnReason.MISSING_FILE) from None  # its text has the path


def _inside(
    start: Sequence[int], size: Size, shape: Size
) -> tuple[tuple[slice, slice, slice], tuple[slice, ...]]:
    """Return the part of a box that lies in a volume, and where it lies in the box."""
    low = [max(at, 0) for at in start]
    high = [min(at + want, have) for at, want, have in zip(start, size, shape, strict=True)]
    planes, rows, columns = (slice(one, other) for one, other in zip(low, high, strict=True))
    place = tuple(slice(one - at, other - at) for one, other, at in zip(low, high, start, strict=True))
    return (planes, rows, columns), place


def _pasted(values: npt.NDArray[Any], place: tuple[slice, ...], size: Size, fill: float) -> npt.NDArray[Any]:
    if values.shape[1:] == tuple(size):
        return values
    made = np.full((len(values), *size), fill, values.dtype)
    made[(slice(None), *place)] = values
    return made
