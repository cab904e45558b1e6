"""A function that workers can import."""

from pathlib import Path

import numpy as np
from pydicom.uid import UID

from firstread.dicom.silence import quiet
from firstread.imaging.volume import Volume
from tests.support.phantoms import Plane, image, planes


def ball(volume: Volume) -> dict[str, np.ndarray]:
    return {"ball": volume.values > 0}


def write(folder: Path, patient: str, number: int, offset: float = 0.0) -> str:
    """Write a small series of its own patient; return its UID."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = f"2.25.{900 + number}"
    for count, plane in enumerate(planes(tuple(3.0 * (each - 9.5) for each in range(20)))):
        made = image(Plane(plane.position, plane.directions, (36, 40)), count + 1, intercept=-1024.0 + offset)
        made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID = patient, f"{uid}.1", uid
        made.FrameOfReferenceUID = f"{uid}.2"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.3.{count + 1}")
        with quiet():
            made.save_as(folder / f"{count:02d}.dcm", enforce_file_format=True)
    return uid
