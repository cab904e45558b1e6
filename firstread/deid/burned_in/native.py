"""Frames of a native Pixel Data element (PS3.5 8.1): views on their bytes, and changing nothing but boxes."""

from dataclasses import dataclass
from typing import IO

import numpy as np

from firstread.deid.burned_in.boxes import TextBox
from firstread.deid.burned_in.layout import Array, Layout, blank, hidden_bits
from firstread.dicom.reader import DicomFile
from firstread.errors import QuarantineError, Reason

_INTEGER_PIXELS = b"\xe0\x7f\x10\x00"


@dataclass(frozen=True)
class NativeFrames:
    """The frames of a file in a native transfer syntax.

    Parameters
    ----------
    source
        The file.
    layout
        How a frame is stored.
    start
        Offset of the first frame.
    big
        Whether words are big endian.
    swapped
        Whether bytes lie in big endian words of two, as 8-bit samples of VR OW do (PS3.5 8.1.1).
    """

    source: IO[bytes]
    layout: Layout
    start: int
    big: bool
    swapped: bool

    @classmethod
    def of(cls, file: DicomFile, layout: Layout) -> "NativeFrames":
        """Find the frames of a file."""
        big = not file.transfer_syntax.is_little_endian
        file.source.seek(file.pixels.start + 4)
        words = file.source.read(2) == b"OW"
        start = file.pixels.stop - (file.pixels.length or 0)
        frames = cls(file.source, layout, start, big, big and words and layout.bits_allocated == 8)
        if frames.swapped and frames.size % 2:
            raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
        return frames

    @staticmethod
    def has_integers(file: DicomFile) -> bool:
        """Tell Pixel Data from Float and Double Float Pixel Data (PS3.3 C.7.6.24)."""
        file.source.seek(file.pixels.start)
        tag = file.source.read(4)
        return tag == _INTEGER_PIXELS or (
            not file.transfer_syntax.is_little_endian and tag == b"\x7f\xe0\x00\x10"
        )

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return self.layout.frame_bytes * 2 // 3 if self._is_subsampled else self.layout.frame_bytes

    @property
    def _is_subsampled(self) -> bool:
        return self.layout.photometric == "YBR_FULL_422"

    def read(self, index: int) -> bytes:
        """Return the bytes of a frame."""
        self.source.seek(self.start + index * self.size)
        raw = self.source.read(self.size)
        if len(raw) != self.size:
            raise QuarantineError(Reason.TRUNCATED)
        return raw

    def shown(self, raw: bytes) -> bytes:
        """Return the bytes of a frame without what lies in bits that no viewer shows; the samples stay as they are.

        A retired overlay may be there (PS3.5 8.1.2, retired), or anything else: no detector can tell bytes from noise.
        """
        if self.layout.samples > 1 or self.layout.bits_stored == self.layout.bits_allocated:
            return raw
        stored = self._view(raw)
        words = stored.astype(stored.dtype.newbyteorder("="))
        hidden = hidden_bits(words, self.layout)
        if not hidden.any():
            return raw
        kept = (words ^ hidden.astype(words.dtype)).astype(stored.dtype)
        return self._pairs(kept).tobytes() if self.swapped else kept.tobytes()

    def view(self, raw: bytes) -> Array:
        """Return a frame's words as they lie in the file; no copy where samples are no swapped bytes."""
        return self._view(raw)

    def decode(self, raw: bytes) -> Array:
        """Return a frame's samples as stored, subsampling undone; a copy."""
        stored = self._view(bytearray(raw))
        if not self._is_subsampled:
            return stored.astype(stored.dtype.newbyteorder("="), order="C")
        luminance = stored[..., :2].reshape(self.layout.rows, self.layout.columns)
        chroma = np.repeat(stored[..., 2:], 2, axis=1)
        return np.concatenate([luminance[..., np.newaxis], chroma], axis=-1)

    def blanked(self, raw: bytes, boxes: list[TextBox], black: tuple[int, ...]) -> bytes:
        """Return the bytes of a frame with black boxes; every other byte is as it was.

        Parameters
        ----------
        raw
            The frame.
        boxes
            On whole pairs of columns where colour is subsampled.
        black
            As `firstread.deid.burned_in.layout.background` returned it.
        """
        buffer = bytearray(raw)
        stored = self._view(buffer)
        if self._is_subsampled:
            halved = [TextBox(box.left // 2, box.top, box.right // 2, box.bottom) for box in boxes]
            blank(stored, halved, (black[0], *black))
        else:
            blank(stored, boxes, black)
        return self._pairs(stored).tobytes() if self.swapped else bytes(buffer)

    def _view(self, buffer: bytes | bytearray) -> Array:
        """Return rows x columns, rows x columns x 3, or rows x pairs x 4 (Y Y Cb Cr) on the buffer."""
        layout = self.layout
        kind = "i" if layout.signed else "u"
        stored: Array = np.frombuffer(
            buffer, dtype=f"{'>' if self.big else '<'}{kind}{layout.bits_allocated // 8}"
        )
        if self.swapped:
            stored = self._pairs(stored).copy()
        if self._is_subsampled:
            return stored.reshape(layout.rows, layout.columns // 2, 4)
        if layout.samples == 1:
            return stored.reshape(layout.rows, layout.columns)
        if layout.planar:
            return np.moveaxis(stored.reshape(layout.samples, layout.rows, layout.columns), 0, -1)
        return stored.reshape(layout.rows, layout.columns, layout.samples)

    def _pairs(self, stored: Array) -> Array:
        """Exchange the bytes of every word of two, in the order in which they are stored."""
        if stored.ndim == 3 and self.layout.planar:
            stored = np.moveaxis(stored, -1, 0)
        return stored.reshape(-1, 2)[:, ::-1].reshape(-1)
