"""What was measured is there when the reader comes back, is shown to who signs, and stands in the signed report."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from firstread.policy import Role
from firstread.records.reviews import ReviewRepository
from tests.browser.conftest import Reader, Served, open_reader
from tests.browser.pixels import on_screen
from tests.browser.steps import drawn, flagged_study, open_study, press, saved, tab_to
from tests.browser.test_viewer import projection
from tests.functional.portal.seeding import open_session
from tests.support.conformance import errors, needs_validator

pytestmark = pytest.mark.browser


@pytest.fixture
def study(served: Served) -> str:
    """A CT with findings of a model, which nobody has judged."""
    return flagged_study(served)


@pytest.fixture
def second(chromium: Browser, served: Served) -> Iterator[Reader]:
    """A radiologist who signs what others have written."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    name, value = open_session(served.app, Role.RADIOLOGIST, user="bob")
    context.add_cookies([{"name": name, "value": value, "url": served.url}])
    yield open_reader(context, served)
    context.close()


def measure(page: Page, key: str, *places: tuple[float, float]) -> None:
    """Measure with the pointer."""
    page.keyboard.press(key)
    for place in places:
        page.mouse.click(*on_screen(page, *place))
    page.keyboard.press("v")


@needs_validator
def test_measured_left_come_back_to_handed_in_and_signed(
    reader: Reader, second: Reader, study: str, tmp_path: Path
) -> None:
    reader.sign_in(Role.RESIDENT)
    page = open_study(reader, f"/studies/{study}")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#position")).to_have_text("2 / 3")
    drawn(page)
    with saved(page):
        measure(page, "l", (20, 30), (60, 60))
    with saved(page):
        measure(page, "e", (30, 30), (50, 60))
    listed = page.locator(".measured li")
    expect(listed.nth(0)).to_contain_text(" mm")
    expect(listed.nth(1)).to_contain_text(" HU")
    with saved(page):
        listed.nth(0).get_by_role("textbox").fill("nodule")
    shown = page.locator(".measure-text").all_text_contents()
    assert shown[0].startswith("nodule") and shown[1].startswith("Area ")
    length = listed.nth(0).get_by_role("button").first.inner_text()

    page.goto(f"{reader.url}/")
    page = open_study(reader, f"/studies/{study}")
    expect(listed).to_have_count(2)
    expect(page.locator("#position")).to_have_text("1 / 3")
    expect(page.locator(".measurement")).to_have_count(0)
    listed.nth(0).get_by_role("button").first.click()
    expect(page.locator("#position")).to_have_text("2 / 3")
    expect(page.locator(".measurement")).to_have_count(2)
    expect(page.locator(".measure-text")).to_have_text(shown)
    for _ in range(2):
        page.keyboard.press("n")
        page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".save-status")).to_have_text("Handed in")
    expect(listed.nth(0)).to_contain_text("nodule")
    expect(page.locator(".measured").get_by_role("textbox")).to_have_count(0)

    other = open_study(second, f"/studies/{study}")
    other.keyboard.press("ArrowDown")
    expect(other.locator(".measurement")).to_have_count(2)
    expect(other.locator(".measured li").nth(0)).to_contain_text(length)
    other.keyboard.press("Control+Enter")
    expect(other.locator("#sign-dialog")).to_contain_text(f"nodule: {length}")
    other.keyboard.press("Enter")
    report = other.locator(".report")
    expect(report).to_contain_text(f"Measured (nodule): length, {length.removeprefix('Length ')}")
    expect(other.locator(".measurement")).to_have_count(2)
    expect(other.locator(".measured").get_by_role("button", name="Remove")).to_have_count(0)
    # What is signed does not change: this one stays on the page.
    measure(other, "l", (20, 80), (60, 80))
    expect(other.locator("#viewer-note")).to_contain_text("Not kept with the review")
    expect(other.locator(".measured li")).to_have_count(2)
    with other.expect_download() as download:
        report.get_by_role("link", name="DICOM SR").click()
    path = tmp_path / "report.dcm"
    download.value.save_as(path)
    assert list(errors(path)) == []
    dump = shutil.which("dsrdump")
    assert dump, "dsrdump is not installed (Debian package dcmtk)"
    told = subprocess.run([dump, str(path)], capture_output=True, text=True, check=True).stdout
    (kept,) = ReviewRepository().of_study(study)
    value = kept.measurements[0].values[0].value
    assert f'NUM:(,,"Length")="{value}" (mm,UCUM,"millimeter")' in told
    assert "Attenuation Coefficient" in told and "ELLIPSE" in told
    reader.assert_quiet()
    second.assert_quiet()


def test_measuring_labelling_undoing_and_removing_with_the_keyboard_alone(reader: Reader, study: str) -> None:
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    listed, drawn = page.locator(".measured li"), page.locator(".measurement")
    press(
        page,
        "l",
        "Space",
        "Shift+ArrowRight",
        "Space",
        "Shift+ArrowDown",
        "Space",
        "Shift+ArrowRight",
        "Space",
    )
    expect(listed).to_have_count(2)
    press(page, "Escape", "Control+z")
    expect(listed).to_have_count(1)
    expect(drawn).to_have_count(1)
    press(page, "t", "Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Escape")
    expect(listed.nth(1)).to_contain_text("90.0°")
    press(page, "ArrowDown")
    expect(drawn).to_have_count(0)
    place = listed.nth(0).get_by_role("button").first
    tab_to(page, place)
    press(page, "Enter")
    expect(page.locator("#position")).to_have_text("1 / 3")
    expect(drawn).to_have_count(2)
    press(page, "Tab")
    with saved(page):
        page.keyboard.type("left")
    expect(listed.nth(0).get_by_role("textbox")).to_be_focused()
    expect(page.locator(".measure-text").first).to_contain_text("left")
    press(page, "Shift+Tab", "Delete")
    expect(listed).to_have_count(1)
    expect(listed.nth(0).get_by_role("button").first).to_be_focused()
    with saved(page):
        press(page, "Delete")
    expect(page.locator(".measured")).to_have_count(0)
    expect(drawn).to_have_count(0)
    (kept,) = ReviewRepository().of_study(study)
    assert kept.measurements == ()
    with saved(page):
        press(page, "Control+z")
    expect(listed).to_have_count(1)
    (kept,) = ReviewRepository().of_study(study)
    assert [each.shape.value for each in kept.measurements] == ["angle"]
    reader.assert_quiet()


def test_at_the_detector_pixels_are_kept_and_both_are_said(reader: Reader, served: Served) -> None:
    study = projection(served, ImagerPixelSpacing=[0.5, 0.5])
    served.hospital.change(study)
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    with saved(page):
        press(page, "l", "Space", "Shift+ArrowRight", "Shift+ArrowRight", "Space", "Escape")
    expect(page.locator(".measured li")).to_contain_text("Length 20.0 px")
    expect(page.locator(".measure-text")).to_have_text("20.0 px10.0 mm at the detector")
    page.get_by_role("button", name="Remove measurements").click()
    expect(page.locator(".measured")).to_have_count(0)
    reader.assert_quiet()
