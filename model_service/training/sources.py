"""Reading the images of a source: picture files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from model_service.training.config import DataConfig, SourceConfig
from model_service.training.split import Sample, patient_of

Pixels = npt.NDArray[np.uint8]


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
    files = sorted(root.glob(source.files))
    if not files:
        raise FileNotFoundError(f"source {source.name} of class {source.label} has no files")
    if source.limit:
        files = files[:: -(-len(files) // source.limit)]
    for file in files:
        patient = patient_of(file.name, source.patient) if source.patient else f"{source.name}/{file.stem}"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        label = data.classes.index(source.label)
        sample = Sample(file, label, patient, digest, source.name, source.external)
        with Image.open(file) as image:
            yield sample, _fit(image, data)


def _fit(image: Image.Image, data: DataConfig) -> Pixels:
    plain = image.convert("RGB" if data.colour else "L")
    if data.side:
        plain = plain.resize((data.side, data.side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(plain)
