"""Images without their pixels, as headers that other objects can be built on."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from firstread.dicom.pixels import PIXEL_TAGS
from firstread.dicom.silence import quiet
from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.pixels import frame_count
from firstread.imaging.volume import SourceFrame

_TYPE_2 = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_SEXES = frozenset({"M", "F", "O", ""})
_REGISTERED_ONLY = frozenset({"CT", "MR", "PT"})
_CENTIMETRES = 3  # Physical Units X Direction, PS3.3 C.8.5.5.1.2
_MM_PER_CM = 10.0


@dataclass(frozen=True)
class Spacing:
    """Size of a pixel in millimetres.

    Parameters
    ----------
    rows_mm, columns_mm
        Distance between rows, between columns.
    at_detector
        It is of the detector and not of the patient, who is nearer to the tube.
    """

    rows_mm: float
    columns_mm: float
    at_detector: bool = False

    @property
    def pixel_mm2(self) -> float:
        """Return the area of a pixel."""
        return self.rows_mm * self.columns_mm


class Placing(Enum):
    """How a stack lies in space, and thereby what can be written of it."""

    REGISTERED = "registered"
    """In a frame of reference: one SEG for all."""
    SINGLE = "single"
    """One frame without a frame of reference: a SEG on the grid of its source, placed nowhere."""
    CINE = "cine"
    """Several frames without one: no SEG can be written; regions with frame numbers instead."""
    REFUSED = "refused"
    """The IOD asks for a frame of reference and the image has none: no SEG is written."""


@dataclass(frozen=True)
class Source:
    """One analysed image.

    Parameters
    ----------
    header
        Its dataset without pixels: type 2 attributes are there, text is in UTF-8, and what pydicom cannot decode is
        left out.
    image
        The dataset as it came.
    """

    header: Dataset
    image: Dataset

    @property
    def sop_uid(self) -> str:
        """Return the SOP Instance UID."""
        return str(self.header.SOPInstanceUID)

    @property
    def frames(self) -> int:
        """Return how many frames it has."""
        return frame_count(self.header)

    @property
    def size(self) -> tuple[int, int]:
        """Return rows and columns."""
        return int(self.header.Rows), int(self.header.Columns)

    @property
    def is_colour(self) -> bool:
        """Return whether a pixel has several samples, or is looked up in a palette."""
        return int(self.header.get("SamplesPerPixel") or 1) > 1 or "PALETTE" in str(
            self.header.get("PhotometricInterpretation")
        )

    @property
    def is_registered(self) -> bool:
        """Return whether frames have a position in a frame of reference."""
        if not self.header.get("FrameOfReferenceUID"):
            return False
        return all(
            len(numbers(functional_item(self.header, 0, sequence), keyword)) == count
            for sequence, keyword, count in (
                ("PlanePositionSequence", "ImagePositionPatient", 3),
                ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
                ("PixelMeasuresSequence", "PixelSpacing", 2),
            )
        )

    @property
    def must_be_registered(self) -> bool:
        """Return whether the IOD has no images without a position: one that has none is broken."""
        return str(self.header.get("Modality")) in _REGISTERED_ONLY

    @property
    def placing(self) -> Placing:
        """Return how it lies in space."""
        if self.is_registered:
            return Placing.REGISTERED
        if self.must_be_registered:
            return Placing.REFUSED
        return Placing.SINGLE if self.frames == 1 else Placing.CINE

    @property
    def together(self) -> tuple[object, ...]:
        """Return what is the same in all images that one segmentation can show."""
        if self.frames > 1 or not self.is_registered:
            return (self.sop_uid,)
        header = self.header
        directions = numbers(
            functional_item(header, 0, "PlaneOrientationSequence"), "ImageOrientationPatient"
        )
        spacing = numbers(functional_item(header, 0, "PixelMeasuresSequence"), "PixelSpacing")
        where = str(header.get("SeriesInstanceUID")), str(header.FrameOfReferenceUID), self.size
        # Rounded as headers round them; a SEG has one orientation for all of its frames.
        return (
            *where,
            tuple(round(each, 3) for each in directions),
            tuple(round(each, 4) for each in spacing),
        )

    def frame_numbers(self, number: int) -> list[int] | None:
        """Return how a reference names a frame: not at all where there is only one."""
        return [number] if self.frames > 1 else None

    def spacing(self, number: int, row: float, column: float) -> Spacing | None:
        """Return the size of a pixel at a place of a frame (number 1 first); None where it is not known.

        Pixel Spacing, else that of an ultrasound region (PS3.3 C.8.5.5), else Imager Pixel Spacing (PS3.3 C.8.11.4).
        """
        if (told := self._pixel_spacing(number)) is not None:
            return told
        for region in self.header.get("SequenceOfUltrasoundRegions") or []:
            if (spacing := _ultrasound(region, row, column)) is not None:
                return spacing
        return self._detector_spacing()

    def patient_spacing(self, number: int) -> Spacing | None:
        """Return the size of a pixel of a frame (number 1 first) in the patient; None where it is not known.

        A projection whose Pixel Spacing only repeats Imager Pixel Spacing, and which says nothing of a calibration,
        tells that of its detector (PS3.3 10.7.1.3).
        """
        told, detector = self._pixel_spacing(number), self._detector_spacing()
        if told is None or detector is None or self.header.get("PixelSpacingCalibrationType"):
            return told
        is_repeated = (told.rows_mm, told.columns_mm) == (detector.rows_mm, detector.columns_mm)
        return None if is_repeated else told

    def pixel_aspect(self, number: int) -> float:
        """Return the height of a pixel of a frame (number 1 first) by its width; 1 where it is not known."""
        spacing = self._pixel_spacing(number) or self._detector_spacing()
        if spacing is not None:
            return spacing.rows_mm / spacing.columns_mm
        found = numbers(self.header, "PixelAspectRatio")  # height first, PS3.3 C.7.6.3.1.7
        return found[0] / found[1] if len(found) == 2 and min(found) > 0 else 1.0

    def _pixel_spacing(self, number: int) -> Spacing | None:
        measures = functional_item(self.header, number - 1, "PixelMeasuresSequence")
        for found in (numbers(measures, "PixelSpacing"), numbers(self.header, "PixelSpacing")):
            if len(found) == 2 and min(found) > 0:
                return Spacing(found[0], found[1])
        return None

    def _detector_spacing(self) -> Spacing | None:
        found = numbers(self.header, "ImagerPixelSpacing")
        if len(found) == 2 and min(found) > 0:
            return Spacing(found[0], found[1], at_detector=True)
        return None


def _ultrasound(region: Dataset, row: float, column: float) -> Spacing | None:
    box = [numbers(region, f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if not all(box):
        return None
    (left,), (top,), (right,), (bottom,) = box
    units = [numbers(region, f"PhysicalUnits{axis}Direction") for axis in "XY"]
    deltas = [numbers(region, f"PhysicalDelta{axis}") for axis in "XY"]
    if not (left <= column <= right + 1 and top <= row <= bottom + 1) or not all(deltas):
        return None
    if units != [(_CENTIMETRES,)] * 2 or not all(delta[0] for delta in deltas):
        return None
    return Spacing(abs(deltas[1][0]) * _MM_PER_CM, abs(deltas[0][0]) * _MM_PER_CM)


class Sources:
    """The analysed images by SOP Instance UID, in the order they came.

    Parameters
    ----------
    images
        Datasets with file meta information.
    distance_mm
        Between the slices of a volume; stands for a Slice Thickness that is not told.
    """

    def __init__(self, images: Iterable[Dataset], distance_mm: float | None = None) -> None:
        with quiet():
            found = [Source(_header(image, distance_mm), image) for image in images]
        self._by_uid = {source.sop_uid: source for source in found}

    def __iter__(self) -> Iterator[Source]:
        return iter(self._by_uid.values())

    def of(self, frame: SourceFrame) -> Source:
        """Return the image that a frame belongs to."""
        return self.by_uid(frame.sop_uid)

    def by_uid(self, sop_uid: str) -> Source:
        """Return the image of a SOP Instance UID."""
        return self._by_uid[sop_uid]


def _header(image: Dataset, distance_mm: float | None) -> Dataset:
    header = Dataset()
    for tag in image.keys():
        # Sequences of private creators are the largest part of some headers, and nothing here asks for them.
        if tag not in PIXEL_TAGS and not tag.is_private:
            # pydicom converts on access, and what a hostile value raises depends on its VR.
            with suppress(Exception):
                header.add(image[tag])
    for keyword in _TYPE_2:
        if header.get(keyword) is None:
            setattr(header, keyword, "")
    if str(header.PatientSex) not in _SEXES:
        header.PatientSex = ""
    if "ImagePositionPatient" in header and not numbers(header, "SliceThickness"):
        # May be empty in a slice (PS3.3 C.7.6.2), must not be in what is derived of it; None where nobody knows.
        header.SliceThickness = next(iter(numbers(header, "SpacingBetweenSlices")), distance_mm)
    if (spacing := numbers(header, "PixelSpacing")) and min(spacing) <= 0:
        del header.PixelSpacing
    # Our own texts go beside the sources', and not every label of a bundle fits into their character set.
    header.SpecificCharacterSet = "ISO_IR 192"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if "FrameOfReferenceUID" in header and not Source(header, image).is_registered:
        # Without a position it places nothing, and would claim that what is derived of it were placed.
        del header.FrameOfReferenceUID
    return header
