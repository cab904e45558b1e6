"""How fast is a tree indexed, beside pydicom and beside reading 4 KB of each file?

Each method runs in a process of its own, from the start of Python on: ``python -m benchmarks.imaging.index METHOD TREE
OUT`` prints one line of JSON.
"""

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

_ROUNDS, _SERIES, _IN_SERIES, _SLICES, _SIDE = 5, 40, 50, 300, 64
_KEYWORDS = (
    "PatientID PatientSex PatientAge StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID Modality "
    "StudyDate SeriesDescription SeriesNumber InstanceNumber BodyPartExamined Manufacturer Rows Columns "
    "PixelSpacing SliceThickness ImagePositionPatient ImageOrientationPatient FrameOfReferenceUID"
).split()


def tree(folder: Path) -> int:
    """Write 2,000 files of about 9 KB in 40 series and a CT of 300 slices; returns how many files."""
    from pydicom import dcmread
    from pydicom.uid import UID

    from benchmarks import samples
    from firstread.dicom.silence import quiet

    (first, *_) = samples.ct_series(folder / "ct", _SLICES)
    small = dcmread(first)
    small.Rows = small.Columns = _SIDE
    del small[0x0029, 0x0010]
    small.remove_private_tags()
    small.PixelData = small.PixelData[: 2 * _SIDE * _SIDE]
    for series in range(_SERIES):
        place = folder / f"patient-{series // 2}" / f"series-{series}"
        place.mkdir(parents=True)
        small.PatientID, small.StudyInstanceUID = f"P{series // 2}", UID(f"2.25.1{series // 2}")
        small.SeriesInstanceUID, small.FrameOfReferenceUID = UID(f"2.25.2{series}"), UID(f"2.25.3{series}")
        for number in range(_IN_SERIES):
            small.SOPInstanceUID = small.file_meta.MediaStorageSOPInstanceUID = UID(
                f"2.25.4{series}.{number}"
            )
            small.InstanceNumber = number + 1
            small.ImagePositionPatient = ["-20", "-20", f"{number * 2.5:.2f}"]
            with quiet():
                small.save_as(place / f"{number:03d}.dcm", enforce_file_format=True)
    return _SLICES + _SERIES * _IN_SERIES


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


def _floor(folder: Path, _out: Path) -> None:
    for path in _files(folder):
        with path.open("rb") as file:
            file.read(4096)


def _nothing(_folder: Path, _out: Path) -> None:
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401


def _firstread(folder: Path, out: Path) -> None:
    from firstread.imaging.index import build

    build(folder, out / "index")


def _command(folder: Path, out: Path) -> None:
    from firstread.cli import app

    app(["index", str(folder), "-o", str(out / "index")], standalone_mode=False)


def _pydicom(folder: Path, out: Path) -> None:
    from pydicom import dcmread

    with (out / "index.csv").open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        for path in _files(folder):
            header = dcmread(path, stop_before_pixels=True)
            writer.writerow([path, *(header.get(each, "") for each in _KEYWORDS)])


def _pydicom_tags(folder: Path, out: Path) -> None:
    from pydicom import dcmread

    with (out / "index.csv").open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        for path in _files(folder):
            header = dcmread(path, stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            writer.writerow([path, *(header.get(each, "") for each in _KEYWORDS)])


METHODS: dict[str, Callable[[Path, Path], None]] = {
    "floor: 4 KB of each": _floor,
    "start of Python, numpy, pyarrow": _nothing,
    "firstread.imaging.index.build": _firstread,
    "the same again, nothing changed": _firstread,
    "firstread index": _command,
    "pydicom, 21 elements to CSV": _pydicom,
    "pydicom with specific_tags": _pydicom_tags,
}
_AGAIN = "the same again, nothing changed"


def run() -> None:
    """Measure, and write the section."""
    from benchmarks import page

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:  # noqa: S108
        folder = Path(name)
        count = tree(folder / "tree")
        found: dict[str, list[dict[str, float]]] = {each: [] for each in METHODS}
        for number in range(_ROUNDS + 1):  # the first compiles what it imports
            for method in METHODS:
                if method != _AGAIN:  # which finds what the method before it has left
                    out = folder / f"out-{number}-{len(list(folder.iterdir()))}"
                    out.mkdir()
                figures = _child(method, folder / "tree", out)
                found[method] += [figures] if number else []
    rows = [
        (
            method,
            *(f"{statistics.median(one[key] for one in each):.2f}" for key in ("wall", "cpu")),
            f"{min(one['cpu'] for one in each):.2f}",
            f"{statistics.median(one['peak_mib'] for one in each):.0f}",
        )
        for method, each in found.items()
    ]
    page.write(
        "Index of a tree",
        f"""{count} files in memory: {_SERIES} series of {_IN_SERIES} small images, and a CT of {_SLICES} slices. Each
method in a process of its own, its start included; median of {_ROUNDS}. `build` also groups, judges the geometry and
writes Parquet, which the rows of pydicom do not.

{page.table(("method", "wall s", "CPU s", "least CPU s", "peak MiB"), rows)}""",
    )


def _child(method: str, folder: Path, out: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.imaging.index", method, str(folder), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # with it, every start compiles anew
    begun = perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": perf_counter() - begun, "cpu": cpu, **json.loads(answer.stdout.splitlines()[-1])}


def main(method: str, folder: str, out: str) -> None:
    """Run one method, and print its peak of memory."""
    METHODS[method](Path(folder), Path(out))
    # Not ru_maxrss, which begins with that of the process that started this one.
    (peak,) = (
        each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")
    )
    print(json.dumps({"peak_mib": int(peak.split()[1]) / 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
