"""Run a bundle once, on a sample of the right shape or a real one, before anybody routes a study to it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from firstread.dicom.silence import quiet
from firstread.imaging.pixels import PixelError
from firstread.imaging.render import colour, grayscale, modality_values
from firstread.imaging.series import load_volume
from firstread.imaging.verdict import VolumeError
from firstread.imaging.volume import SourceFrame, Volume
from model_service.errors import BundleError
from model_service.inference import load_model
from model_service.manifest import BundleManifest, Classification, ImageInput, Recognition, Segmentation
from model_service.manifest.inputs import MinMax, Range
from model_service.prediction import Classified, Detected, Image, Prediction, Segmented

_SIDE = 256
_DEPTH = 64
_DECIMALS = 4


@dataclass(frozen=True)
class DryRun:
    """What a bundle did with a sample.

    Parameters
    ----------
    sample
        What it was given.
    output
        What came out, by shape.
    seconds
        How long one prediction took, the first one left out.
    engine, precision
        What computed it.
    findings
        What it says, a line each.
    """

    sample: str
    output: str
    seconds: float
    engine: str
    precision: str
    findings: tuple[str, ...]


def dry_run(folder: Path, sample: Path | None) -> DryRun:
    """Run a bundle on the CPU.

    Parameters
    ----------
    folder
        The bundle, exported.
    sample
        A DICOM file, or a folder of one series; None for a made-up sample.

    Raises
    ------
    BundleError
        If it cannot be run, its output is not what the manifest says, or the sample cannot be read.
    """
    model = load_model(folder, "cpu")
    manifest = model.manifest
    given = _made_up(manifest) if sample is None else _read(manifest, sample)
    try:
        model.predict([given])  # the first one pays for what is made once
        started = time.perf_counter()
        (found,) = model.predict([given])
    except (ValueError, RuntimeError, IndexError) as error:
        raise BundleError(f"the dry run failed: {error}") from None
    seconds = time.perf_counter() - started
    _check(manifest, found)
    output, findings = _told(manifest, found)
    shape = given.values.shape if isinstance(given, Volume) else given.shape
    kind = "volume" if isinstance(given, Volume) else "image"
    origin = "made up" if sample is None else "the sample"
    told = f"{kind} of {_by(shape)}, {origin}"
    return DryRun(told, output, seconds, model.engine.name, model.engine.precision, findings)


def _read(manifest: BundleManifest, sample: Path) -> Image | Volume:
    try:
        with quiet():
            if not isinstance(manifest.input, ImageInput):
                files = sorted(p for p in sample.rglob("*") if p.is_file()) if sample.is_dir() else [sample]
                return load_volume([pydicom.dcmread(file) for file in files])
            dataset = pydicom.dcmread(sample)
            if manifest.input.channels == 3:
                return colour(dataset)
            if manifest.input.values == "modality":
                return modality_values(dataset)
            return grayscale(dataset, window="full")
    except (VolumeError, PixelError) as error:
        raise BundleError(f"the sample cannot be used: {error.reason.value}") from None
    except (pydicom.errors.InvalidDicomError, OSError):
        # The name of the file may be a patient's.
        raise BundleError("the sample cannot be read as DICOM") from None


def _made_up(manifest: BundleManifest) -> Image | Volume:
    wanted = manifest.input
    low, high = _values(manifest)
    if isinstance(wanted, ImageInput):
        rows, columns = (int(1.5 * each) for each in wanted.window or wanted.size or (_SIDE, _SIDE))
        shape = (rows, columns) if wanted.channels == 1 else (rows, columns, 3)
        return _waves(shape, low, high)
    sides = [int(1.25 * each) for each in wanted.window or (_DEPTH,) * 3]
    # Axial slices, rows towards the left, columns towards the back (LPS); the network's own spacing.
    affine = np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]
    affine[:3, :3] *= (wanted.spacing_mm or (1.0,))[0]
    frames = tuple(SourceFrame("2.25.1", number + 1) for number in range(sides[0]))
    return Volume(_waves((sides[0], sides[1], sides[2]), low, high), affine, frames)


def _values(manifest: BundleManifest) -> tuple[float, float]:
    wanted = manifest.input
    if isinstance(wanted, ImageInput) and wanted.values == "brightness":
        return 0.0, 1.0
    if isinstance(wanted.intensity, Range):
        return wanted.intensity.low, wanted.intensity.high
    return 0.0, 1000.0 if isinstance(wanted.intensity, MinMax) else 100.0


def _waves(shape: tuple[int, ...], low: float, high: float) -> npt.NDArray[np.float32]:
    """Return something with structure at several scales, the same each time."""
    axes = np.meshgrid(*(np.linspace(0, 1, each, dtype=np.float32) for each in shape), indexing="ij")
    field = sum((np.sin((3 + 4 * index) * np.pi * axis) for index, axis in enumerate(axes)), np.float32(0))
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    unit = np.clip(0.5 + 0.15 * np.asarray(field) + 0.05 * noise, 0, 1)
    return np.asarray(low + (high - low) * unit, np.float32)


def _check(manifest: BundleManifest, found: Prediction) -> None:
    output = manifest.output
    if isinstance(found, Segmented) and isinstance(output, Segmentation):
        sound = found.labels.max() <= len(output.segments)
    elif isinstance(found, Classified):
        sound = all(0 <= each <= 1 for each in found.probabilities)
    else:
        sound = isinstance(found, Detected) and 0 <= found.highest <= 1
    if not sound:
        raise BundleError("the network's output is not what the manifest says")


def _told(manifest: BundleManifest, found: Prediction) -> tuple[str, tuple[str, ...]]:
    output = manifest.output
    if isinstance(found, Classified) and isinstance(output, Classification):
        lines = (
            f"{each.finding.label}: {round(probability, _DECIMALS)}"
            + (", at or above the operating point" if probability >= each.operating_point.threshold else "")
            for each, probability in zip(output.classes, found.probabilities, strict=True)
        )
        return f"{len(found.probabilities)} probabilities", tuple(lines)
    if isinstance(found, Classified) and isinstance(output, Recognition):
        scored = zip(output.classes, found.probabilities, strict=True)
        return f"{len(found.probabilities)} probabilities", tuple(
            f"{each.label}: {round(probability, _DECIMALS)}" for each, probability in scored
        )
    if isinstance(found, Segmented) and isinstance(output, Segmentation):
        counted = np.bincount(found.labels.ravel(), minlength=len(output.segments) + 1)
        return f"label map of {_by(found.labels.shape)}", tuple(
            f"{each.label}: {counted[each.number]} of {found.labels.size}" for each in output.segments
        )
    assert isinstance(found, Detected)  # noqa: S101 - `_check` has seen that it is
    return f"{len(found.boxes)} boxes", (f"highest score: {round(found.highest, _DECIMALS)}",)


def _by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))
