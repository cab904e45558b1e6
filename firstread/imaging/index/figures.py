"""What there is to say of the pixels of one image, read a frame at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet
from firstread.imaging.index.record import FileReason
from firstread.imaging.lookup import numbers
from firstread.imaging.noise import noise
from firstread.imaging.pixels import PixelError, PixelReason, frame_count
from firstread.imaging.reading import OnDisk
from firstread.imaging.voxels import Rescale

Array = npt.NDArray[Any]
Bits = npt.NDArray[np.bool_]
Row = dict[str, Any]
_FLOATS = ("FloatPixelPadding", "DoubleFloatPixelPadding")


@dataclass(frozen=True)
class _Frame:
    """Counts and values of one frame; `lowest` and what follows is None where it is empty."""

    voxels: int
    valued: int
    clipped: tuple[int, int] | None
    noise: float | None = None
    lowest: float | None = None
    highest: float | None = None
    at_lowest: int = 0
    at_highest: int = 0
    total: float = 0.0


def figures(path: Path) -> Row:
    """Return the figures of an image, in the columns of the table `pixels`; `reason` alone where it has none.

    Parameters
    ----------
    path
        Its file.
    """
    try:
        with quiet():
            images = OnDisk([path])
            header = images.headers[0]
            frames = [
                _frame(header, images.stored(0, number), Rescale(header, number))
                for number in range(frame_count(header))
            ]
    except PixelError as error:
        return {"reason": error.reason.value}
    except OSError:
        return {"reason": FileReason.NOT_OPENED.value}
    except Exception:  # as where headers are read: what pydicom raises for hostile bytes has no end
        return {"reason": PixelReason.NOT_DECODED.value}
    return _together(frames)


def _frame(header: Dataset, stored: Array, rescale: Rescale) -> _Frame:
    padding = _padding(header, stored)
    valued = stored[~padding] if padding is not None else stored
    ends = _ends(header, stored)
    clipped = (_count(valued, ends[0]), _count(valued, ends[1])) if ends else None
    if not valued.size:
        return _Frame(stored.size, 0, clipped)
    slope, intercept = rescale.slope, rescale.intercept
    if rescale.is_table:
        mapped = np.empty(stored.shape, np.int32)
        rescale.into(mapped, stored)
        stored, slope, intercept = mapped, 1.0, 0.0
        valued = stored[~padding] if padding is not None else stored
    extremes = valued.min(), valued.max()
    left_out = (stored == extremes[0]) | (stored == extremes[1])
    told = noise(stored, left_out if padding is None else left_out | padding)
    counts = [_count(valued, each) for each in extremes]
    values = [float(each) * slope + intercept for each in extremes]
    if slope < 0:
        counts, values = counts[::-1], values[::-1]
    return _Frame(
        voxels=stored.size,
        valued=valued.size,
        clipped=clipped,
        noise=None if told is None else told * abs(slope),
        lowest=values[0],
        highest=values[1],
        at_lowest=counts[0],
        at_highest=counts[1],
        total=float(valued.sum(dtype=np.float64)) * slope + intercept * valued.size,
    )


def _count(values: Array, one: float) -> int:
    return int(np.count_nonzero(values == one))


def _padding(header: Dataset, stored: Array) -> Bits | None:
    """Return where no value is meant to be (PS3.3 C.7.5.1.1.2, C.7.6.24); None where that is nowhere."""
    if stored.dtype.kind == "f":
        missing: Bits = ~np.isfinite(stored)
        for name in _FLOATS:
            if value := numbers(header, f"{name}Value"):
                ends = sorted((value[0], (numbers(header, f"{name}RangeLimit") or value)[0]))
                missing |= (stored >= ends[0]) & (stored <= ends[1])
        return missing if missing.any() else None
    value = numbers(header, "PixelPaddingValue")
    if not value or stored.ndim != 2:
        return None
    limit = numbers(header, "PixelPaddingRangeLimit") or value
    ends = sorted(_as_stored(header, each[0], stored) for each in (value, limit))
    found: Bits = stored == ends[0] if ends[0] == ends[1] else (stored >= ends[0]) & (stored <= ends[1])
    return found if found.any() else None


def _as_stored(header: Dataset, value: float, stored: Array) -> float:
    """Return a padding value as voxels have it: files with signed voxels may give it as an unsigned number."""
    bits = int((numbers(header, "BitsAllocated") or (8 * stored.itemsize,))[0])
    return value - 2**bits if stored.dtype.kind == "i" and value >= 2 ** (bits - 1) else value


def _ends(header: Dataset, stored: Array) -> tuple[int, int] | None:
    """Return the ends of the stored range; None of floats, and of colours of a palette."""
    if stored.dtype.kind == "f" or header.get("PhotometricInterpretation") == "PALETTE COLOR":
        return None
    most = 8 * stored.itemsize
    bits = int((numbers(header, "BitsStored") or (most,))[0])
    bits = bits if 0 < bits <= most else most
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if stored.dtype.kind == "i" else (0, 2**bits - 1)


def _together(frames: list[_Frame]) -> Row:
    full = [each for each in frames if each.valued]
    told = [each.noise for each in full if each.noise is not None]
    lowest = min((each.lowest for each in full if each.lowest is not None), default=None)
    highest = max((each.highest for each in full if each.highest is not None), default=None)
    valued = sum(each.valued for each in full)
    clipped = [each.clipped for each in frames if each.clipped is not None]
    is_clipped = len(clipped) == len(frames)
    return {
        "reason": None,
        "frames": len(frames),
        "voxels": sum(each.voxels for each in frames),
        "padding_voxels": sum(each.voxels - each.valued for each in frames),
        "noise": float(np.median(told)) if told else None,
        "lowest": lowest,
        "highest": highest,
        "mean": sum(each.total for each in full) / valued if valued else None,
        "lowest_voxels": sum(each.at_lowest for each in full if each.lowest == lowest),
        "highest_voxels": sum(each.at_highest for each in full if each.highest == highest),
        "clipped_low_voxels": sum(each[0] for each in clipped) if is_clipped else None,
        "clipped_high_voxels": sum(each[1] for each in clipped) if is_clipped else None,
        "constant_frames": sum(each.lowest == each.highest for each in full),
        "empty_frames": len(frames) - len(full),
    }
