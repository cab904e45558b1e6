from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest

from firstread.local import streams


class Function:
    """Hands back records until they were tried so many times."""

    def __init__(self, **tries: int) -> None:
        self.tries, self.calls = tries, list[list[str]]()
        self.slept = list[float]()

    def handle(self, event: dict[str, Any], _context: object) -> Mapping[str, Any]:
        numbers = [each["dynamodb"]["SequenceNumber"] for each in event["Records"]]
        self.calls.append(numbers)
        for number in numbers:
            self.tries[number] -= 1
        return {"batchItemFailures": [{"itemIdentifier": n} for n in numbers if self.tries[n] > 0]}

    def run(self) -> Mapping[str, Any]:
        records = [{"dynamodb": {"SequenceNumber": number}} for number in self.tries]
        return streams.patiently(self.handle, {"Records": records}, None, self.slept.append)


def test_what_succeeds_is_called_once() -> None:
    function = Function(a=1, b=1)
    assert function.run() == {"batchItemFailures": []}
    assert (function.calls, function.slept) == ([["a", "b"]], [])


def test_what_is_handed_back_comes_again_with_what_follows() -> None:
    function = Function(a=1, b=3, c=2)
    assert function.run() == {"batchItemFailures": []}
    assert function.calls == [["a", "b", "c"], ["b", "c"], ["b", "c"]]


def test_what_never_succeeds_does_not_stop_the_stream() -> None:
    function = Function(a=1, b=100)
    assert function.run() == {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert len(function.calls) == 6


@pytest.mark.parametrize("name", ["gather", "deliver"])
def test_each_entry_point_calls_its_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function = Function(a=1)
    monkeypatch.setattr(import_module(f"functions.{name}.handler"), "handle", function.handle)
    getattr(streams, name)({"Records": [{"dynamodb": {"SequenceNumber": "a"}}]}, None)
    assert function.calls == [["a"]]
