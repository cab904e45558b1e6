"""A CT series of 300 slices as a volume, and series with something wrong, beside peers: CPU, memory, voxels, places;
and random patches from each store."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from benchmarks.imaging.peers import REQUIREMENTS, missing
from benchmarks.imaging.ways import WAYS
from benchmarks.page import table, write
from benchmarks.samples import ct_series
from firstread.dicom.silence import quiet
from tests.support.phantoms import CENTRE, RADIUS_MM, STEPS, centre_and_volume, image, planes, series

_RUNS = 3
_SLOW_S = 5  # what takes longer runs once
_PATCH = 96
_PATCHES = 40
_REPOSITORY = Path(__file__).parents[2]
_STORES = (".nii", ".nii.gz", ".h5", ".zarr")
_FLOOR = "floor: read and write the bytes"
_NEAR_MM, _NEAR = 0.3, 0.03
_SPHERE_MM3 = 4 / 3 * np.pi * RADIUS_MM**3


def _tilted(degrees: float) -> Sequence[Dataset]:
    made = series(planes(lean=np.array([0.0, np.tan(np.radians(degrees)), 1.0])))
    for each in made:
        each.GantryDetectorTilt = degrees
    return made


_CASES: dict[str, Callable[[], Sequence[Dataset]]] = {
    "regular": series,
    "gantry tilt of 20 degrees": lambda: _tilted(20.0),
    "one of 28 slices missing": lambda: series(planes([each for each in STEPS if each != STEPS[9]])),
    "one slice twice": lambda: [*series(), image(planes()[9], 29)],
}


def run() -> None:
    """Measure, and write the section of the page."""
    skipped = {peer: why for peer in REQUIREMENTS if (why := missing(peer))}
    for peer, why in skipped.items():
        print(f"SKIPPED {peer}: {why}", file=sys.stderr)
    ways = [way for way in WAYS if not way.startswith(tuple(skipped))]
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        speed, patches = _speed(ways, Path(folder))
        places = _places(
            [way for way in ways if way.endswith(" .nii") and "nibabel" not in way], Path(folder)
        )
    about = f"""A CT series of 300 slices of 512 x 512, 16 bit, in memory, one process; {_RUNS} runs each in a child,
