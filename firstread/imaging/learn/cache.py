"""Prepared volumes on disk, in chunks: made once, by whichever process comes first."""

import fcntl
import hmac
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.convert.names import Pseudonyms, key_of
from firstread.imaging.learn.chunks import Chunks
from firstread.imaging.prepare.pipeline import Prepared

_MOST_POINTS = 65_536
_OPEN = 64


@dataclass(frozen=True)
class Entry:
    """A prepared volume with its masks, on disk.

    Parameters
    ----------
    folder
        Where it lies.
    shape
        Slices, rows, columns.
    affine
        16 numbers, row by row: (slice, row, column, 1) to LPS millimetres.
    masks
        Their names, sorted.
    is_in_time, is_colour
        What the axis before, or after, those of `shape` is.
    """

    folder: Path
    shape: tuple[int, int, int]
    affine: tuple[float, ...]
    masks: tuple[str, ...]
    is_in_time: bool
    is_colour: bool

    def image(self, box: tuple[slice, slice, slice]) -> npt.NDArray[Any]:
        """Return a box of the values, channels first; only the chunks that it touches are read."""
        array = _opened(self.folder / "image.zarr")
        if self.is_colour:
            return np.moveaxis(array.read((*box, slice(0, array.shape[-1]))), -1, 0)
        if self.is_in_time:
            return array.read((slice(0, array.shape[0]), *box))
        return array.read(box)[None]

    def regions(self, box: tuple[slice, slice, slice]) -> npt.NDArray[np.uint8]:
        """Return a box of the masks, one channel for each; only the chunks that it touches are read."""
        arrays = (_opened(self.folder / f"mask-{number}.zarr") for number in range(len(self.masks)))
        return np.stack([each.read(box) for each in arrays])

    def points(self, mask: str) -> npt.NDArray[np.int32]:
        """Return voxels of a mask, at most 65,536 drawn from it: n x 3."""
        found: npt.NDArray[np.int32] = np.load(
            self.folder / f"points-{self.masks.index(mask)}.npy", mmap_mode="r"
        )
        return found


@lru_cache(_OPEN)
def _opened(folder: Path) -> Chunks:
    return Chunks(folder)


class Cache:
    """A folder of prepared volumes.

    Names in it are digests with a key of its own, so that they tell nobody whose series is there; the voxels do, as
    those of the series did.

    Parameters
    ----------
    folder
        Made where it is missing.

    Raises
    ------
    ConvertError
        If what lies there as the key is none.
    OSError
        If it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder / "key.lock"):
            self._key = key_of(self.folder / "key")

    def pseudonym(self, series_uid: str) -> str:
        """Return the digest of a series in this cache."""
        return Pseudonyms(self._key).of("series", series_uid)

    def digest(self, said: object) -> str:
        """Return the name of what is made of what JSON says."""
        return hmac.new(self._key, json.dumps(said, sort_keys=True).encode(), sha256).hexdigest()[:32]

    def entry(self, digest: str, make: Callable[[], Prepared]) -> Entry:
        """Return an entry; of several processes that want it at once, one makes it and the others wait.

        Parameters
        ----------
        digest
            Of everything that decides what is in it.
        make
            Called where it is not there.
        """
        place = self.folder / digest[:2] / digest
        if not place.is_dir():
            place.parent.mkdir(exist_ok=True)
            with _alone(place.with_suffix(".lock")):
                if not place.is_dir():
                    part = place.with_suffix(".part")
                    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
                    _write(make(), part)
                    part.rename(place)
        return _read(place)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(made: Prepared, folder: Path) -> None:
    from firstread.imaging.convert.stores.zarr3 import Zarr3

    folder.mkdir()
    volume = made.volume
    store = Zarr3(codec="lz4")
    store.write(volume, folder / "image.zarr", {})
    for number, (_, mask) in enumerate(sorted(made.masks.items())):
        as_volume = replace(volume, values=mask.astype(np.uint8), is_colour=False)
        store.write(as_volume, folder / f"mask-{number}.zarr", {})
        np.save(folder / f"points-{number}.npy", _points(mask))
    said: Mapping[str, object] = {
        "shape": made.shape,
        "affine": volume.affine.ravel().tolist(),
        "masks": sorted(made.masks),
        "is_in_time": volume.is_in_time,
        "is_colour": volume.is_colour,
        "verdict": volume.verdict.to_json(),
        "prepared": made.record,
    }
    (folder / "about.json").write_text(json.dumps(said, indent=1), encoding="utf-8")


def _points(mask: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    flat = np.flatnonzero(mask)
    if flat.size > _MOST_POINTS:
        flat = np.sort(np.random.default_rng(0).choice(flat, _MOST_POINTS, replace=False))
    return np.stack(np.unravel_index(flat, mask.shape), axis=-1).astype(np.int32)


@lru_cache(1024)
def _read(folder: Path) -> Entry:
    said = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return Entry(
        folder,
        tuple(said["shape"]),
        tuple(said["affine"]),
        tuple(said["masks"]),
        said["is_in_time"],
        said["is_colour"],
    )
