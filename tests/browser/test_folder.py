"""`firstread view`: a folder of the user's own in the viewer, with masks, planes and verdicts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from portal.folder.app import create_app
from portal.folder.found import look
from tests.browser.conftest import Reader, _port, _serving
from tests.browser.pixels import expect_shown
from tests.browser.steps import drawn
from tests.browser.test_accessibility import violations
from tests.support.folders import CT, STUDY, TILTED, TWICE, save, write_folder
from tests.unit.imaging.test_dose import rt_dose
from tests.unit.imaging.test_suv import pet, sets
from tests.unit.portal.folder.test_volumes import write_nifti

pytestmark = pytest.mark.browser

_TOKEN = "a-token-of-this-test"
_INSIDE, _OUTSIDE = (34.5, 24.5), (2.5, 46.5)


@pytest.fixture
def reader(chromium: Browser, tmp_path: Path) -> Iterator[Reader]:
    write_folder(tmp_path / "patient")
    app = create_app(look(tmp_path / "patient"), _TOKEN)
    with _port() as (listener, url), _serving(app, listener):
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        reader = Reader(context.new_page(), url, app)
        reader.watch()
        yield reader
        context.close()


def picture(page: Page, name: str) -> None:
    """Keep a picture where PICTURES_DIR says."""
    if folder := os.environ.get("PICTURES_DIR"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def open_series(reader: Reader, series: str) -> Page:
    """Open the folder by its address, and a series of it."""
    page = reader.page
    page.goto(f"{reader.url}/open/{_TOKEN}")
    expect(page.get_by_role("heading", level=1)).to_have_text("patient")
    page.locator(f"a[href$='series={series}']").click()
    return drawn(page)


def test_masks_of_both_kinds_are_switched_by_one_key(reader: Reader) -> None:
    page = open_series(reader, CT)
    lines, none = page.locator(".layers path"), page.locator(".layers path")
    expect(page.locator("#position")).to_have_text("1 / 28")
    expect(none).to_have_count(0)  # off until somebody asks
    for _ in range(11):
        page.keyboard.press("ArrowDown")
    expect(page.locator("[data-place]")).to_have_text("12 / 28")
    drawn(page)
    before = page.screenshot()
    page.keyboard.press("o")
    expect(lines).to_have_count(2)  # the same box, segmented and contoured
    expect(page.locator("#position")).to_have_text("12 / 28")
    assert lines.evaluate_all("each => each.map(one => one.getAttribute('stroke'))") == ["#ff0000", "#ffc400"]
    boxes = lines.evaluate_all(
        "each => each.map(one => one.getBBox()).map(b => [b.x, b.y, b.width, b.height])"
    )
    assert boxes == [[24, 18, 20, 12], [24, 18, 20, 12]]
    picture(page, "masks")
    assert page.screenshot() != before
    page.keyboard.press("[")
    expect(page.locator(".layers")).to_have_attribute("opacity", "0.7")
    page.keyboard.press("ArrowDown")
    expect(lines).to_have_count(4)
    page.get_by_label("Small").first.press("Space")
    expect(lines).to_have_count(3)
    page.locator(".pane").first.focus()
    page.keyboard.press("o")
    expect(lines).to_have_count(0)
    reader.assert_quiet()


def test_pixels_windows_measurements_and_planes(reader: Reader) -> None:
    page = open_series(reader, CT)
    page.keyboard.press("End")
    expect(page.locator("[data-place]")).to_have_text("28 / 28")
    page.keyboard.press("Home")
    for _ in range(13):
        page.keyboard.press("ArrowDown")
    expect(page.locator("[data-place]")).to_have_text("14 / 28")
    page.keyboard.press("2")
    drawn(page)
    expect_shown(page, [_INSIDE, _OUTSIDE], [255, 0])
    page.keyboard.press("l")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator(".pane").first).to_contain_text("15.0 mm")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator(".pane-plane")).to_have_count(3)
    expect(page.locator("[data-plane='sagittal'] [data-place]")).to_contain_text("mm")
    picture(page, "planes")
    page.keyboard.press("Escape")
    expect(page.locator(".pane-plane")).to_have_count(0)
    page.keyboard.press("c")
    expect(page.locator("#compare-with")).to_be_visible()
    expect(page.locator(".pane")).to_have_count(2)
    page.keyboard.press("w")
    expect(page.get_by_role("heading", level=1)).to_have_text("patient")
    reader.assert_quiet()


def test_planes_cut_through_masks(reader: Reader) -> None:
    page = open_series(reader, CT)
    page.keyboard.press("p")
    expect(page.locator(".pane-plane")).to_have_count(3)
    lines = page.locator(".pane-plane .layer-line")
    expect(lines).to_have_count(0)
    page.keyboard.press("o")
    expect(lines).to_have_count(6)  # the box is in all planes, segmented and contoured
    picture(page, "planes-masks")
    # 20 columns of 1.5 mm, 12 rows of 2 mm, 6 slices of 3 mm.
    for plane, across, down in (("axial", 30, 24), ("coronal", 30, 18), ("sagittal", 24, 18)):
        boxes = page.locator(f"[data-plane='{plane}'] .layer-line").evaluate_all(
            "each => each.map(one => one.getBBox()).map(b => b.width / b.height)"
        )
        assert boxes == pytest.approx([across / down] * 2, rel=0.08)
    page.get_by_label("Box").first.press("Space")
    expect(lines).to_have_count(3)
    page.locator("[data-plane='axial']").focus()
    for _ in range(10):
        page.keyboard.press("ArrowDown")
    expect(page.locator("[data-plane='axial'] .layer-line")).to_have_count(0)
    page.keyboard.press("o")
    expect(lines).to_have_count(0)
    reader.assert_quiet()


@pytest.mark.parametrize(
    ("series", "count", "why"),
    [(TILTED, 28, "tilt corrected"), (TWICE, 12, "two slices at one position")],
)
def test_what_is_no_volume_opens_as_a_stack_and_says_why(
    reader: Reader, series: str, count: int, why: str
) -> None:
    page = open_series(reader, series)
    expect(page.locator("#position")).to_have_text(f"1 / {count}")
    expect(page.locator(f"[data-verdict='{series}']")).to_contain_text(why)
    expect(page.locator(f"[data-verdict='{series}']")).to_have_class("is-shown")
    expect(page.locator("[data-act='planes']")).to_be_disabled()
    page.keyboard.press("p")
    expect(page.locator("#viewer-note")).to_contain_text(why)
    expect(page.locator(".pane-plane")).to_have_count(0)
    picture(page, f"refused-{count}")
    page.keyboard.press("o")  # masks are on the CT
    expect(page.locator("[data-title]")).to_contain_text("Axial")
    expect(page.locator("[data-act='planes']")).to_be_enabled()
    reader.assert_quiet()


def test_nobody_without_the_address_sees_anything(reader: Reader) -> None:
    for path in ("/", f"/studies/{STUDY}", "/open/another"):
        answer = reader.page.goto(reader.url + path)
        assert answer
        assert answer.status == 403


@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible(reader: Reader, width: int) -> None:
    page = reader.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{reader.url}/open/{_TOKEN}")
    expect(page.get_by_text("Not shown")).to_be_attached()
    expect(page.locator(".banner")).to_contain_text("not for diagnostic use")
    picture(page, f"folder-{width}")
    assert violations(page) == []
    page = open_series(reader, CT)
    page.keyboard.press("o")
    expect(page.locator(".layers path")).not_to_have_count(0)
    picture(page, f"study-{width}")
    assert violations(page) == []
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("back to the folder")
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@contextmanager
def opened(chromium: Browser, path: Path) -> Iterator[Reader]:
    """Open the first series of a folder."""
    app = create_app(look(path), _TOKEN)
    with _port() as (listener, url), _serving(app, listener):
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        reader = Reader(context.new_page(), url, app)
        reader.watch()
        reader.page.goto(f"{url}/open/{_TOKEN}")
        reader.page.locator("a[href*='series=']").first.click()
        expect(reader.page.locator("[data-zoom]")).to_contain_text("%")
        yield reader
        context.close()


def measured(page: Page) -> Locator:
    """Measure a rectangle from the middle of the image on; return what is said of it."""
    page.keyboard.press("b")
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    return page.locator(".pane").first


def test_a_volume_and_its_label_map_are_a_series_and_masks(chromium: Browser, tmp_path: Path) -> None:
    values = np.full((64, 48, 28), 0.25, np.float32)
    values[24:44, 18:30, 10:16] = 1.5
    affine = np.diag([1.5, 2.0, 3.0, 1.0])  # RAS: turned, so that left is at the right and the back below
    write_nifti(tmp_path / "patient" / "scan.nii.gz", values, affine)
    write_nifti(tmp_path / "patient" / "scan_seg.nii.gz", (values > 1).astype(np.uint8), affine)
    with opened(chromium, tmp_path / "patient") as reader:
        page = reader.page
        expect(page.locator("#position")).to_have_text("1 / 28")
        expect(page.locator("[data-edge='right']").first).to_have_text("L")
        expect(page.locator("[data-edge='bottom']").first).to_have_text("P")
        for _ in range(12):
            page.keyboard.press("ArrowDown")
        expect(page.locator("[data-place]")).to_have_text("13 / 28")
        expect(page.locator("[data-window]")).to_contain_text("W 1.25 L 0.875")
        # Columns 24 to 43 from the right are 20 to 39 from the left; rows 18 to 29 of 48 the same both ways.
        expect_shown(page, [(30.5, 24.5), (2.5, 40.5)], [255, 0])
        page.keyboard.press("o")
        lines = page.locator(".layers path")
        expect(lines).to_have_count(1)
        box = lines.evaluate("each => { const b = each.getBBox(); return [b.x, b.y, b.width, b.height]; }")
        assert box == [20, 18, 20, 12]
        picture(page, "nifti")
        page.keyboard.press("p")
        expect(page.locator(".pane-plane")).to_have_count(3)
        expect(page.locator(".pane-plane .layer-line")).to_have_count(3)
        picture(page, "nifti-planes")
        reader.assert_quiet()


def test_uptake_is_shown_as_suv_and_dose_in_gray(chromium: Browser, tmp_path: Path) -> None:
    for number, image in enumerate(pet()):
        stored = np.full((image.Rows, image.Columns), 15000 - 5 * number, "<u2")  # half of SUV 8
        image.PixelData, image.SOPInstanceUID = stored.tobytes(), f"2.25.{7600 + number}"
        save(image, tmp_path / "pet" / f"{number}.dcm")
    with opened(chromium, tmp_path / "pet") as reader:
        page = reader.page
        expect(page.locator("[data-title]")).to_contain_text("SUVbw")
        expect(page.locator("[data-window]")).to_have_text("W 5 L 2.5 SUVbw SUV 0 to 5")
        expect(page.locator("#preset option").first).to_have_text("1 SUV 0 to 5")
        expect(measured(page)).to_contain_text("Mean 4.00 SUVbw")
        picture(page, "suv")
        reader.assert_quiet()
    dose = rt_dose()
    dose.SOPInstanceUID, dose.StudyInstanceUID, dose.SeriesInstanceUID = "2.25.71", "2.25.72", "2.25.73"
    save(dose, tmp_path / "dose" / "dose.dcm")
    with opened(chromium, tmp_path / "dose") as reader:
        page = reader.page
        expect(page.locator("[data-title]")).to_contain_text("Gy")
        expect(page.locator("[data-window]")).to_have_text("W 20 L 10 Gy 0 to 20 Gy")
        expect(measured(page)).to_contain_text("Gy")
        reader.assert_quiet()


def test_uptake_that_cannot_be_told_stays_stored_and_says_why(chromium: Browser, tmp_path: Path) -> None:
    for number, image in enumerate(pet(sets(PatientWeight=None))):
        image.SOPInstanceUID = f"2.25.{7600 + number}"
        save(image, tmp_path / f"{number}.dcm")
    with opened(chromium, tmp_path) as reader:
        expect(reader.page.locator("[data-title]")).to_contain_text("stored values: no weight")
        expect(reader.page.locator("#preset option").first).to_have_text("1 As stored")
        reader.assert_quiet()
