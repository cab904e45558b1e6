"""Titles that can name nobody, and what reviews and models are taken to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firstread.result import Code, Finding, Region, Result, ResultStatus
from firstread.review import Review, ReviewedFinding, Verdict
from firstread.study import ReviewStatus, Risk
from firstread.teaching.cases import Case, Standard, of_models, of_review
from firstread.teaching.words import is_name, unknown_words

OPACITY = Code(value="128309002", scheme="SCT", meaning="Opacity")
NODULE = Code(value="27925004", scheme="SCT", meaning="Nodule")


@pytest.mark.parametrize(
    "title", ["Chest, child, 4 years", "CT head (easy)", "Case 12: AP view", "Supine chest - pitfalls"]
)
def test_titles(title: str) -> None:
    assert unknown_words(title) == ()


@pytest.mark.parametrize(
    "title",
    ["Chest of John Smith", "Müller", "Case 20260302", "Chest 123", "<b>Chest</b>", "chest_1", "chest " * 11],
)
def test_what_may_name_somebody_is_no_title(title: str) -> None:
    assert unknown_words(title)


@given(st.text(max_size=80))
def test_what_is_accepted_consists_of_the_list(title: str) -> None:
    if not unknown_words(title):
        assert title.isascii()
        assert not any(len(part) > 2 for part in "".join(c if c.isdigit() else " " for c in title).split())


def test_names_of_collections() -> None:
    assert is_name("chest-children-2")
    for name in ("", "chest--children", "Chest", "smith", "chest/children", "-chest", "chest-2026", "a#b"):
        assert not is_name(name)


def finding(risk: Risk | None, uid: str = "", region: Region | None = None) -> Finding:
    return Finding(label="x", code=OPACITY, risk=risk, sop_uid="2.25.1", tracking_uid=uid, region=region)


def result(*findings: Finding, **change: object) -> Result:
    made = Result(
        study_uid="2.25.7",
        result_id="v000001#m@1",
        version=1,
        model_id="m@1",
        status=ResultStatus.DONE,
        findings=findings,
        started_at="",
        finished_at="",
    )
    return made.model_copy(update=change)


def test_models_say_what_they_flagged() -> None:
    box = Region(left=-2, top=1, right=4, bottom=5)
    said = of_models([result(finding(Risk.HIGH, region=box), finding(Risk.NOT_FLAGGED))])
    assert said is not None
    assert [each.code for each in said] == [OPACITY]
    corners = [(point.x, point.y) for point in said[0].regions[0].outline]
    assert corners == [(0, 1), (4, 1), (4, 5), (0, 5)]  # a box may reach over the edge, an outline may not
    assert of_models([result(finding(Risk.NOT_FLAGGED))]) == ()


def test_models_that_say_nothing_of_risk_and_that_nobody_sees_do_not_count() -> None:
    assert of_models([]) is None
    assert of_models([result(finding(None))]) is None
    assert of_models([result(finding(Risk.HIGH), shadow=True)]) is None
    assert of_models([result(finding(Risk.HIGH), beside=True)]) is None
    assert of_models([result(status=ResultStatus.FAILED)]) is None


def test_a_review_says_what_it_has_not_rejected() -> None:
    box = Region(left=1, top=1, right=4, bottom=5)
    review = Review(
        study_uid="2.25.7",
        number=1,
        version=1,
        status=ReviewStatus.SIGNED,
        author="ann",
        author_role="radiologist",
        started_at="",
        saved_at="",
        findings=(
            ReviewedFinding(finding_id="2.25.11", verdict=Verdict.ACCEPTED, code=OPACITY),
            ReviewedFinding(finding_id="2.25.12", verdict=Verdict.REJECTED, code=OPACITY),
            ReviewedFinding(finding_id="2.25.13", verdict=Verdict.MISSED, code=NODULE),
            ReviewedFinding(finding_id="2.25.14", code=NODULE),
        ),
    )
    said = of_review(review, [result(finding(Risk.HIGH, "2.25.11", box))])
    assert [each.code for each in said] == [OPACITY, NODULE]
    assert len(said[0].regions) == 1  # the reader agreed with the model's box
    assert said[1].regions == ()


def test_a_case_holds_together() -> None:
    fine = {
        "collection": "chest",
        "number": 1,
        "study_uid": "2.25.7",
        "version": 1,
        "standard": Standard.SIMULATED,
        "choices": (OPACITY, NODULE),
        "title": "Chest",
        "made_by": "ann",
        "made_at": "",
    }
    assert Case.model_validate(fine).standard is Standard.SIMULATED
    for wrong in (
        {"title": "Smith"},
        {"title": " "},
        {"collection": "smith"},
        {"choices": (OPACITY,)},
        {"review": 1},
        {"standard": Standard.SIGNED},
    ):
        with pytest.raises(ValidationError):
            Case.model_validate({**fine, **wrong})
