"""Images of instances as PNG, with the last used instances kept in memory."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import IO, Literal, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from firstread.dicomweb.errors import CannotRenderError
from firstread.imaging.pixels import PixelError
from firstread.imaging.render import Gray, Rendering, modality_values, render

_CACHED_BYTES = 512 * 1024 * 1024


class Objects(Protocol):
    """Where objects are; `firstread.storage.Bucket` is one."""

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """Give an object as a file."""


@dataclass(frozen=True)
class _Loaded:
    dataset: Dataset
    size: int
    lock: Lock


class Pictures:
    """Renders frames of stored instances.

    A cine is asked for frame by frame, so its dataset stays in memory for a while. The keys of the studies
    bucket name the content, so what is kept never goes stale.

    Parameters
    ----------
    bucket
        The studies bucket.
    limit
        How many bytes of instances to keep; the last one used is kept whatever its size.
    """

    def __init__(self, bucket: Objects, limit: int = _CACHED_BYTES) -> None:
        self._bucket = bucket
        self._limit = limit
        self._lock = Lock()
        self._kept: OrderedDict[str, _Loaded] = OrderedDict()

    def frame(
        self, key: str, number: int, max_side: int, window: tuple[float, float] | Literal["voi"]
    ) -> bytes:
        """Return one frame of an instance as PNG.

        Parameters
        ----------
        key
            Of the instance, in the studies bucket.
        number
            Of the frame, 1 first.
        max_side, window
            As for `firstread.imaging.to_png`.

        Raises
        ------
        firstread.errors.NotFoundError
            If there is no such object.
        CannotRenderError
            If its pixels cannot be shown.
        """
        return self.rendered(key, number, Rendering(window, (max_side, max_side)))

    def rendered(self, key: str, number: int, how: Rendering) -> bytes:
        """Return one frame of an instance as PNG or JPEG; parameters and errors as for `frame`."""
        loaded = self._load(key)
        try:
            with loaded.lock:  # pydicom converts values on access; two threads must not do so at once
                return render(loaded.dataset, number - 1, how)
        except PixelError as error:
            raise CannotRenderError(error.reason.value) from None

    def values(self, key: str, number: int) -> Gray:
        """Return the values of a grey frame, 1 first, in the unit of its modality; errors as for `frame`."""
        loaded = self._load(key)
        try:
            with loaded.lock:
                return modality_values(loaded.dataset, number - 1)
        except PixelError as error:
            raise CannotRenderError(error.reason.value) from None

    def header(self, key: str) -> Dataset:
        """Return an instance without its pixels; errors as for `frame`."""
        with self._bucket.open(key) as file:
            return _read(file, stop_before_pixels=True).dataset

    def _load(self, key: str) -> _Loaded:
        with self._lock:
            loaded = self._kept.get(key)
            if loaded is not None:
                self._kept.move_to_end(key)
                return loaded
        with self._bucket.open(key) as file:
            loaded = _read(file)
        with self._lock:
            self._kept[key] = loaded
            self._drop(lambda: sum(kept.size for kept in self._kept.values()) > self._limit)
        return loaded

    def _drop(self, too_much: Callable[[], bool]) -> None:
        while len(self._kept) > 1 and too_much():
            self._kept.popitem(last=False)


def _read(file: IO[bytes], *, stop_before_pixels: bool = False) -> _Loaded:
    try:
        dataset = dcmread(file, stop_before_pixels=stop_before_pixels)
    except Exception:
        # What pydicom raises on bad input varies, and its texts quote the object.
        raise CannotRenderError("unreadable") from None
    return _Loaded(dataset, file.tell(), Lock())
