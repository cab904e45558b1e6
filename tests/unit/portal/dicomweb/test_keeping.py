"""What is kept in memory, and what goes."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from portal.logic.dicomweb.keeping import Kept, Renewed


def test_what_was_used_least_lately_goes_first() -> None:
    kept: Kept[str] = Kept(6, len)
    kept.put("a", "aaa")
    kept.put("b", "bbb")
    assert kept.get("a") == "aaa"
    kept.put("c", "ccc")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == ("aaa", None, "ccc")


def test_the_last_value_is_kept_whatever_its_size() -> None:
    kept: Kept[str] = Kept(2, len)
    kept.put("a", "a")
    kept.put("b", "b" * 10)
    assert (kept.get("a"), kept.get("b")) == (None, "b" * 10)


def test_a_value_may_be_replaced() -> None:
    kept: Kept[str] = Kept(4, len)
    for text in ("aaaa", "a", "aa"):
        kept.put("a", text)
    kept.put("b", "bb")
    assert (kept.get("a"), kept.get("b")) == ("aa", "bb")


class Clock:
    """Seconds that pass when told to."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_value_holds_for_its_time() -> None:
    clock, made = Clock(), iter("abc")
    values: Renewed[str] = Renewed(10, len, 10.0, clock)
    said = []
    for clock.at in (0.0, 9.9, 10.0, 19.9, 20.0):
        said.append(values.get("k", lambda: next(made)))
    assert said == ["a", "a", "b", "b", "c"]


def test_many_who_ask_for_what_is_not_there_have_it_made_once() -> None:
    values: Renewed[str] = Renewed(10, len, 10.0, Clock())
    made: list[str] = []
    together = Barrier(8)

    def make() -> str:
        made.append("made")
        return "value"

    def ask(_: int) -> str:
        together.wait(60)
        return values.get("k", make)

    with ThreadPoolExecutor(8) as askers:
        assert set(askers.map(ask, range(8))) == {"value"}
    assert made == ["made"]


def test_whoever_asks_while_a_value_is_made_anew_gets_the_one_before_but_no_older_one() -> None:
    clock, begun, go_on = Clock(), Event(), Event()
    values: Renewed[str] = Renewed(10, len, 10.0, clock)
    values.get("k", lambda: "old")
    clock.at = 15.0

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "new"

    with ThreadPoolExecutor(2) as askers:
        first = askers.submit(values.get, "k", slow)
        assert begun.wait(60)
        assert values.get("k", lambda: "never") == "old"
        clock.at = 20.0  # by now nobody may have the old one
        second = askers.submit(values.get, "k", slow)
        go_on.set()
        assert {first.result(5), second.result(5)} == {"new"}
    assert values.get("k", lambda: "never") == "new"


def test_what_could_not_be_made_is_tried_again() -> None:
    values: Renewed[str] = Renewed(10, len, 10.0, Clock())

    def fail() -> str:
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):
            values.get("k", fail)
    assert values.get("k", lambda: "value") == "value"
