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


AXIAL = {"modality": "MR", "plane": "axial", "slice_thickness_mm": 1.0}


def series(uid: str, count: int, **values: object) -> list[Instance]:
    """Return the images of an axial MR series."""
    first = int(uid.rsplit(".", 1)[-1]) * 1000
    shared = {"series_uid": uid, **AXIAL, **values}
    return [
        instance(f"2.25.{first + number}", facts=facts(instance_number=number, **shared))
        for number in range(count)
    ]


VOLUME = RoutingRule.model_validate(
    {"modalities": ["MR"], "min_instances": 10, "series": {"planes": ["axial"], "max_slice_thickness_mm": 5}}
)


def test_one_series_is_chosen_the_thinnest_and_the_others_are_named() -> None:
    thin = series("2.25.3", 20)
    found = select(
        VOLUME,
        [
            *series("2.25.1", 12, slice_thickness_mm=4.0),
            *series("2.25.2", 12, plane="sagittal"),
            *thin,
            *series("2.25.4", 3),
            *series("2.25.5", 3, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")),
            *series("2.25.6", 30, image_type=("DERIVED", "PRIMARY")),
            *series("2.25.7", 30, slice_thickness_mm=None),
        ],
    )
    assert [each.sop_uid for each in found.instances] == [each.sop_uid for each in thin]
    assert found.passed_over == {
        "2.25.1": "another series of the study was preferred",
        "2.25.2": "plane is sagittal",
        "2.25.4": "only 3 of 10 instances needed",
        "2.25.5": "a localizer",
        "2.25.6": "a derived image",
        "2.25.7": "slices are too thick, or of unknown thickness",
    }


def test_a_rule_may_prefer_the_series_of_most_images_and_let_derived_ones_in() -> None:
    assert VOLUME.series is not None
    most = VOLUME.model_copy(
        update={"series": VOLUME.series.model_copy(update={"prefer": "most"}), "allow_derived": True}
    )
    found = select(most, [*series("2.25.1", 10), *series("2.25.6", 30, image_type=("DERIVED", "PRIMARY"))])
    assert {each.facts.series_uid for each in found.instances} == {"2.25.6"}


def test_frames_of_an_enhanced_image_count_as_slices() -> None:
    found = select(VOLUME, series("2.25.1", 1, frames=40))
    assert len(found.instances) == 1 and not found.reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"image_type": ("DERIVED", "PRIMARY")}, ""),
        ({"image_type": ("DERIVED", "SECONDARY")}, "a secondary image"),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"}, "a secondary image"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "a localizer"),
    ],
)
def test_screenshots_and_localizers_are_not_looked_at(values: dict[str, object], reason: str) -> None:
    assert RoutingRule().mismatch(facts(**values)) == reason


def test_an_expression_decides_on_facts_and_on_the_field_of_view() -> None:
    rule = RoutingRule(expression="field_of_view_mm <= 120 and 'HIPPO' not in series_description")
    near = {"rows": 51, "columns": 35, "row_spacing_mm": 1.0, "column_spacing_mm": 1.0}
    assert rule.mismatch(facts(**near)) == ""
    assert rule.mismatch(facts(**near, series_description="HIPPO")).startswith("not ")
    assert rule.mismatch(facts(rows=512, columns=512, row_spacing_mm=0.43, column_spacing_mm=0.43)) != ""
    assert rule.mismatch(facts(rows=51, columns=35)) != ""
    with pytest.raises(ValueError, match="no fact 'patient_name'"):
        RoutingRule(expression="patient_name == 'x'")
