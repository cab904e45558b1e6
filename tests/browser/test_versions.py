"""A version of a study beside the current one: its own overlay, words that say which it is, nothing to judge."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from firstread.records.audit import AuditTrail
from firstread.result import Code, Finding, Region
from tests.browser.conftest import Reader, Served
from tests.browser.phantoms import ct, segment

pytestmark = pytest.mark.browser

OTHER = "lesion@0.2.0"


@pytest.fixture
def study(served: Served) -> str:
    """Four slices with a segmented lesion; then a fifth came, and two models found something else."""
    hospital, slices = served.hospital, ct(5)
    study_uid = hospital.study(slices[:4], waits=60, modality="CT", description="Phantom")
    hospital.close(study_uid, 1, waits=50)
    segment(hospital, study_uid)
    hospital.late(study_uid, 5, slices[4], waits=40)
    hospital.close(study_uid, 2, waits=30)
    for model, label in (("lesion@0.1.0", "Nodule"), (OTHER, "Calcification")):
        found = Finding(
            label=label,
            code=Code(value="52988006", scheme="SCT", meaning="Lesion"),
            sop_uid=f"{study_uid}.1.2",
            region=Region(left=10, top=10, right=30, bottom=30),
        )
        hospital.result(study_uid, version=2, model=model, findings=(found,))
    hospital.change(study_uid, version=2, models=("lesion@0.1.0", OTHER))
    return study_uid


def test_another_version_beside_this_one(reader: Reader, served: Served, study: str) -> None:
    reader.sign_in()
    page = reader.page
    page.goto(f"{served.url}/studies/{study}")
    panes = page.locator(".pane")
    main, other = panes.nth(0), panes.nth(1)
    expect(main.locator("[data-place]")).to_have_text("1 / 5")
    page.keyboard.press("c")
    # By keyboard alone: the choice of a version is a list, and its findings are buttons.
    choice = page.locator("#compare-with")
    expect(choice.locator("optgroup")).to_have_count(3)
    option = choice.locator("optgroup[label^='Version 1 of 2, superseded'] option")
    choice.focus()
    choice.select_option(value=option.get_attribute("value"))
    notes = other.locator(".version-notes")
    expect(notes.locator("summary")).to_have_text("Version 1 of 2, superseded")
    expect(notes).to_contain_text("Not to be judged any more.")
    expect(notes).to_contain_text("4 images.")
    expect(other).to_have_attribute(
        "aria-label",
        "Version 1 of 2, superseded. Image to compare with. Arrow keys scroll, question mark lists all keys.",
    )
    expect(other.locator("[data-title]")).to_contain_text("Version 1 of 2, superseded")
    expect(other.locator("[data-place]")).to_have_text("1 / 4")
    # What models said of it is in its own pane only, and shown when it is asked for.
    expect(page.locator(".layers path, .layers rect")).to_have_count(0)
    notes.get_by_role("button", name="Lesion").focus()
    page.keyboard.press("Enter")
    expect(other.locator(".layers rect")).to_have_count(1)
    expect(main.locator(".layers rect")).to_have_count(0)
    page.locator("#compare-layers").uncheck()
    expect(other.locator(".layers rect")).to_have_count(0)
    page.locator("#compare-layers").check()
    expect(other.locator(".layers rect")).to_have_count(1)
    expect(other.locator(".layers path")).to_have_count(1)
    assert notes.get_by_role("button").all_inner_texts() == ["Lesion"]
    # The panel is of the current version only.
    assert page.locator(".review-card").count() == 2
    expect(page.locator("#review")).not_to_contain_text("Superseded")
    main.focus()
    page.keyboard.press("ArrowDown")
    expect(main.locator("[data-place]")).to_have_text("2 / 5")
    expect(other.locator("[data-place]")).to_have_text("2 / 4")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "versions.png")
    seen = [each for each in AuditTrail().of(f"study#{study}") if each.get("version") == 1]
    assert {each["action"] for each in seen} == {"study.view", "overlay.view"}
    page.keyboard.press("Escape")
    expect(panes).to_have_count(1)
    expect(main.locator(".layers rect")).to_have_count(0)
    reader.assert_quiet()


def test_one_model_of_several_beside_all(reader: Reader, served: Served, study: str) -> None:
    reader.sign_in()
    page = reader.page
    page.goto(f"{served.url}/studies/{study}")
    expect(page.locator("[data-zoom]")).to_contain_text("%")
    page.keyboard.press("c")
    option = page.locator("#compare-with optgroup[label^='Version 2 of 2, current'] option")
    page.locator("#compare-with").select_option(value=option.get_attribute("value"))
    notes = page.locator(".version-notes")
    expect(notes.get_by_role("button")).to_have_count(2)
    page.locator("#compare-model").select_option(value=OTHER)
    expect(notes.get_by_role("button")).to_have_text("Calcification")
    page.locator("#compare-layers").check()
    page.keyboard.press("ArrowDown")
    page.locator(".pane").nth(1).focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pane").nth(1).locator(".layers rect")).to_have_attribute(
        "data-label", "Calcification"
    )
    reader.assert_quiet()
