"""A folder as a user has one: a CT with a segmentation and a structure set, a series that makes no volume, junk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from firstread.imaging.masks.mask import Mask
from firstread.imaging.masks.written import to_segmentation, to_structures
from firstread.imaging.series import load
from tests.support.phantoms import AXIAL, Plane, planes, series

STUDY, CT, TILTED, TWICE, PRIOR = "2.25.1", "2.25.2", "2.25.21", "2.25.22", "2.25.9"
SEGMENTATION, STRUCTURES = "2.25.31", "2.25.32"
FRAME_OF_REFERENCE = "2.25.3"
BOX = (slice(10, 16), slice(18, 30), slice(24, 44))
"""Slices, rows and columns of the region `Box`."""
SMALL = (slice(12, 14), slice(4, 10), slice(4, 12))
"""Of the region `Small`."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Parameters
    ----------
    path
        The folder.
    images
        Those of the CT, in their order.
    """

    path: Path
    images: Sequence[Dataset]


def save(image: Dataset, path: Path) -> None:
    """Write an object."""
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID or UID("2.25.4")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)


def write_series(
    folder: Path, which: Sequence[Plane], series_uid: str, *, first: int = 7000, **attributes: object
) -> list[Dataset]:
    """Write a series of a sphere; UIDs of its images are 2.25.`first` and those that follow."""
    images = series(which)
    for number, image in enumerate(images):
        image.SeriesInstanceUID, image.SOPInstanceUID = UID(series_uid), UID(f"2.25.{first + number}")
        image.PatientID, image.PatientName = "FOLDER1", "Planted^Name"
        for name, value in attributes.items():
            setattr(image, name, value)
        save(image, folder / f"{first + number}.dcm")
    return images


def regions(images: Sequence[Dataset]) -> list[Mask]:
    """Return two boxes on the grid of a series."""
    volume = load(images)
    found = []
    for name, place in (("Box", BOX), ("Small", SMALL)):
        values = np.zeros(volume.grid, np.bool_)
        values[place] = True
        found.append(Mask(name, values))
    return found


def write_folder(path: Path) -> Written:
    """Write the folder."""
    images = write_series(path / "ct", planes(), CT, SeriesDescription="Axial", SeriesNumber=1)
    volume, masks = load(images), regions(images)
    segmentation = to_segmentation(masks, volume, images)
    segmentation.SeriesInstanceUID, segmentation.SOPInstanceUID = UID(SEGMENTATION), UID(f"{SEGMENTATION}.1")
    save(segmentation, path / "masks" / "seg.dcm")
    structures = to_structures(masks, volume, images, datetime(2026, 1, 2, tzinfo=UTC))
    structures.SeriesInstanceUID, structures.SOPInstanceUID = UID(STRUCTURES), UID(f"{STRUCTURES}.1")
    structures.ROIContourSequence[0].ROIDisplayColor = [255, 0, 0]
    save(structures, path / "masks" / "rt.dcm")
    tilted = planes(lean=np.array([0.0, 0.34, 1.0]))
    write_series(path / "tilted", tilted, TILTED, first=7100, SeriesDescription="Tilted", SeriesNumber=2)
    beside = [Plane(each.position + np.array([5.0, 0, 0]), AXIAL) for each in planes()[:6]]
    write_series(
        path / "twice", [*planes()[:6], *beside], TWICE, first=7200, SeriesDescription="Twice", SeriesNumber=3
    )
    (path / "notes.txt").write_text("no DICOM", encoding="utf-8")
    (path / "broken.dcm").write_bytes((path / "ct" / "7000.dcm").read_bytes()[:2000])
    (path / "copy.dcm").write_bytes((path / "ct" / "7003.dcm").read_bytes())
    return Written(path, images)
