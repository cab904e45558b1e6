"""Back-pressure: how many requests and bytes have a place at a time."""

import pytest

from ingest_service.errors import BusyError
from ingest_service.limits import Gate


def test_so_many_requests_have_a_place_and_a_place_that_is_left_is_free() -> None:
    gate = Gate(requests=2, bytes=1000)
    first, second = gate.place(0), gate.place(0)
    with pytest.raises(BusyError):
        gate.place(0)
    with first:
        pass
    with gate.place(0), second:
        pass


def test_what_is_announced_is_held_until_the_end() -> None:
    gate = Gate(requests=9, bytes=100)
    with gate.place(60):
        with pytest.raises(BusyError):
            gate.place(41)
        with gate.place(40):
            pass
    with gate.place(100):
        pass


def test_what_comes_unannounced_counts_as_it_comes() -> None:
    gate = Gate(requests=9, bytes=100)
    with gate.place(0) as growing, gate.place(50):
        growing.came(50)
        with pytest.raises(BusyError):
            growing.came(51)
    with gate.place(100):
        pass


def test_one_request_alone_is_always_served() -> None:
    gate = Gate(requests=1, bytes=10)
    with gate.place(1000) as place:
        place.came(2000)
    with gate.place(10):
        pass
