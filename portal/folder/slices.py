"""Slices of volumes as DICOM images, made when the viewer asks for them, and as rows of the index."""

import json
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat

from firstread.dicom.silence import quiet
from firstread.imaging.slices import is_plane
from firstread.objects.identity import named
from portal.folder.files import Make
from portal.folder.kinds import Row
from portal.folder.labels import group_of
from portal.folder.voxels import Array, Loaded, Voxels

_SOFT_TISSUE = (40.0, 400.0)
_INSIDE = (1.0, 99.0)  # percentiles, as of images that come without a window
_HOUNSFIELD = "[hnsf'U]"
_EMPTY = (
    "study_date",
    "patient_id",
    "body_part_raw",
    "view_position",
    "series_number",
    "links",
    "rois",
    "image_type",
)


def series_uid_of(voxels: Voxels) -> str:
    """Return the Series Instance UID that a volume gets: the same at each start."""
    return named("series of a volume", voxels.name)


def study_uid_of(group: str) -> str:
    """Return the Study Instance UID of volumes that belong together."""
    return named("study of volumes", group)


def rows_of(voxels: Voxels) -> list[Row]:
    """Return what the index would know of the images of a volume."""
    return [_row(voxels, number) for number in range(voxels.images)]


def files_of(voxels: Voxels, loaded: Loaded) -> dict[str, Make]:
    """Return what makes the images of a volume, by the keys of their rows."""
    images = Images(voxels, loaded)
    return {_key(voxels, number): partial(images.file, number) for number in range(voxels.images)}


def _key(voxels: Voxels, number: int) -> str:
    return f"{voxels.name}#{number}"


def _row(voxels: Voxels, number: int) -> Row:
    group = group_of(voxels.name)
    time = number // voxels.shape[0]
    return dict.fromkeys(_EMPTY) | {
        "study_uid": study_uid_of(group),
        "series_uid": series_uid_of(voxels),
        "sop_uid": named("slice of a volume", voxels.name, number),
        "sop_class_uid": str(SecondaryCaptureImageStorage),
        "path": _key(voxels, number),
        "volume": voxels.name,
        "is_image": True,
        "frames": 1,
        "rows": voxels.shape[1],
        "columns": voxels.shape[2],
        "instance_number": number + 1,
        "modality": voxels.said.get("modality", "") or "OT",
        "series_description": voxels.name.rpartition("/")[2],
        "study_description": group,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "frame_of_reference_uid": _frame_of_reference(voxels),
        "planar_spacing": list(voxels.spacing_mm[1:]),
        "planes": _plane(voxels, number),
        "keys": json.dumps([{"TemporalPositionIdentifier": time + 1} if voxels.times > 1 else {}]),
    }


def _frame_of_reference(voxels: Voxels) -> str | None:
    """Return the same for volumes that were converted of images in the same coordinates."""
    if voxels.affine is None:
        return None
    digest = voxels.said.get("frame_of_reference")
    return named("frame of reference", digest if isinstance(digest, str) else f"of {voxels.name}")


def _plane(voxels: Voxels, number: int) -> list[float] | None:
    if voxels.affine is None:
        return None
    slices, rows, columns = voxels.affine[:3, :3].T
    position = voxels.affine[:3, 3] + slices * (number % voxels.shape[0])
    across, down = columns / voxels.spacing_mm[2], rows / voxels.spacing_mm[1]
    found = [*position, *across, *down, *voxels.spacing_mm[1:]]
    return [float(each) for each in found] if is_plane(found[3:9], found[9:]) else None


class Images:
    """The images of one volume, as `firstread.imaging` reads a series.

    Parameters
    ----------
    voxels
        The volume.
    loaded
        Has its values.
    """

    def __init__(self, voxels: Voxels, loaded: Loaded) -> None:
        self._voxels, self._loaded = voxels, loaded
        self._window: tuple[float, float] | None = None

    @property
    def headers(self) -> list[Dataset]:
        """Return the images without their pixels."""
        with quiet():
            return [self._header(_row(self._voxels, each)) for each in range(self._voxels.images)]

    def stored(self, image: int, frame: int) -> Array:
        """Return the values of an image."""
        del frame  # each has one
        return self._loaded.plane(self._voxels, image)

    def file(self, number: int) -> bytes:
        """Return an image as a DICOM file.

        Raises
        ------
        CannotRenderError
            If the file of the volume cannot be read.
        """
        pixels = self.stored(number, 0)
        with quiet(), BytesIO() as file:
            made = self._header(_row(self._voxels, number))
            _put_pixels(made, pixels)
            if pixels.ndim == 2:
                self._put_window(made, pixels.dtype.kind == "f")
            made.save_as(file, enforce_file_format=True)
            return file.getvalue()

    def _header(self, row: Row) -> Dataset:
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(row["sop_uid"])
        made.SpecificCharacterSet = "ISO_IR 192"
        made.StudyInstanceUID, made.SeriesInstanceUID = UID(row["study_uid"]), UID(row["series_uid"])
        made.ImageType = ["DERIVED", "SECONDARY"]
        made.Modality, made.SeriesDescription = row["modality"], row["series_description"][:64]
        made.PatientID = made.PatientName = made.StudyID = made.AccessionNumber = ""
        made.InstanceNumber = row["instance_number"]
        made.Rows, made.Columns = row["rows"], row["columns"]
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.PixelSpacing = _decimals(self._voxels.spacing_mm[1:])
        if row["planes"]:
            made.FrameOfReferenceUID = UID(row["frame_of_reference_uid"])
            made.ImagePositionPatient = _decimals(row["planes"][:3])
            made.ImageOrientationPatient = _decimals(row["planes"][3:9])
        if self._voxels.times > 1:
            made.TemporalPositionIdentifier = (row["instance_number"] - 1) // self._voxels.shape[0] + 1
        said = self._voxels.said
        if said.get("is_ours"):  # of others, nobody has said it
            made.RescaleIntercept, made.RescaleSlope = 0, 1
            made.RescaleType = {"": "US", _HOUNSFIELD: "HU"}.get(said["units"], said["units"])
        return made

    def _put_window(self, made: Dataset, is_float: bool) -> None:
        """Give all images of a volume the same window: that of its middle slice."""
        is_hounsfield = made.Modality == "CT" and made.get("RescaleType", "HU") == "HU"
        if self._window is None:
            self._window = _SOFT_TISSUE if is_hounsfield else self._range()
        center, width = self._window
        if width > 0:
            made.WindowCenter, made.WindowWidth = _decimals((center, width))
            made.VOILUTFunction = "LINEAR_EXACT" if is_float else "LINEAR"

    def _range(self) -> tuple[float, float]:
        middle = self.stored(self._voxels.images // 2, 0).astype(np.float64)
        inside = middle[np.isfinite(middle)]
        if not inside.size:
            return 0.0, 0.0
        low, high = (float(each) for each in np.percentile(inside, _INSIDE))
        if low == high:
            low, high = float(inside.min()), float(inside.max())
        return (low + high) / 2, high - low


def _put_pixels(made: Dataset, pixels: Array) -> None:
    if pixels.dtype.kind == "f":
        made.BitsAllocated = 32
        made.FloatPixelData = pixels.tobytes()  # PS3.3 C.7.6.24
        return
    bits = 8 * pixels.dtype.itemsize
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit, made.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    data = pixels.tobytes()
    made.add_new(0x7FE00010, "OB" if bits == 8 else "OW", data + b"\0" * (len(data) % 2))


def _decimals(values: Any) -> list[DSfloat]:  # noqa: ANN401 - an array or a sequence
    return [DSfloat(float(each), auto_format=True) for each in values]
