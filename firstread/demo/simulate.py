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
_FIELD_CM = 22.0
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
    Body(0.0, 7.5, 9.0, 5.2, 16.8, _WATER, 3.4),
    Body(0.0, -8.6, 12.0, 2.0, 2.4, _WATER * 0.8, 2.4),  # shoulders
    Body(-10.6, 0.0, 1.7, 1.7, 12.0, _WATER, 3.0),  # arms
    Body(10.6, 0.0, 1.7, 1.7, 12.0, _WATER, 3.0),
    Body(0.0, -11.5, 2.7, 2.8, 5.5, _WATER * 0.6, 3.0),  # neck
)
_HEART = Body(0.9, 1.2, 3.7, 3.4, 4.1, 0.150)
_WITHIN = (
    Body(0.0, -7.0, 0.45, 0.7, 4.5, -0.100),  # trachea
    Body(0.0, 2.0, 0.95, 1.0, 26.0, 0.120, 4.0),  # spine
)
_OPACITIES = (
    Body(-4.8, 1.6, 2.4, 3.4, 2.4, 0.165),
    Body(-3.4, -0.6, 1.9, 3.0, 2.3, 0.145),
    Body(4.9, -1.8, 1.9, 2.8, 2.1, 0.145),
)
_LUNG_MU = -0.165
_LUNG_TOP = -6.6


def _lungs(x: Array, z: Array) -> Array:
    """Return the line integral of the lungs: wide at the base, narrow at the top, cut by diaphragm and mediastinum."""
    side = np.abs(x)
    height = np.clip((z - _LUNG_TOP) / 11.0, 0.0, 1.2)
    outer = 3.3 + 4.6 * np.sqrt(height)
    inner = 1.35 + 0.45 * np.exp(-(((z + 1.2) / 1.6) ** 2))  # hila
    across = np.clip((outer - side) / (outer - inner), 0.0, 1.0) * np.clip((side - inner) / 0.5, 0.0, 1.0)
    depth = 9.0 * np.clip(2.5 * across, 0.0, 1.0) ** 0.6 * np.clip((z - _LUNG_TOP) / 1.2, 0.0, 1.0) ** 0.5
    lungs: Array = _LUNG_MU * depth / (1.0 + np.exp((z - _diaphragm(x)) / 0.10))
    return lungs


def _diaphragm(x: Array) -> Array:
    """Return the height, in cm, at which the lungs end: a dome on each side, the right one higher."""
    right, left = 3.3 + 0.085 * (x + 3.4) ** 2, 4.0 + 0.085 * (x - 3.6) ** 2
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
    air = _blurred(_lungs(x, z), 2.0)
    integral = air + sum((body.line_integral(x, z) for body in (*_TRUNK, *_WITHIN)), np.zeros_like(x))
    in_lung = _blurred(np.clip(-air, 0.0, 1.0), 6.0)
    # The heart takes the place of lung, so it adds nothing where there is none.
    integral += _HEART.line_integral(x, z) * np.minimum(1.0, 1.1 * np.clip(-air, 0.0, 1.0))
    integral += _ribs(x, z) + _clavicles(x, z) + _vessels(random) * (0.2 + in_lung)
    if opacity:
        for body in _OPACITIES:
            size = random.uniform(0.9, 1.15)
            moved = replace(body, x=body.x + random.uniform(-0.4, 0.4), a=body.a * size, c=body.c * size)
            integral += _ragged(moved.line_integral(x, z), random) * np.minimum(1.0, 1.4 * in_lung)
    integral = _blurred(np.clip(integral, 0.0, None), 1.2)
    photons = random.poisson(_PHOTONS * np.exp(-integral))
    attenuation = -np.log(np.maximum(photons, 1) / _PHOTONS)
    scaled = np.clip(attenuation / 2.6, 0.0, 1.0)
    return np.round(scaled * 4095).astype(np.uint16)


def _ribs(x: Array, z: Array) -> Array:
    """Return the line integral of eleven pairs of ribs: bands along arcs, densest at the side, where they turn."""
    total = np.zeros_like(x)
    side = np.abs(x)
    for level in range(11):
        reach = min(8.3, 4.6 + 0.75 * level)  # how far out the cage goes at this rib
        turn = np.exp(-(((side - reach + 0.25) / 0.5) ** 2))
        for slope, width, weight in ((0.038, 0.24, 0.22), (-0.055, 0.20, 0.09)):  # posterior, anterior arc
            middle = -7.6 + 1.25 * level + slope * x**2 + (2.0 if slope < 0 else 0.0)
            band = np.exp(-(((z - middle) / width) ** 4))
            total += (weight + 0.22 * turn) * band * (side > 0.9) * (side < reach)
    return _blurred(total, 1.0)


def _clavicles(x: Array, z: Array) -> Array:
    middle = -7.3 - 0.10 * np.abs(x)
    band: Array = 0.30 * np.exp(-(((z - middle) / 0.34) ** 4)) * (np.abs(x) > 0.8) * (np.abs(x) < 8.5)
    return band


def _vessels(random: np.random.Generator) -> Array:
    """Return a fine texture, as of lung vessels: smoothed noise at two scales."""
    fine = _blurred(random.normal(0.0, 1.0, (_SIDE, _SIDE)), 3.0)
    coarse = _blurred(random.normal(0.0, 1.0, (_SIDE, _SIDE)), 9.0)
    texture: Array = 0.02 * fine / fine.std() + 0.02 * coarse / coarse.std()
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
    dataset.StudyDescription = "Simulated chest radiograph"
    dataset.SeriesDescription = "Simulated phantom projection"
    dataset.PatientName = "Doe^Sim"  # words of a name are swept from descriptions
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
