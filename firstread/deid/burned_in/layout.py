"""How the samples of one frame are stored (PS3.3 C.7.6.3, PS3.5 8), and what is black in them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from firstread.deid.burned_in.boxes import TextBox
from firstread.errors import QuarantineError, Reason
from firstread.imaging.lookup import apply_table, numbers, read_descriptor

Array = npt.NDArray[Any]

GRAYSCALE = frozenset({"MONOCHROME1", "MONOCHROME2"})
# JPEG 2000 decoders undo the component transform, whatever the attribute says (PS3.5 8.2.4).
AS_RGB = frozenset({"RGB", "YBR_RCT", "YBR_ICT"})
AS_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})
_LUMINANCE = np.array([299, 587, 114])


@dataclass(frozen=True)
class Layout:
    """The Image Pixel Module of an image (PS3.3 C.7.6.3).

    Parameters
    ----------
    rows, columns, samples, frames
        The extent.
    bits_allocated, bits_stored, high_bit
        The word of one sample, and where in it the sample is.
    signed
        Whether Pixel Representation is 1.
    photometric
        Photometric Interpretation.
    planar
        Whether Planar Configuration is 1.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: bool

    @classmethod
    def of(cls, dataset: Dataset) -> "Layout":
        """Read the layout of an image.

        Raises
        ------
        QuarantineError
            With `Reason.MAY_CONTAIN_BURNED_IN_TEXT` where such samples cannot be looked at.
        """
        bits = _whole(dataset, "BitsAllocated", 0)
        stored = _whole(dataset, "BitsStored", bits)
        layout = cls(
            rows=_whole(dataset, "Rows", 0),
            columns=_whole(dataset, "Columns", 0),
            samples=_whole(dataset, "SamplesPerPixel", 1),
            frames=_whole(dataset, "NumberOfFrames", 1),
            bits_allocated=bits,
            bits_stored=stored,
            high_bit=_whole(dataset, "HighBit", stored - 1),
            signed=_whole(dataset, "PixelRepresentation", 0) == 1,
            photometric=str(dataset.get("PhotometricInterpretation") or "").strip().upper(),
            planar=_whole(dataset, "PlanarConfiguration", 0) == 1,
        )
        if not layout._is_known():
            raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
        return layout

    def _is_known(self) -> bool:
        if self.bits_allocated not in (8, 16, 32) or not self.bits_stored <= self.high_bit + 1:
            return False
        if not 1 <= self.bits_stored <= self.bits_allocated or self.high_bit >= self.bits_allocated:
            return False
        if self.photometric in GRAYSCALE or self.photometric == "PALETTE COLOR":
            return self.samples == 1
        if self.photometric not in AS_RGB | AS_YBR or self.samples != 3 or self.signed:
            return False
        # Subsampled pairs (PS3.3 C.7.6.3.1.2) are whole only in an even number of columns.
        return self.photometric != "YBR_FULL_422" or (self.columns % 2 == 0 and self.bits_allocated == 8)

    @property
    def shift(self) -> int:
        """Unused bits below the sample."""
        return self.high_bit + 1 - self.bits_stored

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.rows * self.columns

    @property
    def frame_bytes(self) -> int:
        """Bytes of one decoded frame, three full samples for each colour pixel."""
        return self.pixels * self.samples * self.bits_allocated // 8

    @property
    def step(self) -> int:
        """How many columns share a sample."""
        return 2 if self.photometric == "YBR_FULL_422" else 1


def _whole(dataset: Dataset, keyword: str, default: int) -> int:
    found = numbers(dataset, keyword)
    return int(found[0]) if found else default


def values(words: Array, layout: Layout) -> Array:
    """Return the samples in words: only the stored bits, with their sign (PS3.5 8.1.1)."""
    if layout.bits_stored == layout.bits_allocated:
        return words
    bits = words.view(f"u{words.dtype.itemsize}").astype(np.int64)
    found = (bits >> layout.shift) & ((1 << layout.bits_stored) - 1)
    if layout.signed:
        found -= (found >> (layout.bits_stored - 1)) << layout.bits_stored
    return found


def words(samples: Array, layout: Layout) -> Array:
    """Return samples as unsigned words, as a careful writer stores them: unused bits zero, or the sign."""
    mask = (1 << layout.bits_allocated) - 1
    return np.asarray((samples.astype(np.int64) << layout.shift) & mask)


