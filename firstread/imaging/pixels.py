"""Decoding one frame of an instance; the only place that hands pixel data to a codec."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread.errors import FirstReadError
from firstread.imaging.lookup import apply_table, numbers, read_descriptor

if TYPE_CHECKING:  # what is not encoded is read without pydicom
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]

MAX_FRAME_PIXELS = 100_000_000
"""Larger frames are refused: four times the largest mammograms; bounds what a lying header can allocate."""

_GRAYSCALE = frozenset({"MONOCHROME1", "MONOCHROME2"})


class PixelReason(StrEnum):
    """Why a frame cannot be rendered; never carries a value of the dataset."""

    NO_PIXELS = "no_pixels"
    NO_SUCH_FRAME = "no_such_frame"
    TOO_LARGE = "too_large"
    NOT_DECODED = "not_decoded"
    UNSUPPORTED_PHOTOMETRIC = "unsupported_photometric_interpretation"
    BAD_LOOKUP_TABLE = "bad_lookup_table"
    BAD_WINDOW = "bad_window"
    NO_SUCH_REGION = "no_such_region"


class PixelError(FirstReadError):
    """A frame that cannot be rendered.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: PixelReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Parameters
    ----------
    stored
        Stored values, rows x columns, or RGB samples, rows x columns x 3.
    is_colour
        Whether `stored` is RGB.
    inverted
        Whether the lowest value is meant to be white (MONOCHROME1, PS3.3 C.7.6.3.1.2).
    white
        The largest sample of a colour frame.
    """

    stored: Array
    is_colour: bool
    inverted: bool = False
    white: float = 255.0


def frame_count(dataset: "Dataset") -> int:
    """Return Number of Frames (0028,0008), 1 where it is absent or malformed."""
    found = numbers(dataset, "NumberOfFrames")
    return max(1, int(found[0])) if found else 1


def decode(dataset: "Dataset", frame: int) -> Frame:
    """Decode one frame.

    Parameters
    ----------
    dataset
        An image with its file meta information.
    frame
        Index of the frame, 0 first.

    Raises
    ------
    PixelError
        If there is no such frame or it cannot be decoded.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import as_pixel_options

    _check(dataset, frame)
    try:
        syntax = dataset.file_meta.TransferSyntaxUID
        stored, described = get_decoder(syntax).as_array(
            dataset, index=frame, validate=True, raw=False, **as_pixel_options(dataset)
        )
    except Exception:
        # Codecs raise anything on hostile bytes, and their texts quote the dataset.
        raise PixelError(PixelReason.NOT_DECODED) from None
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)  # of big endian files it is theirs
    photometric = str(described["photometric_interpretation"])
    if photometric == "PALETTE COLOR":
        return Frame(_palette(dataset, stored), is_colour=True)
    # J2K, JPEG-LS and JPEG codecs hand over RGB although the attribute names the transform (PS3.5 8.2.4).
    if stored.ndim == 3 and stored.shape[-1] == 3:
        if photometric not in {"RGB", "YBR_RCT", "YBR_ICT"}:
            raise PixelError(PixelReason.UNSUPPORTED_PHOTOMETRIC)
        white = float(2 ** int(described["bits_stored"]) - 1)
        return Frame(stored, is_colour=True, white=white)
    if stored.ndim != 2 or photometric not in _GRAYSCALE:
        raise PixelError(PixelReason.UNSUPPORTED_PHOTOMETRIC)
    return Frame(stored, is_colour=False, inverted=photometric == "MONOCHROME1")


def _check(dataset: "Dataset", frame: int) -> None:
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise PixelError(PixelReason.NO_PIXELS)
    size = [numbers(dataset, name) for name in ("Rows", "Columns")]
    if not all(size) or min(values[0] for values in size) < 1:
        raise PixelError(PixelReason.NO_PIXELS)
    if math.prod(values[0] for values in size) > MAX_FRAME_PIXELS:
        raise PixelError(PixelReason.TOO_LARGE)
    if not 0 <= frame < frame_count(dataset):
        raise PixelError(PixelReason.NO_SUCH_FRAME)


def _palette(dataset: "Dataset", stored: Array) -> Array:
    """Return 8-bit RGB of a PALETTE COLOR frame (PS3.3 C.7.6.3.1.5 and .6)."""
    try:
        from pydicom.pixels.processing import apply_color_lut

        if "SegmentedRedPaletteColorLookupTableData" in dataset:
            colours: Array = apply_color_lut(stored, dataset)[..., :3]
        else:
            count, first, _ = read_descriptor(dataset, "RedPaletteColorLookupTableDescriptor")
            tables = [
                _entries(dataset[f"{name}PaletteColorLookupTableData"].value, count)
                for name in ("Red", "Green", "Blue")
            ]
            colours = np.stack([apply_table(stored, table, first) for table in tables], axis=-1)
    except Exception:
        raise PixelError(PixelReason.BAD_LOOKUP_TABLE) from None
    # Entries are 8 or 16 bits wide; some writers put 8-bit values into 16-bit entries.
    return (colours // 256 if colours.max(initial=0) > 255 else colours).astype(np.uint8)


def _entries(data: bytes, count: int) -> Array:
    # Entries are as wide as the data says, not as the descriptor claims: the two disagree in old files.
    wide = len(data) >= 2 * count
    table = np.frombuffer(data, dtype="<u2" if wide else np.uint8, count=count)
    return table.astype(np.uint16)
