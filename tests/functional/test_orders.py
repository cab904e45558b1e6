"""Orders on DynamoDB: in any order, twice, and at once."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.errors import TransientError
from firstread.order import Order, Priority
from firstread.records.orders import OrderRepository, merged
from firstread.records.tables import OrderRow
from tests.support.records import STUDY, T0, T1, T2

ORDERS = OrderRepository()
REF = "a" * 40
NEW = Order(priority=Priority.STAT, patient_class="E", location="ED^MAIN", status="IP", updated_at=T0)
CHANGED = Order(priority=Priority.URGENT, updated_at=T1)
REPORT = Order(read_elsewhere_at=T2, updated_at=T2)
TOGETHER = Order(
    priority=Priority.URGENT,
    patient_class="E",
    location="ED^MAIN",
    status="IP",
    read_elsewhere_at=T2,
    updated_at=T2,
)


@pytest.mark.usefixtures("cloud")
def test_an_order_nobody_named() -> None:
    assert ORDERS.get(REF) is None
    assert ORDERS.get_many(["", REF]) == {}
    assert ORDERS.studies(REF) == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("told", list(itertools.permutations([NEW, CHANGED, REPORT])))
def test_any_order_of_arrival_leaves_the_same(told: tuple[Order, ...]) -> None:
    for each in told:
        ORDERS.put(REF, each)
    assert ORDERS.get(REF) == TOGETHER


@pytest.mark.usefixtures("cloud")
def test_what_is_known_already_changes_nothing() -> None:
    assert ORDERS.put(REF, NEW)
    assert not ORDERS.put(REF, NEW)
    assert ORDERS.put(REF, CHANGED)
    assert not ORDERS.put(REF, NEW)
    assert not ORDERS.put(REF, Order(updated_at=T2))  # says nothing


@pytest.mark.usefixtures("cloud")
def test_two_messages_of_one_moment_the_cautious_one_counts() -> None:
    routine, stat = (Order(priority=each, updated_at=T0) for each in (Priority.ROUTINE, Priority.STAT))
    for ref, told in ((REF, (routine, stat)), ("b" * 40, (stat, routine))):
        for each in told:
            ORDERS.put(ref, each)
        found = ORDERS.get(ref)
        assert found is not None
        assert found.priority is Priority.STAT
    for reports in itertools.permutations([REPORT, Order(read_elsewhere_at="", updated_at=T2)]):
        for each in reports:
            ORDERS.put("c" * 40, each)
        assert ORDERS.get_many(["c" * 40])["c" * 40].read_elsewhere_at == ""


@pytest.mark.usefixtures("cloud")
def test_a_lost_race_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read = OrderRepository._row
    others = iter([CHANGED, REPORT])

    def overtaken(self: OrderRepository, order_ref: str) -> OrderRow | None:
        row = read(self, order_ref)
        if (other := next(others, None)) is not None:
            ORDERS.put(order_ref, other)
        return row

    monkeypatch.setattr(OrderRepository, "_row", overtaken)
    assert ORDERS.put(REF, NEW)
    assert ORDERS.get(REF) == TOGETHER


@pytest.mark.usefixtures("cloud")
def test_a_race_that_is_always_lost_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderRepository, "_write", lambda *_: False)
    with pytest.raises(TransientError):
        ORDERS.put(REF, NEW)


@pytest.mark.usefixtures("cloud")
def test_studies_of_an_order_are_known_before_the_order_is() -> None:
    for _ in range(2):
        ORDERS.link(REF, STUDY)
    ORDERS.link(REF, "2.25.2")
    ORDERS.link("b" * 40, "2.25.3")
    assert ORDERS.studies(REF) == [STUDY, "2.25.2"]
    assert ORDERS.get(REF) is None
    ORDERS.put(REF, NEW)
    assert ORDERS.studies(REF) == [STUDY, "2.25.2"]


@pytest.mark.usefixtures("cloud")
def test_a_message_belongs_to_the_first_object_that_brought_it() -> None:
    assert ORDERS.first("m", "feed/a")
    assert ORDERS.first("m", "feed/a")  # the same event again
    assert not ORDERS.first("m", "feed/b")
    assert len(list(OrderRow.query("message#m"))) == 1


_FACTS = {
    "priority": st.sampled_from([each.value for each in Priority]),
    "location": st.sampled_from(["", "ED", "WARD"]),
    "read_elsewhere_at": st.sampled_from(["", T1, T2]),
}
_NEWS = st.lists(
    st.sampled_from(sorted(_FACTS)).flatmap(
        lambda fact: st.tuples(st.just(fact), st.tuples(st.sampled_from([T0, T1, T2]), _FACTS[fact]))
    ),
    max_size=6,
)


@given(_NEWS, st.randoms(use_true_random=False))
def test_facts_come_together_alike_in_any_order_and_number(
    news: list[tuple[str, tuple[str, str]]], chance: Random
) -> None:
    def together(each: list[tuple[str, tuple[str, str]]]) -> dict[str, tuple[str, str]]:
        known: dict[str, tuple[str, str]] = {}
        for fact, said in each:
            known = merged(known, {fact: said})
        return known

    shuffled = news * 2
    chance.shuffle(shuffled)
    assert together(shuffled) == together(news)
