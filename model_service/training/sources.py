"""Reading the images of a source: picture files, slices of volumes, DICOM images, drawn images."""

import hashlib
import io
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image

from firstread.dicom.silence import quiet
from firstread.imaging.pixels import frame_count
from firstread.imaging.render import to_png
from model_service.training.config import DataConfig, SourceConfig
from model_service.training.simulate import as_magnetic_resonance, draw
from model_service.training.split import Sample, patient_of

Pixels = npt.NDArray[np.uint8]
_Item = TypeVar("_Item")
Images = Iterator[tuple[str, Image.Image]]
# Under this share of the brightest value there is only air.
_AIR = 0.1
_MIN_CONTENT = 0.04


def read_source(root: Path, source: SourceConfig, data: DataConfig) -> Iterator[tuple[Sample, Pixels]]:
    """Read the images of a source, in a stable order.

    Parameters
    ----------
    root : pathlib.Path
        The data folder.
    source : SourceConfig
        Where the files are and what they show.
    data : DataConfig
        Classes, size and colour.

    Yields
    ------
    tuple of Sample and numpy.ndarray
        Height x width, or height x width x 3 where colour is kept.

    Raises
    ------
    FileNotFoundError
        If the source has no files.
    """
    label = data.classes.index(source.label)
    for file in _files(root, source):
        digest = hashlib.sha256(file.read_bytes()).hexdigest() if source.files else source.name
        for part, image in _READERS[source.reader](file, source):
            own = hashlib.sha256(f"{digest}/{part}".encode()).hexdigest() if part else digest
            yield (
                Sample(file, label, _patient(file, source, part), own, source.name, source.use),
                _fit(image, data),
            )


def _files(root: Path, source: SourceConfig) -> list[Path]:
    if not source.files:
        return [Path(source.name)]
    files = sorted(_folder(root, source).glob(source.files))
    if not files:
        raise FileNotFoundError(f"source {source.name} of class {source.label} has no files")
    return _spread(files, source.limit) if source.reader in ("image", "remapped") else files


def _folder(root: Path, source: SourceConfig) -> Path:
    if source.package is None:
        return root
    spec = find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"source {source.name} needs the package {source.package}")
    return Path(spec.submodule_search_locations[0])


def _patient(file: Path, source: SourceConfig, part: str) -> str:
    if source.one_patient:
        return source.name
    if source.reader == "synthetic":
        return f"{source.name}/{part}"
    return patient_of(file.name, source.patient) if source.patient else f"{file.parent.name}/{file.stem}"


def _image(file: Path, _source: SourceConfig) -> Images:
    with Image.open(file) as image:
        yield "", image


def _remapped(file: Path, _source: SourceConfig) -> Images:
    with Image.open(file) as image:
        seed = int.from_bytes(file.name.encode()[-8:], "big")
        yield "remapped", as_magnetic_resonance(image, np.random.default_rng(seed))


def _synthetic(_file: Path, source: SourceConfig) -> Images:
    for number in range(source.limit or 1):
        yield str(number), draw(np.random.default_rng(number))


def _dicom(file: Path, source: SourceConfig) -> Images:
    with quiet():
        dataset = pydicom.dcmread(file)
        for frame in _spread(list(range(frame_count(dataset))), source.limit):
            for window in source.windows or ("full",):
                png = to_png(dataset, frame, window=window)  # type: ignore[arg-type]
                with Image.open(io.BytesIO(png)) as image:
                    yield f"{frame}/{window}", image


def _nifti(file: Path, source: SourceConfig) -> Images:
    loaded: Any = nibabel.load(file)
    volume = np.asarray(loaded.dataobj, dtype=np.float32)
    volume = volume.reshape(*volume.shape[:3], -1)[..., 0]
    spacing = loaded.header.get_zooms()[:3]
    for axis in source.axes:
        low, high = (round(share * volume.shape[axis]) for share in source.between)
        for index in _spread(list(range(low, high)), source.limit):
            plane = np.rot90(volume.take(index, axis=axis))
            width, height = (spacing[other] * volume.shape[other] for other in range(3) if other != axis)
            for window in source.windows or (None,):
                shown = _shown(plane, window)
                if (shown > _AIR * 255).mean() > _MIN_CONTENT:
                    size = (256, max(1, round(256 * height / width)))
                    yield (
                        f"{axis}/{index}/{window}",
                        Image.fromarray(shown).resize(size, Image.Resampling.BILINEAR),
                    )


def _shown(plane: npt.NDArray[np.float32], window: tuple[float, float] | None) -> Pixels:
    if window is None:
        low, high = (float(bound) for bound in np.percentile(plane, [0.5, 99.5]))
    else:
        low, high = window[0] - window[1] / 2, window[0] + window[1] / 2
    return np.asarray(np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255, dtype=np.uint8)


def _spread(items: list[_Item], limit: int | None) -> list[_Item]:
    return items[:: -(-len(items) // limit)] if limit and items else items


def _fit(image: Image.Image, data: DataConfig) -> Pixels:
    plain = image.convert("RGB" if data.colour else "L")
    if data.side:
        plain = plain.resize((data.side, data.side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(plain)


_READERS: dict[str, Callable[[Path, SourceConfig], Images]] = {
    "image": _image,
    "remapped": _remapped,
    "synthetic": _synthetic,
    "dicom": _dicom,
    "nifti": _nifti,
}
