"""How fast is de-identification, and how much memory does it take, beside other tools and a bare copy?"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from benchmarks import page, samples
from benchmarks.deid_tools import TOOLS

_ROUNDS = 3
_IMPORTS = 9
_SHM = Path("/dev/shm")  # noqa: S108 - memory, so that no disk is measured
Figures = dict[str, float]


def run() -> None:
    """Measure, and write the section."""
    with _memory() as folder:
        series = samples.ct_series(folder / "series")
        samples.pydicom_files(folder / "pydicom")
        (folder / "large").mkdir()
        samples.multi_frame(folder / "large" / "frames.dcm")
        ct = _rounds(folder, "series", list(TOOLS))
        mixed = _rounds(folder, "pydicom", list(TOOLS))
        large = _rounds(folder, "large", list(TOOLS))
        ocr = _ocr(folder, series[0])
    imports = _imports()
    page.write(
        "De-identification",
        f"""One process pinned to one core, files in memory, median of {_ROUNDS} rounds in which every tool runs in
turn. FirstRead runs with everything on: limits, rules, sweep, vault in SQLite, the search for burned-in text.
Factors are of files per second of processor time, to {", ".join(("dicognito", "deid"))}.

300 CT slices, 512 x 512, 16 bit, each with 60 private and some nested elements:

{_table(ct)}

pydicom's test files. FirstRead has no OCR here, so what only OCR may pass is not done; its time holds the
decoding of every compressed image, which nobody else looks at:

{_table(mixed)}

One file of 262 MB, 500 frames:

{_large(large)}

Import in a new process, median of {_IMPORTS}: `import boto3, pydicom` {imports[0]:.2f} s, the handler of
`deidentify` {imports[1]:.2f} s, {imports[1] / imports[0]:.2f} times as long.

{ocr}""",
    )


@contextmanager
def _memory() -> Iterator[Path]:
    folder = Path(mkdtemp(dir=_SHM if _SHM.is_dir() else None, prefix="firstread-"))
    try:
        yield folder
    finally:
        rmtree(folder)


def _rounds(folder: Path, name: str, tools: list[str]) -> dict[str, Figures]:
    found: dict[str, list[Figures]] = {tool: [] for tool in tools}
    for _ in range(_ROUNDS):
        for tool in tools:
            out = folder / "out"
            found[tool].append(_child(tool, folder / name, out))
            rmtree(out, ignore_errors=True)
    return {
        tool: {key: statistics.median(one[key] for one in figures) for key in figures[0]}
        for tool, figures in found.items()
    }


def _child(tool: str, source: Path, out: Path) -> Figures:
    command = [sys.executable, "-m", "benchmarks.deid_tools", tool, str(source), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(out)}
    answer = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)  # noqa: S603
    figures: Figures = json.loads(answer.stdout.splitlines()[-1])
    return figures


def _table(found: dict[str, Figures]) -> str:
    rate = {tool: figures["done"] / figures["cpu"] for tool, figures in found.items()}
    rows = [
        (
            tool,
            f"{figures['done']:.0f}",
            f"{figures['done'] / figures['wall']:.0f}",
            f"{figures['bytes'] / figures['wall'] / 1e6:.0f}",
            f"{figures['cpu'] / max(1, figures['done']) * 1000:.2f}",
            f"{rate[tool] / rate['dicognito']:.2f}",
            f"{rate[tool] / rate['deid, default recipe']:.2f}",
        )
        for tool, figures in found.items()
    ]
    return page.table(("tool", "done", "files/s", "MB/s", "CPU ms/file", "x dicognito", "x deid"), rows)


def _large(found: dict[str, Figures]) -> str:
    copied = found["copy"]["bytes"] / found["copy"]["wall"]
    rows = [
        (
            tool,
            f"{figures['bytes'] / figures['wall'] / 1e6:.0f}",
            f"{figures['bytes'] / figures['wall'] / copied:.2f}",
            f"{figures['peak_mib']:.0f}",
        )
        for tool, figures in found.items()
    ]
    return page.table(("tool", "MB/s", "of the copy", "peak MiB"), rows)


def _imports() -> tuple[float, float]:
    statements = ("import boto3, pydicom", "import functions.deidentify.handler")
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(_IMPORTS):
        for statement in statements:
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603
            times[statement].append(time.perf_counter() - begun)
    base, handler = (statistics.median(times[statement]) for statement in statements)
    return base, handler


def _ocr(folder: Path, ct: Path) -> str:
    """Return what looking for text costs, per image, with one thread."""
    import pydicom

    from firstread.deid.burned_in import RapidTextDetector, clean
    from firstread.dicom import read

    detector = RapidTextDetector(threads=1)
    files = {
        "CT slice, 512 x 512": ct,
        "ultrasound, 480 x 640, colour": Path(pydicom.examples.get_path("rgb_color")),
    }
    rows = []
    for name, path in files.items():
        seconds = []
        for _ in range(4):
            with path.open("rb") as source, read(source) as file, (folder / "pixels").open("w+b") as target:
                begun = time.perf_counter()
                clean(file, target, detector)
                seconds.append(time.perf_counter() - begun)
        rows.append((name, f"{statistics.median(seconds[1:]):.2f}"))
    return "Looking for text by OCR, one thread:\n\n" + page.table(("image", "seconds"), rows)
