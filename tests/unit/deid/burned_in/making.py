"""Files with pixels in any syntax, and detectors that need no network of neurons."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from firstread.deid.burned_in import CleanResult, TextBox, TextDetector, clean
from firstread.dicom import read
from firstread.dicom.silence import quiet
from tests.support.dicoms import encode, header

Array = npt.NDArray[Any]


class Beacon:
    """Finds one bright square, which a test has drawn: as sure as a reader, and as blind once it is blanked."""

    def __init__(self, level: int = 250, text: str = "") -> None:
        self.level, self.text, self.looks = level, text, 0

    def find(self, image: npt.NDArray[np.uint8]) -> Sequence[TextBox]:
        self.looks += 1
        gray = image if image.ndim == 2 else image.min(axis=2)
        rows, columns = np.where(gray >= self.level)
        if len(rows) < 4:
            return []
        if len(rows) < 0.9 * np.ptp(rows) * np.ptp(columns):  # scattered: noise
            return []
        corners = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
        return [TextBox(*corners, self.text)]


class Blind:
    """Finds nothing."""

    def find(self, image: npt.NDArray[np.uint8]) -> Sequence[TextBox]:  # noqa: ARG002 - it does not look
        return []


class Always:
    """Finds text whatever it is shown."""

    def find(self, image: npt.NDArray[np.uint8]) -> Sequence[TextBox]:  # noqa: ARG002 - it does not look
        return [TextBox(0, 0, 4, 4, "QUIMBY")]


def image(shape: tuple[int, ...], dtype: str = "uint8", top: int = 120, seed: int = 1) -> Array:
    """Return a noisy frame, or frames, far from white."""
    return np.random.default_rng(seed).integers(10, top, shape).astype(dtype)


def described(frames: Array, count: int, **values: object) -> Dataset:
    """Return a header for frames: rows x columns, or rows x columns x 3, with an axis before for more than one."""
    shape = frames.shape[1:] if count > 1 else frames.shape
    bits = frames.dtype.itemsize * 8
    defaults: dict[str, object] = {
        "Rows": shape[0],
        "Columns": shape[1],
        "SamplesPerPixel": 3 if len(shape) == 3 else 1,
        "PhotometricInterpretation": "RGB" if len(shape) == 3 else "MONOCHROME2",
        "PlanarConfiguration": 0 if len(shape) == 3 else None,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(frames.dtype.kind == "i"),
        "NumberOfFrames": count if count > 1 else None,
    }
    return header(**(defaults | values))


def native(frames: Array, count: int = 1, syntax: UID = ExplicitVRLittleEndian, **values: object) -> bytes:
    """Return a native file of frames."""
    big = frames.astype(frames.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<"))
    data = big.tobytes()
    if syntax == ExplicitVRBigEndian and frames.dtype.itemsize == 1:  # PS3.5 8.1.1, as VR is OW
        data = np.frombuffer(data, np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    return encode(described(frames, count, **values), syntax, data)


def compressed(
    frames: Array,
    syntax: UID,
    count: int = 1,
    parts: int = 1,
    options: dict[str, Any] | None = None,
    **values: object,
) -> bytes:
    """Return a file whose frames pydicom has compressed, each in `parts` fragments."""
    dataset = described(frames, count, **values)
    codes = [
        code_of(frame, syntax, dataset, **(options or {})) for frame in (frames if count > 1 else [frames])
    ]
    return encapsulated(dataset, codes, syntax, parts)


def code_of(frame: Array, syntax: UID, dataset: Dataset, **options: object) -> bytes:
    """Return one frame, compressed."""
    keywords: dict[str, Any] = {
        "rows": dataset.Rows,
        "columns": dataset.Columns,
        "samples_per_pixel": dataset.SamplesPerPixel,
        "bits_allocated": dataset.BitsAllocated,
        "bits_stored": dataset.BitsStored,
        "pixel_representation": dataset.PixelRepresentation,
        "photometric_interpretation": dataset.PhotometricInterpretation,
        "number_of_frames": 1,
        "planar_configuration": 0,
    }
    return bytes(get_encoder(syntax).encode(frame, **(keywords | options)))


def encapsulated(dataset: Dataset, codes: list[bytes], syntax: UID, parts: int = 1) -> bytes:
    """Return a file of compressed frames."""
    body = encode(dataset, syntax, b"\0\0")
    file = pydicom.dcmread(BytesIO(body))
    file.PixelData = encapsulate(codes, fragments_per_frame=parts)
    target = BytesIO()
    dcmwrite(target, file, enforce_file_format=True)
    return target.getvalue()


def cleaned(
    data: bytes, detector: TextDetector, *, prefilter: bool = False
) -> tuple[FileDataset, CleanResult]:
    """Return the file that a caller puts together from what `clean` wrote."""
    target = BytesIO()
    with read(BytesIO(data)) as file:
        result = clean(file, target, detector, prefilter=prefilter)
        dataset = file.dataset
        syntax = file.transfer_syntax
    whole = BytesIO()
    dataset.preamble = bytes(128)
    dataset.file_meta.TransferSyntaxUID = syntax
    with quiet():
        result.update(dataset)
        dcmwrite(whole, dataset, enforce_file_format=True)
    whole.write(target.getvalue())
    whole.seek(0)
    return pydicom.dcmread(whole), result
