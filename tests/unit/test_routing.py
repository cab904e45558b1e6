"""Which model applies, and why the others do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.routing import ModelState, RegisteredModel, RoutingRule, route, select
from firstread.study import Instance, InstanceFacts, InstanceState
from tests.support.records import instance

ages = st.none() | st.floats(0, 120)


def facts(**values: object) -> InstanceFacts:
    base = {
        "series_uid": "2.25.2",
        "sop_class_uid": "1.2",
        "modality": "CR",
        "body_part": "CHEST",
        "view_position": "PA",
        "age_years": 4.0,
        "photometric": "MONOCHROME2",
        "rows": 8,
        "columns": 8,
    }
    return InstanceFacts.model_validate(base | values)


def image(number: int = 1, state: InstanceState = InstanceState.STORED, **values: object) -> Instance:
    return instance(f"2.25.{number}", state=state, facts=facts(**values))


def model(rule: RoutingRule, name: str = "m@1", *, state: ModelState = ModelState.ON) -> RegisteredModel:
    return RegisteredModel(
        model_id=name, title="t", intended_use="tests", rule=rule, bundle_sha256="0" * 64, state=state
    )


RULE = RoutingRule(
    modalities=("CR", "DX"),
    body_parts=("CHEST",),
    views=("PA", "AP"),
    min_age_years=1,
    max_age_years=6,
    photometric=("MONOCHROME1", "MONOCHROME2"),
)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, ""),
        ({"modality": "DX", "view_position": "AP"}, ""),
        ({"modality": "CT"}, "modality is CT"),
        ({"modality": ""}, "modality is unknown"),
        ({"rows": None, "columns": None}, "not an image"),
        ({"body_part": "LEG"}, "body part is LEG"),
        ({"view_position": ""}, "view is unknown"),
        ({"photometric": "RGB"}, "photometric interpretation is RGB"),
        ({"age_years": None}, "age is unknown"),
        ({"age_years": 1.0}, ""),
        ({"age_years": 0.99}, "age is outside the model's population"),
        ({"age_years": 5.99}, ""),
        ({"age_years": 6.0}, "age is outside the model's population"),
    ],
)
def test_an_instance_fits_or_has_a_reason(values: dict[str, object], reason: str) -> None:
    assert RULE.mismatch(facts(**values)) == reason
    found = route([model(RULE)], [instance(facts=facts(**values))])
    assert found.models == (() if reason else ("m@1",))
    assert found.not_applicable == ({"m@1": reason} if reason else {})


@pytest.mark.parametrize(
    "limits", [{"min_age_years": 0}, {"max_age_years": 120}, {"min_age_years": 1, "max_age_years": 6}]
)
def test_an_unknown_age_never_matches_a_limit(limits: dict[str, float]) -> None:
    assert RoutingRule.model_validate(limits).mismatch(facts(age_years=None)) == "age is unknown"
    assert RoutingRule().mismatch(facts(age_years=None)) == ""


@given(ages, st.floats(0, 60), st.floats(1, 60))
def test_a_model_applies_within_its_ages_only(age: float | None, low: float, width: float) -> None:
    rule = RoutingRule(min_age_years=low, max_age_years=low + width)
    assert (rule.mismatch(facts(age_years=age)) == "") == (age is not None and low <= age < low + width)


@given(st.text(max_size=5), st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_term_matches_only_itself(value: str, allowed: list[str]) -> None:
    rule = RoutingRule(modalities=tuple(allowed))
    assert (rule.mismatch(facts(modality=value)) == "") == (value in allowed)


def test_a_model_that_is_switched_off_is_passed_over() -> None:
    found = route([model(RULE, state=ModelState.OFF)], [image()])
    assert found.models == () and found.not_applicable == {"m@1": "the model is switched off"}


@pytest.mark.parametrize(
    ("count", "reason"), [(0, "modality is CT"), (1, "only 1 of 3 instances needed"), (3, ""), (4, "")]
)
def test_a_model_that_needs_several_instances_waits_for_them(count: int, reason: str) -> None:
    rule = RoutingRule(modalities=("CR",), min_instances=3)
    images = [image(number) for number in range(count)] + [image(99, modality="CT")]
    found = route([model(rule)], images)
    assert found.not_applicable.get("m@1", "") == reason
    assert found.models == (() if reason else ("m@1",))


def test_a_held_instance_is_never_looked_at() -> None:
    held = image(state=InstanceState.HELD)
    assert select(RoutingRule(), [held]).instances == ()
    assert route([model(RoutingRule())], [held]).not_applicable == {"m@1": "no instance could be passed on"}


def test_models_are_in_order_and_instances_by_series_and_number() -> None:
    found = route([model(RULE, "z@1"), model(RULE, "a@1")], [image()])
    assert found.models == ("a@1", "z@1")
    images = [image(1, instance_number=2), image(2, instance_number=1), image(3, series_uid="2.25.1")]
    assert [each.sop_uid for each in select(RoutingRule(), images).instances] == [
        "2.25.3",
        "2.25.2",
        "2.25.1",
    ]