imports included, and one of what takes longer than {_SLOW_S} s: the least CPU seconds, the least wall seconds, the
largest memory. `x FirstRead` is of CPU seconds, to FirstRead with the same suffix. FirstRead also walks the tree,
hashes every input and writes the sidecar. `Voxels equal`: also where rows run the other way. Peers run in environments
of their own: {", ".join(REQUIREMENTS.values())}; dicom2nifti without its reorientation, in which it takes twice
as long."""
    header = (
        "way",
        "CPU s",
        "x floor",
        "x FirstRead",
        "wall s",
        "peak MB",
        "output MB",
        "type",
        "voxels equal",
    )
    phantom = f"""A sphere of {2 * RADIUS_MM:.0f} mm in series with something wrong. `right`: its middle within
{_NEAR_MM} mm, its volume within {_NEAR:.0%}. `refused`: nothing was written. Of several volumes each is told; `!`
where the command said by its exit code that something is wrong:"""
    left = [f"Skipped: {peer} ({why})." for peer, why in skipped.items()]
    patch = f"Random patches of {_PATCH} x {_PATCH} x {_PATCH}, store opened anew each time, median of {_PATCHES}:"
    body = (
        *(about, table(header, speed), *left),
        *(phantom, table(("way", *_CASES), places), patch, table(("store", "ms"), patches)),
    )
    write("Conversion of a CT series", "\n\n".join(body))


def _speed(ways: Sequence[str], folder: Path) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    source, out = folder / "in", folder / "out"
    ct_series(source)
    expected = _expected(source)
    rows: list[tuple[str, ...]] = []
    patches: list[tuple[str, ...]] = []
    cpu_of: dict[str, float] = {}
    for way in ways:
        cpu, wall, peak = _measured(way, source, out)
        cpu_of[way] = cpu
        made = next(iter(_volumes(out)), None)
        exact, dtype = _compared(made, expected) if made else ("-", "-")
        ours = cpu_of.get(f"FirstRead .{way.partition('.')[2]}")
        ratios = f"{cpu / cpu_of[_FLOOR]:.1f}", f"{cpu / ours:.1f}" if ours else "-"
        size = f"{_bytes(made or out) / 1e6:.1f}"
        rows.append((way, f"{cpu:.2f}", *ratios, f"{wall:.2f}", f"{peak:.0f}", size, dtype, exact))
        if made and way.startswith("FirstRead"):
            patches.append((way.removeprefix("FirstRead "), f"{_patch_ms(made, expected):.1f}"))
        print(*rows[-1], flush=True)
    rmtree(source)
    rmtree(out)
    return rows, patches


def _places(ways: Sequence[str], folder: Path) -> list[tuple[str, ...]]:
    """Return where each way puts the sphere of series with something wrong."""
    found: dict[str, list[str]] = {way: [] for way in ways}
    for number, make in enumerate(_CASES.values()):
        source = folder / f"case-{number}"
        _save(source, make())
        for way, told in found.items():
            out = folder / "out"
            rmtree(out, ignore_errors=True)
            out.mkdir()
            failed = _child(way, source, out).returncode != 0
            places = ", ".join(map(_place, _volumes(out)))
            told.append((places + " !" * failed) if places else "refused")
    rows = [(way, *told) for way, told in found.items()]
    for row in rows:
        print(*row, sep=" | ", flush=True)
    return rows


def _save(folder: Path, images: Sequence[Dataset]) -> None:
    folder.mkdir()
    for number, each in enumerate(images, 1):
        each.PatientID, each.PatientName, each.StudyID = "P1", "Phantom", "1"
        each.StudyDate = each.SeriesDate = each.AcquisitionDate = "20260101"
        each.StudyTime = each.SeriesTime = each.AcquisitionTime = "101010"
        each.SeriesNumber, each.SliceThickness, each.Manufacturer, each.PatientPosition = (
            1,
            3,
            "SIEMENS",
            "HFS",
        )
        each.SeriesDescription, each.BodyPartExamined = "sphere", "CHEST"
        each.PixelRepresentation = 1  # the values are the same, and dcm2niix mends a tilt of signed ones only
        with quiet():
            each.save_as(folder / f"{number:03}.dcm", enforce_file_format=True)


def _place(path: Path) -> str:
    import nibabel

    found: Any = nibabel.load(path)
    values = np.asarray(found.dataobj, np.float64)
    if values.ndim != 3:
        return f"{values.ndim}-D"
    centre, volume = centre_and_volume(values, found.affine)
    far = float(np.linalg.norm(centre * [-1, -1, 1] - CENTRE))
    more = volume / _SPHERE_MM3 - 1
    return "right" if far <= _NEAR_MM and abs(more) <= _NEAR else f"**{far:.1f} mm, {more:+.0%}**"


def _expected(source: Path) -> np.ndarray:
    images = [pydicom.dcmread(path) for path in source.iterdir()]
    images.sort(key=lambda each: float(each.ImagePositionPatient[2]))
    return np.stack([each.pixel_array.astype(np.int32) + int(each.RescaleIntercept) for each in images])


def _measured(way: str, source: Path, out: Path) -> tuple[float, float, float]:
    found = []
    for _ in range(_RUNS):
        rmtree(out, ignore_errors=True)
        out.mkdir()
        began = time.perf_counter()
        child = _child(way, source, out)
        child.check_returncode()
        said = json.loads(child.stdout.splitlines()[-1])
        found.append((said["cpu_s"], time.perf_counter() - began, said["peak_mb"]))
        if said["cpu_s"] > _SLOW_S:
            break
    return min(each[0] for each in found), min(each[1] for each in found), max(each[2] for each in found)


def _child(way: str, source: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile everything anew
    command = [sys.executable, "-m", "benchmarks.imaging.ways", way, str(source), str(out)]
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, cwd=_REPOSITORY, env=environment, check=False
    )


def _volumes(out: Path) -> list[Path]:
    return [each for each in sorted(out.rglob("*")) if each.name.endswith(_STORES)]


def _bytes(path: Path) -> int:
    return sum(
        each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()
    )


def _compared(path: Path, expected: np.ndarray) -> tuple[str, str]:
    from firstread.imaging.convert import open as read

    if path.name.endswith((".nii", ".nii.gz")):
        import nibabel

        image: Any = nibabel.load(path)
        values = np.asanyarray(image.dataobj).T
        # Peers differ in the direction of rows; the voxels are the same ones.
        turned = [values, values[:, ::-1], values[:, :, ::-1], values[:, ::-1, ::-1]]
        kind = image.get_data_dtype()  # as it is stored: with a slope, nibabel gives floats
    else:
        turned = [read(path).values]
        kind = turned[0].dtype
    return "yes" if any(np.array_equal(each, expected) for each in turned) else "no", kind.name


def _patch_ms(path: Path, expected: np.ndarray) -> float:
    rng = np.random.default_rng(3)
    took = []
    for _ in range(_PATCHES if not path.name.endswith(".gz") else 3):
        start = [int(rng.integers(0, side - _PATCH)) for side in expected.shape]
        place = tuple(slice(each, each + _PATCH) for each in start)
        began = time.perf_counter()
        patch = _patch(path, place)
        took.append(1000 * (time.perf_counter() - began))
        assert np.array_equal(patch, expected[place])
    return median(took)


def _patch(path: Path, place: tuple[slice, ...]) -> np.ndarray:
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path) as file:
            return np.asarray(file["voxels"][place])
    if path.suffix == ".zarr":
        import zarr

        array: Any = zarr.open_array(path, mode="r")
        return np.asarray(array[place])
    from firstread.imaging.convert import open as read

    return np.array(read(path).values[place])
