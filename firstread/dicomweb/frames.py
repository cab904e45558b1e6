"""Single frames of stored objects: as they are stored, or decoded."""

from collections.abc import Iterable

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian

from firstread.dicomweb.errors import CannotRenderError
from firstread.dicomweb.layout import Layout, Read, value_of
from firstread.imaging.pixels import MAX_FRAME_PIXELS


class ObjectFrames:
    """The frames of one object; 1 is the first."""

    def __init__(self, layout: Layout, read: Read) -> None:
        self.layout = layout
        self._read = read

    @property
    def stored_syntax(self) -> str:
        """Return the UID of the transfer syntax that the object is stored in."""
        return self.layout.stored_syntax

    def has(self, numbers: Iterable[int]) -> bool:
        """Return whether all of these frames are there."""
        return all(1 <= number <= self.layout.frames for number in numbers)

    def stored(self, number: int) -> bytes:
        """Return an encapsulated frame as it is stored."""
        start, stop = self.layout.spans[number - 1]
        return value_of(self._read(start, stop - start))

    def native(self, number: int) -> bytes:
        """Return a frame as native pixel data in little endian; compressed colour becomes RGB, pixel by pixel.

        Raises
        ------
        CannotRenderError
            If it cannot be decoded.
        """
        layout = self.layout
        if layout.spans:
            return self._decoded(encapsulate([self.stored(number)]))
        first_bit = (number - 1) * layout.frame_bits
        last_bit = first_bit + layout.frame_bits
        start, stop = first_bit // 8, -(-last_bit // 8)
        data = self._read(layout.at + start, stop - start)
        if len(data) < stop - start:
            raise CannotRenderError("unreadable")
        if layout.stored_syntax == ExplicitVRBigEndian:
            return self._decoded(data + b"\0" * (len(data) % 2))
        if (
            first_bit % 8 or last_bit % 8
        ):  # frames of single bits follow each other without a gap (PS3.5 8.1.1)
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            inside = bits[first_bit - 8 * start : last_bit - 8 * start]
            return np.packbits(inside, bitorder="little").tobytes()
        return data

    def alone(self, number: int) -> Dataset:
        """Return a dataset with one frame, which can be decoded without the others."""
        data = encapsulate([self.stored(number)]) if self.layout.spans else self.native(number)
        return self._dataset(data)

    def _decoded(self, data: bytes) -> bytes:
        dataset = self._dataset(data)
        try:
            decoder = get_decoder(UID(self.layout.stored_syntax))
            found, _ = decoder.as_array(dataset, index=0)
        except Exception:
            # Codecs raise anything on hostile bytes, and their texts quote the dataset.
            raise CannotRenderError("not_decoded") from None
        return found.astype(found.dtype.newbyteorder("<"), copy=False).tobytes()

    def _dataset(self, data: bytes) -> Dataset:
        layout = self.layout
        if int(layout.image.get("Rows", 0)) * int(layout.image.get("Columns", 0)) > MAX_FRAME_PIXELS:
            raise CannotRenderError("too_large")
        dataset = Dataset()
        dataset.update(layout.image)
        dataset.NumberOfFrames = 1
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(layout.stored_syntax)
        syntax = dataset.file_meta.TransferSyntaxUID
        if layout.tag == 0x7FE00008:
            dataset.FloatPixelData = data
        elif layout.tag == 0x7FE00009:
            dataset.DoubleFloatPixelData = data
        else:
            dataset.PixelData = data
            dataset["PixelData"].VR = "OB" if syntax.is_encapsulated or layout.bits <= 8 else "OW"
        dataset.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        return dataset
