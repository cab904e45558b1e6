"""Processor time of several ways in turn; the first result and the memory of a new process."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Works = Mapping[str, Callable[[], object]]


def in_turn(works: Works, rounds: int) -> dict[str, float]:
    """Return the median seconds of processor time of each, after one run that is not measured."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-1, rounds):
        for name, work in works.items():
            before = time.process_time()
            work()
            if turn >= 0:
                seconds[name].append(time.process_time() - before)
    return {name: statistics.median(each) for name, each in seconds.items()}


def first_result(path: str, what: str, bundle: Path, rounds: int) -> dict[str, float]:
    """Return what `child` says of itself in new processes: medians of seconds and megabytes."""
    command = [sys.executable, "-m", "benchmarks.inference.child", path, what, str(bundle)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    said = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, check=True, env=environment)  # noqa: S603 - ours
        said.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(each[key] for each in said) for key in said[0]}
