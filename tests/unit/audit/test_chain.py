"""Whatever somebody does to a chain of events is found, and the first wrong event is named."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from firstread.audit.chain import Fault, Head, verify
from firstread.records.audit import AuditEvent, Entry
from tests.unit.audit.chains import STUDY, chain, entry, event

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
DETAILS = st.dictionaries(
    WORDS.filter(lambda name: name not in {"action", "actor", "role", "at", "number", "previous"}),
    st.one_of(WORDS, st.integers(-(2**53), 2**53), st.booleans()),
    max_size=3,
)
EVENTS = st.builds(
    AuditEvent,
    subject=st.just(STUDY),
    action=WORDS,
    actor=WORDS,
    role=WORDS,
    at=st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"),
    details=DETAILS,
)
CHAINS = st.lists(EVENTS, min_size=1, max_size=8).map(chain)


@given(CHAINS)
def test_a_chain_that_nobody_touched_is_whole(entries: list[Entry]) -> None:
    head = Head(len(entries), entries[-1].digest)
    verdict = verify(STUDY, entries, [head])
    assert (verdict.is_whole, verdict.count, verdict.broken_at) == (True, len(entries), 0)
    for start in range(len(entries)):
        assert verify(STUDY, entries[start:], [head], is_part=True).is_whole


@given(CHAINS, st.data())
def test_a_change_of_any_field_of_any_event_is_found_there(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    wrong = entries[place]
    field = data.draw(st.sampled_from([*wrong.body, "new", "digest", "number", "listed"]))
    if field == "digest":
        forged = replace(wrong, digest="f" * 64)
    elif field == "number":
        forged = replace(wrong, number=wrong.number + 100)
    elif field == "listed":
        part = data.draw(st.integers(0, 2))
        forged = replace(
            wrong,
            listed=tuple(x + "x" if i == part else x for i, x in enumerate(wrong.listed)),  # type: ignore[arg-type]
        )
    else:
        forged = replace(wrong, body={**wrong.body, field: f"{wrong.body.get(field)}x"})
    verdict = verify(STUDY, [*entries[:place], forged, *entries[place + 1 :]])
    assert verdict.broken_at == place + 1
    assert verdict.fault is not None


@given(CHAINS, st.data())
def test_an_event_that_was_changed_together_with_its_digest_breaks_the_next(
    entries: list[Entry], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    before = entries[place]
    forged = entry(event("nothing.happened"), before.number, before.previous)
    verdict = verify(STUDY, [*entries[:place], forged, *entries[place + 1 :]])
    if place == len(entries) - 1:
        # What a chain alone cannot show, the head in an export does.
        assert verdict.is_whole
        head = Head(before.number, before.digest)
        assert verify(STUDY, [*entries[:place], forged], [head]).fault is Fault.REWRITTEN
    else:
        assert (verdict.broken_at, verdict.fault) == (place + 2, Fault.PREVIOUS)


@given(CHAINS.filter(lambda entries: len(entries) > 1), st.data())
def test_an_event_that_is_gone_from_between_is_found(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 2))
    for is_part in (False, True):
        verdict = verify(STUDY, entries[:place] + entries[place + 1 :], is_part=is_part)
        if is_part and place == 0:
            assert verdict.is_whole
        else:
            assert (verdict.broken_at, verdict.fault) == (place + 1, Fault.PLACE)


@given(CHAINS.filter(lambda entries: len(entries) > 1), st.data())
def test_events_in_another_order_are_found(entries: list[Entry], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations(entries))
    verdict = verify(STUDY, mixed)
    assert verdict.is_whole is (list(mixed) == entries)


@given(CHAINS, st.data())
def test_a_tail_that_was_cut_off_is_found_by_the_exported_head(
    entries: list[Entry], data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(entries) - 1))
    assert verify(STUDY, entries[:kept]).is_whole, "a chain alone cannot show it"
    verdict = verify(STUDY, entries[:kept], [Head(len(entries), entries[-1].digest)])
    assert (verdict.broken_at, verdict.fault) == (kept + 1, Fault.CUT_OFF)


def test_an_event_that_was_numbered_anew_is_found() -> None:
    first, second, third = chain([event(), event("image.view"), event("report.view")])
    moved = replace(third, number=2)
    assert verify(STUDY, [first, moved]).broken_at == 2
    assert verify(STUDY, [first, second, third]).is_whole
