"""A simulated chest radiograph: a phantom of simple bodies, projected by the law of Beer and Lambert.

It exists because no public file at hand is both inside the first model's population (a child's chest X-ray) and free to
ship. It is labelled as simulated in Synthetic Data (0008,001C) and in every description, and everything that shows
it says so. The phantom is anatomy in outline only; what a model says about it says nothing about the model.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

Array = npt.NDArray[np.float64]

_SIDE = 768
_FIELD_CM = 26.0
_WATER = 0.20  # linear attenuation of soft tissue in 1/cm at about 60 keV
_PHOTONS = 40_000.0  # per pixel behind air; sets the quantum noise


@dataclass(frozen=True)
class Body:
    """A homogeneous superellipsoid of the phantom.

    Parameters
    ----------
    x, z
        Centre in cm from the middle of the field, x to the patient's left, z down.
    a, b, c
        Half axes in cm along x, along the beam, and along z.
    mu
        Attenuation in 1/cm, relative to what it lies in.
    power
        Exponent of its outline: 2 is an ellipse, more is boxier.
    """

    x: float
    z: float
    a: float
    b: float
    c: float
    mu: float
    power: float = 2.0

    def line_integral(self, x: Array, z: Array) -> Array:
        """Return attenuation times path length of a parallel beam at each point."""
        outline = np.abs((x - self.x) / self.a) ** self.power + np.abs((z - self.z) / self.c) ** self.power
        path: Array = 2.0 * self.b * np.sqrt(np.clip(1.0 - outline, 0.0, None)) * self.mu
        return path


_TRUNK = (
    Body(0.0, 7.5, 9.4, 5.6, 15.5, _WATER, 4.0),
    Body(0.0, -7.6, 13.4, 1.7, 3.0, _WATER * 0.8, 2.4),  # shoulders
    Body(0.0, -12.5, 2.9, 3.0, 5.5, _WATER * 0.6, 3.0),  # neck
)
_LUNGS = (
    Body(-4.3, 0.8, 3.6, 4.3, 7.6, -0.150, 2.4),
    Body(4.5, 0.8, 3.4, 4.3, 7.6, -0.150, 2.4),
)
_HEART = Body(1.3, 2.4, 3.4, 3.3, 3.6, 0.150)
_WITHIN = (
    Body(0.5, -2.4, 1.5, 2.4, 4.4, 0.030),  # great vessels
    Body(0.0, -7.5, 0.50, 0.8, 5.0, -0.120),  # trachea
    Body(0.0, 2.0, 1.05, 1.1, 26.0, 0.130, 4.0),  # spine
)
_OPACITIES = (
    Body(-4.9, 2.4, 2.4, 3.0, 2.2, 0.140),
    Body(-3.6, 0.6, 1.7, 2.6, 2.0, 0.120),
    Body(5.0, -1.4, 1.6, 2.4, 1.9, 0.110),
)


def _diaphragm(x: Array) -> Array:
    """Return the height, in cm, at which the lungs end: a dome on each side, the right one higher."""
    right, left = 3.9 + 0.16 * (x + 4.2) ** 2, 4.6 + 0.16 * (x - 4.6) ** 2
    height: Array = np.where(x < 0, right, left)
    return height


def chest(seed: int, opacity: bool = True) -> npt.NDArray[np.uint16]:
    """Return a simulated frontal chest radiograph of a child.

    Parameters
    ----------
    seed
        Varies noise, texture and the opacities a little.
    opacity
        Whether the lungs hold opacities.

    Returns
    -------
    numpy.ndarray
        768 x 768, 12 bits stored, MONOCHROME2: more attenuation is brighter.
    """
    random = np.random.default_rng(seed)
    line = np.linspace(-_FIELD_CM / 2, _FIELD_CM / 2, _SIDE)
    x, z = np.meshgrid(line, line)
    air = sum((body.line_integral(x, z) for body in _LUNGS), np.zeros_like(x))
    air /= 1.0 + np.exp((z - _diaphragm(x)) / 0.12)
    integral = air + sum((body.line_integral(x, z) for body in (*_TRUNK, *_WITHIN)), np.zeros_like(x))
    integral += _ribs(x, z) + _clavicles(x, z)
    in_lung = _blurred(np.clip(-air, 0.0, 1.0), 6.0)
    integral += _vessels(random) * (0.25 + in_lung)
    # The heart takes the place of lung, so it adds nothing where there is none.
    integral += _HEART.line_integral(x, z) * in_lung
    if opacity:
        for body in _OPACITIES:
            size = random.uniform(0.9, 1.15)
            moved = replace(body, x=body.x + random.uniform(-0.4, 0.4), a=body.a * size, c=body.c * size)
            integral += _ragged(moved.line_integral(x, z), random) * np.minimum(1.0, 1.4 * in_lung)
    integral = _blurred(np.clip(integral, 0.0, None), 1.6)
    photons = random.poisson(_PHOTONS * np.exp(-integral))
    attenuation = -np.log(np.maximum(photons, 1) / _PHOTONS)
    scaled = np.clip(attenuation / 3.1, 0.0, 1.0)
    return np.round(scaled * 4095).astype(np.uint16)


def _ribs(x: Array, z: Array) -> Array:
    """Return the line integral of ten pairs of ribs: bands along arcs that fall towards the side."""
    total = np.zeros_like(x)
    for level in range(10):
        for slope, width, weight in ((0.045, 0.34, 0.17), (-0.070, 0.30, 0.08)):  # posterior, anterior arc
            middle = -7.6 + 1.55 * level + slope * x**2 + (2.2 if slope < 0 else 0.0)
            band = np.exp(-(((z - middle) / width) ** 2))
            total += weight * band * (np.abs(x) > 1.0) * (np.abs(x) < 8.4)
    return total


def _clavicles(x: Array, z: Array) -> Array:
    middle = -6.6 - 0.14 * np.abs(x)
    band: Array = 0.34 * np.exp(-(((z - middle) / 0.36) ** 2)) * (np.abs(x) > 0.8) * (np.abs(x) < 8.5)
    return band


def _vessels(random: np.random.Generator) -> Array:
    """Return a fine texture, as of lung vessels: smoothed noise at two scales."""
    fine = _blurred(random.normal(0.0, 1.0, (_SIDE, _SIDE)), 3.0)
    coarse = _blurred(random.normal(0.0, 1.0, (_SIDE, _SIDE)), 9.0)
    texture: Array = 0.02 * fine / fine.std() + 0.03 * coarse / coarse.std()
    return texture


def _ragged(integral: Array, random: np.random.Generator) -> Array:
    """Make an opacity patchy and soft at its edge."""
    noise = _blurred(random.normal(0.0, 1.0, integral.shape), 14.0)
    patchy: Array = _blurred(integral, 9.0) * (1.0 + 0.35 * noise / np.abs(noise).max())
    return patchy


def _blurred(values: Array, sigma: float) -> Array:
    """Return values convolved with a Gaussian of `sigma` pixels; edges are mirrored."""
    height, width = values.shape
    mirrored = np.pad(values, ((0, height), (0, width)), mode="symmetric")
    rows, columns = np.fft.fftfreq(2 * height)[:, None], np.fft.rfftfreq(2 * width)[None, :]
    gain = np.exp(-2.0 * (np.pi * sigma) ** 2 * (rows**2 + columns**2))
    smooth: Array = np.fft.irfft2(np.fft.rfft2(mirrored) * gain, s=mirrored.shape)[:height, :width]
    return smooth


def radiograph(seed: int, when: datetime, opacity: bool = True) -> bytes:
    """Return the simulated radiograph as a DICOM file (Digital X-Ray Image, For Presentation; PS3.3 A.26).

    Parameters
    ----------
    seed
        As for `chest`.
    when
        Study date and time.
    opacity
        As for `chest`.
    """
    pixels = chest(seed, opacity)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SyntheticData = "YES"
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = f"{when:%Y%m%d}"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = f"{when:%H%M%S}"
    dataset.AccessionNumber = f"SIM{seed:06d}"
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Manufacturer = "FirstRead simulation"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Chest radiograph, SIMULATED"
    dataset.SeriesDescription = "SIMULATED phantom projection"
    dataset.PatientName = "Phantom^Simulated"
    dataset.PatientID = f"SIMULATED-{seed}"
    dataset.PatientBirthDate = f"{when.year - 4}0101"
    dataset.PatientSex = "O"
    dataset.PatientAge = "003Y"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "AP"
    dataset.StudyInstanceUID = generate_uid(prefix=None)
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.StudyID = ""
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = "B"
    dataset.BurnedInAnnotation = "NO"
    dataset.ImagerPixelSpacing = [10 * _FIELD_CM / _SIDE] * 2
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.LossyImageCompression = "00"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = pixels.tobytes()
    target = BytesIO()
    dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()


def write_radiograph(path: Path, seed: int, when: datetime, opacity: bool = True) -> Path:
    """Write `radiograph` to a file and return its path."""
    path.write_bytes(radiograph(seed, when, opacity))
    return path
