"""The attributes that describe pixel data, made true after it was written anew."""

from dataclasses import dataclass, field

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    HTJ2K,
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
)

from firstread.deid.burned_in.fragments import OFFSET_TABLES, Offsets
from firstread.deid.burned_in.layout import AS_RGB, Layout
from firstread.dicom.metadata import text
from firstread.dicom.reader import DicomFile

# Defined Terms of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1). Not here: JPEG 2000 and JPEG-LS Near
# Lossless, which may hold a lossless image and keep their transfer syntax, so that they say what they said.
_LOSSY_METHODS: dict[UID, str] = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    HTJ2K: "ISO_15444_15",
}


@dataclass(frozen=True)
class Description:
    """What changes in a header.

    Parameters
    ----------
    syntax
        The new transfer syntax, or None where it stays.
    values
        Attributes to set.
    offsets
        For the Extended Offset Table, or None where there is none.
    encoded
        Whether the pixel data element was encapsulated anew, so that an old table is wrong.
    """

    syntax: UID | None = None
    values: Dataset = field(default_factory=Dataset)
    offsets: Offsets | None = None
    encoded: bool = False

    def apply(self, dataset: FileDataset) -> None:
        """Change a header; Burned In Annotation becomes NO, for somebody has looked."""
        dataset.BurnedInAnnotation = "NO"
        for element in self.values:
            dataset[element.tag] = element
        if self.syntax is not None:
            dataset.file_meta.TransferSyntaxUID = self.syntax
        if self.encoded:
            for keyword in OFFSET_TABLES:
                if keyword in dataset:
                    delattr(dataset, keyword)
        if self.offsets is not None:
            dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = self.offsets.extended()


def described(file: DicomFile, layout: Layout, decoded: Layout, syntax: UID, compressed: int) -> Description:
    """Return what a header must say of frames that were encoded anew.

    Parameters
    ----------
    file
        The original.
    layout, decoded
        As its header says, and as its decoder gave.
    syntax
        The transfer syntax that was written.
    compressed
        Bytes of the original frames.
    """
    if syntax == file.transfer_syntax:
        return Description(encoded=True)
    values = _lossy(file, layout, compressed)
    if layout.samples == 3:
        values.PlanarConfiguration = 0
        values.PhotometricInterpretation = transcoded_photometric(decoded)
    return Description(syntax=syntax, values=values, encoded=True)


def transcoded_photometric(decoded: Layout) -> str:
    """Return the Photometric Interpretation of a decoded frame in JPEG 2000 Lossless (PS3.5 8.2.4)."""
    return "YBR_RCT" if decoded.photometric in AS_RGB else decoded.photometric


def _lossy(file: DicomFile, layout: Layout, compressed: int) -> Dataset:
    """Return Lossy Image Compression and its kin: once lossy, always lossy (PS3.3 C.7.6.1.1.5)."""
    values = Dataset()
    method = _LOSSY_METHODS.get(file.transfer_syntax)
    if method is None or text(file.dataset, "LossyImageCompression") == "01":
        return values
    values.LossyImageCompression = "01"
    values.LossyImageCompressionMethod = method
    values.LossyImageCompressionRatio = f"{layout.frames * layout.frame_bytes / max(1, compressed):.2f}"
    return values
