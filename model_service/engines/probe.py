"""Which engine is fastest for a network on this machine: measured once, and remembered."""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import numpy.typing as npt
from aws_lambda_powertools import Logger

from model_service.engines.cores import processor
from model_service.prediction import Engine

logger = Logger(service="model_service")

_ROUNDS = 7
_SECONDS = 20.0  # no further round after it
# Of the largest output, against the first engine of the same batch, both in fp32.
_AGREEMENT = 1e-3
_LIBRARIES = ("onnxruntime", "openvino")


@dataclass(frozen=True)
class Candidate:
    """An engine that could serve.

    Parameters
    ----------
    name, precision
        As in `prediction.Engine`.
    open
        Makes it.
    """

    name: str
    precision: str
    open: Callable[[], Engine]


def fastest(
    candidates: Sequence[Candidate],
    sample: npt.NDArray[np.float32],
    key: Mapping[str, object],
    cache: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Engine:
    """Open the candidate with the best median time for a batch.

    Candidates run in turn, so that whatever else the machine does slows all of them. One of fp32 whose outputs are off
    the first one's by more than a thousandth is left out: kernels differ in how they sum.

    Parameters
    ----------
    candidates : sequence of Candidate
        The first one is the reference, and is of fp32.
    sample : numpy.ndarray
        A batch of the real shape.
    key : mapping
        What the choice depends on besides machine and libraries: bundle, threads.
    cache : pathlib.Path or None
        Folder of remembered choices.
    clock : callable
        Seconds.
    """
    if len(candidates) == 1:
        return candidates[0].open()
    memory = _Memory(cache, {**key, "candidates": [(each.name, each.precision) for each in candidates]})
    if (remembered := memory.read(candidates)) is not None:
        return remembered.open()
    engines = [each.open() for each in candidates]
    seconds = _measure(engines, sample, clock)
    medians = {index: statistics.median(each) for index, each in seconds.items()}
    best = min(medians, key=medians.__getitem__)
    described = {f"{engines[index].name} {engines[index].precision}": each for index, each in medians.items()}
    logger.info("engine chosen", extra={"engine": engines[best].name, "medians": described})
    memory.write(candidates[best], described)
    return engines[best]


def _measure(
    engines: Sequence[Engine], sample: npt.NDArray[np.float32], clock: Callable[[], float]
) -> dict[int, list[float]]:
    started = clock()
    reference = engines[0].run(sample)
    seconds: dict[int, list[float]] = {0: []}
    for index, engine in enumerate(engines[1:], start=1):
        outputs = engine.run(sample)  # the first run also makes buffers; it is not measured
        if engine.precision != "fp32" or _agree(reference, outputs):
            seconds[index] = []
        else:
            logger.warning("engine left out: its outputs differ", extra={"engine": engine.name})
    for turn in range(_ROUNDS):
        if turn and clock() - started > _SECONDS:
            break
        for index in seconds:
            before = clock()
            engines[index].run(sample)
            seconds[index].append(clock() - before)
    return seconds


def _agree(one: Sequence[npt.NDArray[np.float32]], other: Sequence[npt.NDArray[np.float32]]) -> bool:
    return all(
        a.shape == b.shape and bool(abs(a - b).max() <= _AGREEMENT * max(1.0, float(abs(a).max())))
        for a, b in zip(one, other, strict=True)
    )


class _Memory:
    """A remembered choice: one JSON file, named by the digest of all that it depends on."""

    def __init__(self, folder: Path | None, key: Mapping[str, object]) -> None:
        whole = {**key, "processor": processor(), "libraries": {each: version(each) for each in _LIBRARIES}}
        name = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        self._file = folder / f"{name}.json" if folder is not None else None

    def read(self, candidates: Sequence[Candidate]) -> Candidate | None:
        if self._file is None:
            return None
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            chosen = found["engine"], found["precision"]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # none yet, or damaged: measured again
        return next((each for each in candidates if (each.name, each.precision) == chosen), None)

    def write(self, chosen: Candidate, medians: Mapping[str, float]) -> None:
        if self._file is None:
            return
        text = json.dumps({"engine": chosen.name, "precision": chosen.precision, "median_seconds": medians})
        with suppress(OSError):  # a cache that cannot be written costs the next start a second
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self._file.parent, delete=False, encoding="utf-8") as file:
                file.write(text)
            Path(file.name).replace(self._file)
