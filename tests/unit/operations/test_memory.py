"""Going through the ledger takes pages, however much there is."""

import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from firstread.operations.arrivals import Lanes
from firstread.operations.ledger import Ledger
from firstread.operations.operator import Operator
from firstread.operations.reconcile import Reconcile, Trouble
from firstread.policy import Actor, Role
from firstread.receipt import Outcome, Receipt
from firstread.storage import Inventory, Listed

_LATER = "2999-01-01T00:00:00.000000Z"
_EARLIER = "2004-08-26T18:54:34.000000Z"


class Bucket(Inventory):
    """A bucket of so many objects."""

    def __init__(self, number: int) -> None:
        super().__init__("incoming")
        self.number = number

    def pages(self, prefix: str) -> Iterator[list[Listed]]:
        for start in range(0, self.number if prefix == "in/" else 0, 1000):
            keys = (f"in/bulk/{number:032d}" for number in range(start, min(start + 1000, self.number)))
            yield [Listed(key, "v1", 1, _EARLIER, True) for key in keys]


class Half:
    """Receipts of every second object."""

    def receipts(self, identities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Receipt]:
        return {
            (key, version): Receipt(
                object_key=key,
                version_id=version,
                source="ct1",
                received_at=_EARLIER,
                outcome=Outcome.DUPLICATE,
            )
            for number, (key, version) in enumerate(identities)
            if number % 2
        }

    def instances(self, _identities: object) -> dict[tuple[str, str], Any]:
        return {}


def ledger(number: int) -> Ledger:
    waiting = SimpleNamespace(count=lambda *_: 0, receipts=lambda *_: iter(()))
    return Ledger(Bucket(number), cast(Any, Half()), cast(Any, None), cast(Any, waiting))


class Heard:
    """A queue that counts."""

    def __init__(self) -> None:
        self.number = 0

    def send_all(self, messages: list[object]) -> None:
        self.number += len(messages)


def peak(number: int) -> tuple[int, int]:
    """Reconcile; return the peak of memory in bytes, and how many events were sent."""
    heard = Heard()
    lanes = Lanes("incoming", {}, cast(Any, heard))
    nothing: Any = SimpleNamespace(record=lambda _event: None)
    run = Reconcile(
        operator=Operator(Actor("kim", Role.ADMIN)),
        ledger=ledger(number),
        receipts=nothing,
        instances=nothing,
        heads=nothing,
        trail=nothing,
        studies=Bucket(0),
        lanes=lanes,
        timers=nothing,
        grace=timedelta(0),
    )
    tracemalloc.start()
    try:
        report = run.run()
        assert report.troubles[Trouble.WITHOUT_RECEIPT] == heard.number
        return tracemalloc.get_traced_memory()[1], heard.number
    finally:
        tracemalloc.stop()


def test_ten_times_as_many_objects_take_no_more_memory() -> None:
    few, _ = peak(2000)
    many, sent = peak(20_000)
    assert sent == 10_000
    assert many < few * 1.2


def test_the_count_is_exact() -> None:
    found = ledger(2500).count(_LATER)
    assert (found.received, found.duplicate, found.without_receipt) == (2500, 1250, 1250)
    assert not found.balanced


@pytest.mark.parametrize("number", [0, 1, 1000, 1001])
def test_pages_of_any_size(number: int) -> None:
    assert ledger(number).count(_LATER).received == number
