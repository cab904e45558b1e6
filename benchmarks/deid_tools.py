"""One de-identifier over one folder, in a process of its own: ``python -m benchmarks.deid_tools TOOL IN OUT``.

Prints one line of JSON: files done, bytes read, seconds of wall and of processor, peak memory. Warmed by one file,
pinned to one core, so that tools are compared by what they do for a file.
"""

import contextlib
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from typing import Any

Step = Callable[[Path, Path], object]


def _copy(_out: Path) -> Step:
    return copyfile


def _pydicom(_out: Path) -> Step:
    import pydicom

    def step(source: Path, target: Path) -> None:
        pydicom.dcmread(source).save_as(target)

    return step


def _firstread(out: Path) -> Step:
    from firstread.deid import Profile, open_vault, rules
    from firstread.deid.process import process
    from firstread.dicom import read

    vault = open_vault(out / "link.sqlite", out / "key")
    chosen = rules(Profile.LONGITUDINAL.options)

    def step(source: Path, target: Path) -> None:
        # No detector: an image that needs one is quarantined, and not counted as done.
        with source.open("rb") as stream, read(stream) as file, target.open("wb") as written:
            process(file, written, vault=vault, rules=chosen)

    return step


def _dicognito(_out: Path) -> Step:
    import pydicom
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer(seed="benchmark")

    def step(source: Path, target: Path) -> None:
        dataset = pydicom.dcmread(source)
        anonymizer.anonymize(dataset)
        dataset.save_as(target)

    return step


def _dicom_anonymizer(_out: Path) -> Step:
    from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file, initialize_actions

    def step(source: Path, target: Path) -> None:
        anonymize_dicom_file(
            str(source), str(target), base_rules_gen=lambda: initialize_actions("dicomfields_2026c")
        )

    return step


def _deid(out: Path) -> Step:
    from deid.config import DeidRecipe
    from deid.dicom import replace_identifiers

    recipe = DeidRecipe()

    def step(source: Path, _target: Path) -> Any:  # noqa: ANN401 - deid has no types
        return replace_identifiers(
            [str(source)], deid=recipe, save=True, overwrite=True, output_folder=str(out)
        )

    return step


def _firstread_of_lambda(out: Path) -> Step:
    # `import pydicom` imports every decoder that is installed; the function's package has none of them.
    decoders = ("PIL", "gdcm", "jpeg_ls", "openjpeg", "pylibjpeg", "rle")
    sys.modules.update(dict.fromkeys(decoders))  # type: ignore[arg-type]
    return _firstread(out)


TOOLS: dict[str, Callable[[Path], Step]] = {
    "copy": _copy,
    "pydicom read+write": _pydicom,
    "FirstRead": _firstread,
    "FirstRead, packages of its Lambda": _firstread_of_lambda,
    "dicognito": _dicognito,
    "dicom-anonymizer 2026c": _dicom_anonymizer,
    "deid, default recipe": _deid,
}


def measure(tool: str, source: Path, out: Path) -> dict[str, float]:
    """Run a tool over the files of a folder."""
    warnings.simplefilter("ignore")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    out.mkdir(parents=True, exist_ok=True)
    step = TOOLS[tool](out)
    paths = sorted(source.iterdir())
    _try(step, paths[0], out)
    done, size = 0, 0
    wall, cpu = time.perf_counter(), time.process_time()
    for path in paths:
        if _try(step, path, out):
            done += 1
            size += path.stat().st_size
    return {
        "done": done,
        "bytes": size,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mib": _peak(),
    }


def _peak() -> float:
    """Return the most memory this process has held, in MiB; `ru_maxrss` would count that of its parent at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _try(step: Step, path: Path, out: Path) -> bool:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            step(path, out / path.name)
    except Exception:  # whatever a tool fails with, the file is not done
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
