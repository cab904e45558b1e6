"""What pixels say fills in a silent header, and never changes one."""

import pytest

from firstread.recognition import completed, disagreement, recognised
from firstread.result import Recognised
from firstread.routing import ModelRole, ModelState, RegisteredModel, RoutingRule, route
from firstread.study import AnalysisStatus, InstanceFacts
from functions.alert.logic import ranked, widened
from tests.support.records import instance, result, study

CHEST = Recognised(
    series_uid="2.25.2", label="chest X-ray", probability=0.99, modalities=("CR", "DX"), body_parts=("CHEST",)
)


def facts(**values: object) -> InstanceFacts:
    return InstanceFacts.model_validate(
        {"series_uid": "2.25.2", "sop_class_uid": "1.2", "modality": "CR", "rows": 9, "columns": 9} | values
    )


@pytest.mark.parametrize(
    ("header", "modality", "body_part"),
    [
        ({"body_part": ""}, "CR", "CHEST"),
        ({"modality": "", "body_part": ""}, "CR", "CHEST"),
        ({"modality": "OT", "body_part": ""}, "CR", "CHEST"),
        ({"modality": "DX", "body_part": "HAND"}, "DX", "HAND"),
        ({"modality": "US", "body_part": ""}, "US", ""),
        ({"series_uid": "2.25.3", "body_part": ""}, "CR", ""),
    ],
)
def test_only_silent_facts_are_filled_in(header: dict[str, object], modality: str, body_part: str) -> None:
    (found,) = completed([instance(facts=facts(**header))], {"2.25.2": CHEST})
    assert (found.facts.modality, found.facts.body_part) == (modality, body_part)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"body_part": "CHEST"}, ""),
        ({"modality": "OT", "body_part": ""}, ""),
        ({"body_part": "HAND"}, "the header says body part HAND, the pixels look like chest X-ray"),
        (
            {"modality": "MR", "body_part": "HEAD"},
            "the header says modality MR and body part HEAD, the pixels look like chest X-ray",
        ),
    ],
)
def test_a_disagreement_is_said(header: dict[str, object], said: str) -> None:
    assert disagreement(facts(**header), CHEST) == said


def test_an_unknown_kind_says_nothing() -> None:
    unknown = Recognised(series_uid="2.25.2", label="", probability=0.4)
    assert disagreement(facts(body_part="HAND"), unknown) == ""
    assert recognised([result(recognised=(unknown,))]) == {}


def registered(name: str, **values: object) -> RegisteredModel:
    rule = RoutingRule(modalities=("CR",), body_parts=("CHEST",))
    made = {"model_id": name, "title": "t", "intended_use": "u", "rule": rule, "bundle_sha256": "0" * 64}
    return RegisteredModel.model_validate(made | values)


def test_models_that_apply_once_pixels_have_spoken_are_asked() -> None:
    head = study(
        version=1, models=(), status=AnalysisStatus.NO_MODEL, not_applicable={"cxr@1": "body part is unknown"}
    )
    silent = instance(facts=facts(body_part=""))
    models = [
        registered("cxr@1"),
        registered("tried@1", state=ModelState.SHADOW),
        registered("off@1", state=ModelState.OFF),
    ]
    aid = result(model="kind@1", findings=(), recognised=(CHEST,), beside=True)
    found = widened(head, [aid], models, [silent])
    assert (found.models, found.beside) == (("cxr@1",), ("tried@1",))
    assert found.not_applicable == {}
    assert widened(found, [aid], models, [silent]) == found
    assert ranked(found, [aid]).status is AnalysisStatus.ANALYSING
    assert widened(head, [result(findings=())], models, [silent]) == head


def test_models_in_shadow_and_aids_are_beside_and_say_nothing_of_themselves() -> None:
    image = instance(facts=facts(body_part="CHEST"))
    models = [
        registered("a@1", state=ModelState.SHADOW),
        registered("b@1", role=ModelRole.AID),
        registered("c@1"),
        registered("d@1", state=ModelState.SHADOW, rule=RoutingRule(modalities=("CT",))),
        registered("e@1", role=ModelRole.AID, rule=RoutingRule(modalities=("CT",))),
    ]
    found = route(models, [image])
    assert (found.models, found.beside, found.not_applicable) == (("c@1",), ("a@1", "b@1"), {})
