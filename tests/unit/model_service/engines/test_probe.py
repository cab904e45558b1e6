from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_service.engines import probe
from tests.support.engines import FakeEngine

Array = npt.NDArray[np.float32]
SAMPLE = np.ones((1, 1, 4, 4), np.float32)


class Clock:
    """Time that passes only while an engine runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Timed(FakeEngine):
    """An engine that takes the seconds it is given, one after another."""

    def __init__(
        self, clock: Clock, seconds: Iterator[float], name: str, precision: str, factor: float
    ) -> None:
        super().__init__(lambda batch: batch * np.float32(factor))
        self.name, self.precision = name, precision
        self._clock, self._seconds = clock, seconds

    def run(self, batch: Array) -> list[Array]:
        self._clock.now += next(self._seconds)
        return list(super().run(batch))


class Bench:
    """Candidates by name, and how often each was opened."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.opened: list[str] = []
        self.engines: dict[str, Timed] = {}

    def candidate(
        self, name: str, *seconds: float, precision: str = "fp32", factor: float = 1.0
    ) -> probe.Candidate:
        def endless() -> Iterator[float]:
            yield 9.0  # the first run is slow, and not measured
            while True:
                yield from seconds

        def make() -> Timed:
            self.opened.append(name)
            self.engines[name] = Timed(self.clock, endless(), name, precision, factor)
            return self.engines[name]

        return probe.Candidate(name, precision, make)

    def choose(
        self, *candidates: probe.Candidate, cache: Path | None = None, key: str = "bundle"
    ) -> tuple[str, str]:
        engine = probe.fastest(candidates, SAMPLE, {"bundle": key}, cache, self.clock)
        return engine.name, engine.precision


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_best_median_wins(bench: Bench) -> None:
    assert bench.choose(bench.candidate("a", 0.3), bench.candidate("b", 0.2, 0.2, 5.0))[0] == "b"


def test_the_only_one_is_not_measured(bench: Bench) -> None:
    assert bench.choose(bench.candidate("a", 0.3))[0] == "a"
    assert bench.clock.now == 0


def test_an_engine_that_says_something_else_is_left_out(bench: Bench) -> None:
    assert bench.choose(bench.candidate("a", 0.3), bench.candidate("b", 0.1, factor=1.01))[0] == "a"
    assert bench.choose(bench.candidate("a", 0.3), bench.candidate("b", 0.1, factor=1.0001))[0] == "b"


def test_half_precision_may_differ_where_it_was_asked_for(bench: Bench) -> None:
    half = bench.candidate("b", 0.1, factor=1.01, precision="bf16")
    assert bench.choose(bench.candidate("a", 0.3), half) == ("b", "bf16")


def test_slow_networks_are_measured_less(bench: Bench) -> None:
    bench.choose(bench.candidate("a", 30.0), bench.candidate("b", 31.0))
    assert len(bench.engines["a"].batches) == 2


def test_choice_is_remembered(bench: Bench, tmp_path: Path) -> None:
    def both() -> tuple[probe.Candidate, probe.Candidate]:
        return bench.candidate("a", 0.3), bench.candidate("b", 0.2)

    folder = tmp_path / "made" / "here"
    assert bench.choose(*both(), cache=folder)[0] == "b"
    bench.opened.clear()
    assert bench.choose(*both(), cache=folder)[0] == "b"
    assert bench.opened == ["b"]
    assert bench.choose(*both(), cache=folder, key="other")[0] == "b"
    assert bench.opened == ["b", "a", "b"]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"engine": "c", "precision": "fp32"}'])
def test_damaged_memory_is_measured_again(bench: Bench, tmp_path: Path, text: str) -> None:
    def both() -> tuple[probe.Candidate, probe.Candidate]:
        return bench.candidate("a", 0.3), bench.candidate("b", 0.2)

    bench.choose(*both(), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(text, encoding="utf-8")
    assert bench.choose(*both(), cache=tmp_path)[0] == "b"
    assert len(bench.opened) == 4


def test_a_folder_that_cannot_be_written_is_no_error(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    chosen = bench.choose(bench.candidate("a", 0.3), bench.candidate("b", 0.2), cache=tmp_path / "file" / "x")
    assert chosen[0] == "b"
