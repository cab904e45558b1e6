"""What the instances of a study say together."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from firstread.arrival import PREFIX, Lane
from firstread.study import Instance, InstanceFacts, InstanceState, StudyGathering, mark_of

_URGENT = f"{PREFIX}{Lane.URGENT.value}/"
_BULK = f"{PREFIX}{Lane.BULK.value}/"
_MOST_ORDERS = 100
"""Orders of one study that are followed; the record of a study has its limit."""
_Fact = TypeVar("_Fact")


def withdrawn(instances: Iterable[Instance]) -> frozenset[str]:
    """Return the SOP Instance UIDs of instances that rejection notes among them withdraw (IHE RAD TF-1 26, IOCM).

    A note counts whether it came before or after what it rejects; one that was held and given up does not.
    """
    everything = list(instances)
    marks = {
        mark for each in everything if each.state is not InstanceState.DISCARDED for mark in each.rejects
    }
    return frozenset(each.sop_uid for each in everything if marks and mark_of(each.sop_uid) in marks)


def present(instances: Iterable[Instance]) -> list[Instance]:
    """Return the instances that are part of the study.

    Left out is what was discarded or withdrawn, rejection notes, and result objects of our own that came back.
    """
    found = list(instances)
    gone = withdrawn(found)
    return [
        each
        for each in found
        if each.state is not InstanceState.DISCARDED
        and each.sop_uid not in gone
        and not each.rejects
        and not each.facts.made_here
    ]


def fingerprint(instances: Iterable[Instance]) -> str:
    """Return what changes whenever a version of the study would: an instance more, held, passed on, or withdrawn."""
    lines = sorted(
        f"{each.sop_uid} {each.state.value} {each.core_digest or each.digest}" for each in present(instances)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def gathering(study_uid: str, instances: Iterable[Instance]) -> StudyGathering:
    """Return what the instances of a study say together; there must be at least one.

    Where all of them are withdrawn or discarded, the study is still described by what it was.
    """
    everything = sorted(instances, key=lambda instance: (instance.received_at, instance.sop_uid))
    here = present(everything)
    gone = withdrawn(everything)
    described = here or everything
    facts = [instance.facts for instance in described]
    return StudyGathering(
        study_uid=study_uid,
        study_ref=next((each.study_ref for each in everything if each.study_ref), ""),
        order_refs=tuple(sorted({ref for each in everything for ref in each.order_refs}))[:_MOST_ORDERS],
        sources=tuple(sorted({each.source for each in everything if each.source})),
        correlation_id=everything[0].batch,
        # The newest arrival says whose study it is: a correction may have moved it. What nobody can read says nothing.
        patient=next((each.patient for each in reversed(described) if each.patient), ""),
        stored_count=sum(each.state is InstanceState.STORED for each in here),
        held_count=sum(each.state is InstanceState.HELD for each in here),
        withdrawn_count=sum(each.sop_uid in gone for each in everything),
        arrived_count=len(everything),
        series_count=len({each.facts.series_uid for each in here if each.state is InstanceState.STORED}),
        expected_count=expected(everything),
        fingerprint=fingerprint(everything),
        first_arrival=everything[0].received_at,
        # The moment of recording: what the timer waits for is that nothing new gets recorded.
        last_arrival=max(instance.stored_at for instance in everything),
        modalities=tuple(sorted({fact.modality for fact in facts if fact.modality})),
        body_parts=tuple(sorted({fact.body_part for fact in facts if fact.body_part})),
        description=next(
            (text for fact in facts for text in (fact.study_description, fact.series_description) if text), ""
        ),
        age_years=_first(fact.age_years for fact in facts),
        sex=next((fact.sex for fact in facts if fact.sex), ""),
        # One undated image must not silence an alert, and one marked image must not discount the others.
        is_recent=any(fact.is_recent for fact in facts),
        simulated=all(fact.simulated for fact in facts),
        study_date=next((fact.study_date for fact in facts if fact.study_date), ""),
        stat=any(fact.stat for fact in facts)
        or any(each.object_key.startswith(_URGENT) for each in everything),
        # The first images of a live study never come in bulk (`firstread.arrival.lane_of`).
        is_live=not all(each.object_key.startswith(_BULK) for each in everything),
    )


def expected(instances: Sequence[Instance]) -> int | None:
    """Return how many instances the study has by its own headers, or None where they do not say.

    Number of Study Related Instances (0020,1208) says it directly. Else every series must be there, by Number of
    Study Related Series (0020,1206), and say its own number, (0020,1209); see PS3.4 C.3.4.
    """
    facts = [each.facts for each in instances]
    told = max((fact.study_instances or 0 for fact in facts), default=0)
    if told:
        return told
    series: dict[str, int] = {}
    for fact in facts:
        series[fact.series_uid] = max(series.get(fact.series_uid, 0), fact.series_instances or 0)
    number = max((fact.study_series or 0 for fact in facts), default=0)
    complete = number and len(series) >= number and all(series.values())
    return sum(series.values()) if complete else None


def _first(values: Iterable[_Fact | None]) -> _Fact | None:
    return next((value for value in values if value is not None), None)


def single_image(facts: Iterable[InstanceFacts]) -> bool:
    """Tell whether there is one image of one frame, which may be the first of many."""
    found = list(facts)
    return len(found) == 1 and found[0].frames == 1
