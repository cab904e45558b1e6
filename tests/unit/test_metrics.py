"""Metrics are lines of the embedded metric format, with few dimensions and nobody in them."""

import json
from collections.abc import Callable

import pytest

from firstread.metrics import NAMESPACE, Meter, Metric, Stage
from firstread.receipt import Outcome
from tests.support.emf import Line, lines
from tests.support.records import T0, T2, receipt, settled

Read = Callable[[], list[Line]]


@pytest.fixture
def read(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Read:
    monkeypatch.delenv("POWERTOOLS_SERVICE_NAME", raising=False)
    return lambda: lines(capfd.readouterr().out)


def test_values_of_one_flush_are_one_line_for_each_set_of_dimensions(read: Read) -> None:
    meter = Meter("deidentify")
    meter.settled(settled(unknown_facts=3))
    meter.settled(settled(outcome=Outcome.DUPLICATE))
    meter.settled(receipt())  # pending: nothing has come of it yet
    assert read() == []
    meter.flush()
    counts, times = read()
    assert counts.namespace == times.namespace == NAMESPACE
    assert counts.dimensions == {"service": "deidentify"}
    assert counts.values == {"ObjectsStored": [1], "ObjectsDuplicate": [1], "UnknownFacts": [3]}
    assert counts.units == {"ObjectsStored": "Count", "ObjectsDuplicate": "Count", "UnknownFacts": "Count"}
    assert times.dimensions == {"service": "deidentify", "stage": "arrive_to_settle"}
    assert times.values == {"StageSeconds": [2, 2]}
    assert times.units == {"StageSeconds": "Seconds"}


def test_what_was_flushed_is_not_flushed_again(read: Read) -> None:
    meter = Meter()
    meter.flush()
    assert read() == []
    meter.add(Metric.OBJECTS_ARRIVED)
    meter.flush()
    meter.flush()
    assert len(read()) == 1


def test_the_function_says_its_own_name(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "gather")
    meter = Meter("other")
    meter.add(Metric.STUDIES_OVERDUE, 0)
    meter.flush()
    (line,) = read()
    assert (line.dimensions, line.values) == ({"service": "gather"}, {"StudiesOverdue": [0]})


@pytest.mark.parametrize("number", [99, 100, 101, 250])
def test_no_line_holds_more_values_than_the_format_allows(read: Read, number: int) -> None:
    meter = Meter()
    for value in range(number):
        meter.add(Metric.OLDEST_MESSAGE, value)
    meter.flush()
    assert [value for line in read() for value in line.values["OldestMessageSeconds"]] == list(range(number))


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(T0, T2, [2]), (T2, T0, [0]), ("", T2, []), (T0, "", [])]
)
def test_the_time_of_a_stage(read: Read, start: str, end: str, expected: list[float]) -> None:
    meter = Meter()
    meter.stage(Stage.RESULT_TO_ALERT, start, end)
    meter.flush()
    assert [line.values["StageSeconds"] for line in read()] == ([expected] if expected else [])


def test_the_check_of_lines_can_fail() -> None:
    meter = {
        "_aws": {
            "Timestamp": 1,
            "CloudWatchMetrics": [{"Namespace": "n", "Dimensions": [["a"]], "Metrics": []}],
        }
    }
    with pytest.raises(AssertionError):
        lines(json.dumps(meter))
