"""A CT series of 300 slices as a volume: CPU, memory, bytes, equal voxels; and random patches
from each store."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree, which
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom

from benchmarks.imaging.ways import WAYS
from benchmarks.page import table, write
from benchmarks.samples import ct_series

_RUNS = 3
_PATCH = 96
_PATCHES = 40
_PEERS: dict[str, Callable[[], object]] = {
    "dcm2niix": lambda: which("dcm2niix"),
    "dicom2nifti": lambda: find_spec("dicom2nifti"),
}
_REPOSITORY = Path(__file__).parents[2]
_STORES = (".nii", ".nii.gz", ".h5", ".zarr")


def run() -> None:
    """Measure, and write the section of the page."""
    with TemporaryDirectory() as folder:
        source = Path(folder, "in")
        ct_series(source)
        expected = _expected(source)
        rows, patches, skipped = [], [], []
        for way in WAYS:
            if any(way.startswith(peer) and not found() for peer, found in _PEERS.items()):
                skipped.append(way)
                print(f"SKIPPED, not installed: {way}", file=sys.stderr)
                continue
            out = Path(folder, "out")
            cpu, wall, peak = _measured(way, source, out)
            made = _volume(out)
            exact, dtype = _compared(made, expected) if made else ("-", "-")
            size = _bytes(made or out) / 1e6
            rows.append((way, f"{cpu:.2f}", f"{wall:.2f}", f"{peak:.0f}", f"{size:.1f}", dtype, exact))
            if made and way.startswith("FirstRead"):
                patches.append((way.removeprefix("FirstRead "), f"{_patch_ms(made, expected):.1f}"))
            print(*rows[-1], flush=True)
        about = (
            f"A CT series of 300 slices of 512 x 512, 16 bit, one process; {_RUNS} runs each in a child, imports\n"
            "included: the least CPU seconds, the least wall seconds, the largest memory. FirstRead also walks the\n"
            "tree, hashes every input and writes the sidecar. `Voxels equal`: also where rows run the other way."
        )
        header = ("way", "CPU s", "wall s", "peak MB", "output MB", "type", "voxels equal")
        left = f"Skipped, not installed: {', '.join(skipped)}." if skipped else ""
        patch = f"Random patches of {_PATCH} x {_PATCH} x {_PATCH}, store opened anew each time, median of {_PATCHES}:"
        body = (about, table(header, rows), left, patch, table(("store", "ms"), patches))
        write("Conversion of a CT series", "\n\n".join(each for each in body if each))


def _expected(source: Path) -> np.ndarray:
    images = [pydicom.dcmread(path) for path in source.iterdir()]
    images.sort(key=lambda each: float(each.ImagePositionPatient[2]))
    return np.stack([each.pixel_array.astype(np.int32) + int(each.RescaleIntercept) for each in images])


def _measured(way: str, source: Path, out: Path) -> tuple[float, float, float]:
    found = []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile everything anew
    for _ in range(_RUNS):
        rmtree(out, ignore_errors=True)
        out.mkdir()
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.imaging.ways", way, str(source), str(out)]
        child = subprocess.run(  # noqa: S603
            command, check=True, capture_output=True, text=True, cwd=_REPOSITORY, env=environment
        )
        said = json.loads(child.stdout.splitlines()[-1])
        found.append((said["cpu_s"], time.perf_counter() - began, said["peak_mb"]))
    return min(each[0] for each in found), min(each[1] for each in found), max(each[2] for each in found)


def _volume(out: Path) -> Path | None:
    return next((each for each in sorted(out.rglob("*")) if each.name.endswith(_STORES)), None)


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
    else:
        turned = [read(path).values]
    return "yes" if any(np.array_equal(each, expected) for each in turned) else "no", turned[0].dtype.name


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