def hidden_bits(stored: Array, layout: Layout) -> Array:
    """Return what is in bits that no viewer shows: retired overlays may lie there (PS3.5 8.1.2, retired)."""
    if layout.bits_stored == layout.bits_allocated:
        return np.zeros((1, 1), dtype=np.int64)
    bits = stored.view(f"u{stored.dtype.itemsize}").astype(np.int64)
    samples = values(stored, layout)
    extra: Array = bits ^ words(samples, layout)
    if layout.signed:  # writers that do not extend the sign hide nothing
        used = ((1 << layout.bits_stored) - 1) << layout.shift
        extra = np.where((bits & ~used) == 0, 0, extra)
    return extra


Limits = tuple[int, int]
"""The lowest and the highest value of a frame."""


def extremes(frame: Array) -> Limits:
    """Return the lowest and the highest value of a frame that is not empty."""
    return int(frame.min()), int(frame.max())


def hides_bits(stored: Array, layout: Layout, limits: Limits | None = None) -> bool:
    """Tell, without a copy of the frame, whether any bit is set that no viewer shows; a wrong yes is possible.

    Parameters
    ----------
    stored
        Words as they lie in the file.
    layout
        How they are stored.
    limits
        `extremes` of the words, where the caller has them.
    """
    if layout.bits_stored == layout.bits_allocated:
        return False
    if layout.shift:
        return True
    low, high = limits or extremes(stored)
    if layout.signed:  # extended signs hide nothing, and zeros above the sample neither
        half = 1 << (layout.bits_stored - 1)
        return not (-half <= low and high < half) and not (low >= 0 and high < 2 * half)
    return high >> layout.bits_stored != 0


@dataclass(frozen=True)
class Palette:
    """The colours of a PALETTE COLOR image (PS3.3 C.7.6.3.1.5).

    Parameters
    ----------
    colours
        Entries x 3, 8 bit.
    first
        The stored value of the first entry.
    """

    colours: npt.NDArray[np.uint8]
    first: int

    @classmethod
    def of(cls, dataset: Dataset) -> "Palette":
        """Read the tables.

        Raises
        ------
        QuarantineError
            With `Reason.MAY_CONTAIN_BURNED_IN_TEXT` where they cannot be read: nobody can look at the image then.
        """
        try:
            count, first, _ = read_descriptor(dataset, "RedPaletteColorLookupTableDescriptor")
            if "SegmentedRedPaletteColorLookupTableData" in dataset:
                table = apply_color_lut(np.arange(first, first + count), dataset)[..., :3]
            else:
                table = np.stack([_table(dataset, name, count) for name in ("Red", "Green", "Blue")], axis=-1)
        except Exception:  # whatever a hostile table does to its reader; `from None`: no PHI
            raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT) from None
        return cls((table // 256 if table.max(initial=0) > 255 else table).astype(np.uint8), first)

    def shown(self, stored: Array) -> npt.NDArray[np.uint8]:
        """Return stored values as RGB."""
        return np.asarray(apply_table(stored, self.colours, self.first), dtype=np.uint8)

    def darkest(self, bits: int) -> int:
        """Return the stored value of the darkest entry that fits into `bits`."""
        fits = self.colours[: max(1, (1 << bits) - self.first)].astype(np.int64)
        return self.first + int(np.argmin(fits @ _LUMINANCE))


def _table(dataset: Dataset, colour: str, count: int) -> Array:
    data = dataset[f"{colour}PaletteColorLookupTableData"].value
    # Entries are as wide as the data says, not as the descriptor claims.
    return np.frombuffer(data, dtype="<u2" if len(data) >= 2 * count else np.uint8, count=count)


def background(stored: Array, layout: Layout, palette: Palette | None) -> tuple[int, ...]:
    """Return the word, or three, that is black: the darkest the frame already has, so that no window changes.

    Parameters
    ----------
    stored
        The frame.
    layout
        How it is stored.
    palette
        The colours of a PALETTE COLOR image.
    """
    if layout.photometric in AS_YBR:
        return (0, 128, 128)
    if layout.photometric in AS_RGB:
        return (0, 0, 0)
    samples = values(stored, layout)
    if palette is not None:
        black = palette.darkest(layout.bits_stored)
    else:
        black = int(samples.max() if layout.photometric == "MONOCHROME1" else samples.min())
    return (int(words(np.array(black), layout)),)


def blank(stored: Array, boxes: list[TextBox], black: tuple[int, ...]) -> None:
    """Fill boxes of a frame, rows x columns or rows x columns x samples, in place."""
    bits = stored.dtype.itemsize * 8
    wrapped = [
        word - (1 << bits) if stored.dtype.kind == "i" and word >> (bits - 1) else word for word in black
    ]
    value = np.array(wrapped, dtype=stored.dtype)
    for box in boxes:
        stored[box.top : box.bottom, box.left : box.right] = value if stored.ndim == 3 else value[0]
