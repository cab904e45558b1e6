"""Random patches of a CT of 300 slices from the cache of `firstread.imaging.torch`, warm and cold, and of an array."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from statistics import median, quantiles
from tempfile import mkdtemp
from typing import Any

import numpy as np

from benchmarks.page import table, write
from benchmarks.samples import ct_series

_SIDE, _WARM, _COLD = 96, 200, 60


def run() -> None:
    """Measure, and write the section."""
    folder = Path(mkdtemp(prefix="firstread-"))  # on a disk: what is in memory cannot be cold
    try:
        rows = _rows(folder)
    finally:
        rmtree(folder)
    write(
        "Random patches",
        f"""Patches of {_SIDE} x {_SIDE} x {_SIDE} of a CT of 300 slices of 512 x 512, one after another in one process,
as float32: items of `PatchDataset`, whose cache is there already, and the same boxes of an uncompressed array that is
mapped. Warm: {_WARM} patches of files that are in memory; cold: {_COLD}, the files let go before each.

{table(("from", "pages", "median ms", "95th percentile ms", "median CPU ms", "MB on disk"), rows)}""",
    )


def _rows(folder: Path) -> list[tuple[str, ...]]:
    import torch

    from firstread.imaging.learn import Sample
    from firstread.imaging.torch import PatchDataset

    torch.set_num_threads(1)
    sample = Sample("patient", "2.25.1", tuple(ct_series(folder / "in")))
    data = PatchDataset([sample], folder / "cache", (_SIDE,) * 3, per_volume=_WARM + _COLD)
    entry = data.entry(0)
    whole = entry.image((slice(None),) * 3)[0]
    plain = folder / "plain"
    whole.tofile(plain)
    starts = [_start(data[index], entry.affine) for index in range(len(data))]

    def floor(index: int) -> Any:  # noqa: ANN401 - a tensor
        began = time.perf_counter(), time.process_time()
        box = tuple(slice(each, each + _SIDE) for each in starts[index])
        mapped = np.memmap(plain, whole.dtype, "r", shape=whole.shape)  # what stays mapped is not let go
        made = torch.from_numpy(mapped[box].astype(np.float32))
        return made, began

    def item(index: int) -> Any:  # noqa: ANN401 - a tensor
        began = time.perf_counter(), time.process_time()
        return data[index]["image"][0], began

    for index in range(3):
        assert torch.equal(floor(index)[0], item(index)[0])
    os.sync()
    rows = []
    for name, get, files in (
        ("`PatchDataset`", item, [each for each in entry.folder.rglob("*") if each.is_file()]),
        ("mapped array", floor, [plain]),
    ):
        size = f"{sum(each.stat().st_size for each in files) / 1e6:.0f}"
        rows += [(name, *_measured(get, files, cold=cold), size) for cold in (False, True)]
        print(*rows[-2:], sep="\n", flush=True)
    return rows


def _start(item: dict[str, Any], affine: tuple[float, ...]) -> list[int]:
    """Return the first voxel of a patch."""
    first = np.append(np.asarray(item["affine"])[:3, 3], 1.0)
    return [round(each) for each in (np.linalg.inv(np.reshape(affine, (4, 4))) @ first)[:3]]


def _measured(get: Callable[[int], Any], files: list[Path], *, cold: bool) -> tuple[str, ...]:
    wall, cpu = [], []
    for index in range(_WARM, _WARM + _COLD) if cold else range(_WARM):
        if cold:
            _let_go(files)
        _, began = get(index)
        wall.append(1000 * (time.perf_counter() - began[0]))
        cpu.append(1000 * (time.process_time() - began[1]))
    late = quantiles(wall, n=20)[-1]
    return "cold" if cold else "warm", f"{median(wall):.1f}", f"{late:.1f}", f"{median(cpu):.1f}"


def _let_go(files: list[Path]) -> None:
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
