"""The viewer on phantoms: right pixels, directions, lengths, layers and regions; by pointer and by keyboard."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import Reader, Served, open_reader
from tests.browser.phantoms import ct, image, quadrants, same_patient, segment
from tests.browser.pixels import expect_shown, on_screen
from tests.browser.steps import opened as opened_page
from tests.browser.steps import until

pytestmark = pytest.mark.browser

OPEN = "() => Boolean(document.querySelector('#viewer').viewer)"
DRAW = "kind => { window.drawn = document.querySelector('#viewer').viewer.drawRegion(kind); }"
DRAWN = "() => window.drawn"


def draw(page: Page, kind: str) -> None:
    """Let the reader draw, once all of the viewer is there."""
    page.wait_for_function(OPEN)
    page.evaluate(DRAW, kind)


@pytest.fixture
def opened(reader: Reader, served: Served) -> Callable[[str], Page]:
    """Return a function that opens a study and waits for its first image."""

    def open_study(study_uid: str) -> Page:
        if "/sign-in" in reader.page.url or reader.page.url == "about:blank":
            reader.sign_in()
        reader.page.goto(f"{served.url}/studies/{study_uid}")
        return opened_page(reader.page)

    return open_study


@pytest.fixture
def axial(served: Served) -> str:
    """Return the UID of a study with the CT phantom."""
    return served.hospital.study(ct(), modality="CT", description="Phantom")


def projection(served: Served, **attributes: object) -> str:
    """Return the UID of a study with one projection."""
    return served.hospital.study([image(quadrants(), WindowCenter=1500, WindowWidth=3000, **attributes)])


def test_pixels_follow_scrolling_windows_and_inversion(
    reader: Reader, opened: Callable[[str], Page], axial: str
) -> None:
    page = opened(axial)
    water, square, rim, air = (40.5, 64.5), (89.5, 64.5), (97.5, 64.5), (3.5, 3.5)
    expect_shown(page, [water, square, rim, air], [102, 255, 102, 0])
    page.keyboard.press("End")
    expect(page.locator("#position")).to_have_text("12 / 12")
    expect(page.locator("[data-place]")).to_have_text("12 / 12")
    expect_shown(page, [water, square, rim, air], [102, 255, 255, 0])
    page.keyboard.press("3")
    expect(page.locator("[data-window]")).to_have_text("W 1500 L -600 Lung")
    expect_shown(page, [water, air], [230, 60])
    page.keyboard.press("i")
    expect_shown(page, [water, air], [25, 195])
    page.keyboard.press("\\")
    expect_shown(page, [water, air], [102, 0])
    reader.assert_quiet()


def test_the_first_image_waits_for_nothing_but_itself(
    reader: Reader, served: Served, opened: Callable[[str], Page], axial: str
) -> None:
    held: list[Route] = []
    asked: list[str] = []
    reader.page.route(re.compile(r"/series/[0-9.]+/metadata$"), lambda route: held.append(route))
    reader.page.on("request", lambda request: asked.append(request.url.removeprefix(served.url)))
    page = opened(axial)
    of_study = [path for path in asked if axial in path and "/dicomweb/" in path and "Modality=" not in path]
    assert [path.rpartition("/")[2] for path in of_study] == ["1", "metadata", "metadata"]
    assert f"/api/studies/{axial}" not in asked  # the page has brought it
    expect(page.locator("[data-place]")).to_have_text("1 / 1")
    # What the reader does meanwhile holds: the window stays, and the images are scrolled once they are there.
    page.keyboard.press("3")
    page.keyboard.press("+")
    zoom = page.locator("[data-zoom]").inner_text()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    held[0].continue_()
    expect(page.locator("[data-place]")).to_have_text("3 / 12")
    expect(page.locator("[data-window]")).to_have_text("W 1500 L -600 Lung")
    expect(page.locator("[data-zoom]")).to_have_text(zoom)
    reader.assert_quiet()


def test_a_series_that_does_not_come_is_said_under_its_first_image(
    reader: Reader, opened: Callable[[str], Page], axial: str
) -> None:
    reader.page.route(re.compile(r"/series/[0-9.]+/metadata$"), lambda route: route.abort())
    page = opened(axial)
    expect(page.locator("#viewer-note")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-place]")).to_have_text("1 / 1")


def test_the_window_follows_a_drag_and_the_keyboard(
    reader: Reader, opened: Callable[[str], Page], axial: str
) -> None:
    page = opened(axial)
    page.mouse.move(500, 500)
    page.mouse.down()
    page.mouse.move(560, 470, steps=3)
    page.mouse.up()
    expect(page.locator("#preset")).to_have_value("-1")
    dragged = page.locator("[data-window]").inner_text()
    width, level = map(int, re.findall(r"-?\d+", dragged))
    assert width > 400
    assert level < 40
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("[data-window]")).not_to_have_text(dragged)
    reader.assert_quiet()


def test_letters_turn_with_the_image(reader: Reader, opened: Callable[[str], Page], axial: str) -> None:
    page = opened(axial)

    def letters() -> str:
        return "".join(
            page.locator(f'[data-edge="{side}"]').first.inner_text()
            for side in ("top", "right", "bottom", "left")
        )

    def expect_letters(*wanted: str) -> None:
        until(page, lambda: letters() in wanted, " or ".join(wanted))

    expect_letters("ALPR")
    page.keyboard.press("f")
    expect_letters("ARPL")
    page.keyboard.press("f")
    page.keyboard.press("u")
    expect_letters("RALP", "LPRA")
    page.keyboard.press("u")
    expect_letters("PRAL")
    page.keyboard.press("\\")
    expect_letters("ALPR")
    reader.assert_quiet()


def test_a_projection_tells_its_sides_by_patient_orientation(
    opened: Callable[[str], Page], served: Served
) -> None:
    page = opened(projection(served, PatientOrientation=["L", "F"]))
    sides = [
        page.locator(f'[data-edge="{side}"]').inner_text() for side in ("top", "right", "bottom", "left")
    ]
    assert sides == ["H", "L", "F", "R"]
    expect(page.locator("[data-ruler]")).to_be_hidden()  # nothing is known of its size


@pytest.mark.parametrize(("photometric", "wanted"), [("MONOCHROME2", [0, 255]), ("MONOCHROME1", [255, 0])])
def test_light_on_dark_and_dark_on_light(
    opened: Callable[[str], Page], served: Served, photometric: str, wanted: list[int]
) -> None:
    page = opened(projection(served, PhotometricInterpretation=photometric))
    expect_shown(page, [(20, 30), (80, 30)], wanted)


def test_a_sigmoid_window_is_not_drawn_as_a_straight_one(
    opened: Callable[[str], Page], served: Served
) -> None:
    page = opened(projection(served, VOILUTFunction="SIGMOID"))
    # PS3.3 C.11.2.1.3.1: 255 / (1 + exp(-4 (x - 1500) / 3000))
    expect_shown(page, [(20, 80), (80, 80)], [86, 168])


@pytest.mark.parametrize("attributes", [{"PixelSpacing": [2, 1]}, {"PixelAspectRatio": [2, 1]}])
def test_pixels_that_are_not_square(
    opened: Callable[[str], Page], served: Served, attributes: dict[str, object]
) -> None:
    page = opened(projection(served, **attributes))
    (left, top), (right, bottom) = on_screen(page, 0, 0), on_screen(page, 100, 100)
    assert (bottom - top) / (right - left) == pytest.approx(2, abs=0.01)
    expect_shown(page, [(20, 30), (80, 30), (20, 80), (80, 80)], [0, 255, 85, 170])


def test_lengths_and_regions_of_interest_by_keyboard(
    reader: Reader, opened: Callable[[str], Page], axial: str
) -> None:
    page = opened(axial)
    words = page.locator(".measure-text")
    page.keyboard.press("l")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    expect(words).to_have_text("15.0 mm")
    expect(page.locator("#announce")).to_have_text("15.0 mm")
    page.keyboard.press("b")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    expect(words.nth(1)).to_have_text(re.compile("Area 225 mm²Mean 0.00 HUSD 0.00 HU"))
    page.keyboard.press("Delete")
    expect(words).to_have_count(1)
    reader.assert_quiet()


def test_angles_and_lengths_with_the_pointer(opened: Callable[[str], Page], served: Served) -> None:
    page = opened(projection(served, ImagerPixelSpacing=[0.5, 0.5]))
    page.keyboard.press("l")
    for place in ((10, 10), (50, 10)):
        page.mouse.click(*on_screen(page, *place))
    expect(page.locator(".measure-text")).to_have_text(
        re.compile(r"^(19\.9|20\.0|20\.1) mm at the detector$")
    )
    page.keyboard.press("t")
    for place in ((50, 20), (20, 20), (20, 60)):
        page.mouse.click(*on_screen(page, *place))
    expect(page.locator(".measure-text").nth(1)).to_have_text(re.compile(r"^(89|90)\.\d°$"))
    expect(page.locator("[data-ruler]")).to_contain_text("at the detector")


def test_segments_and_boxes_are_layers(reader: Reader, served: Served, opened: Callable[[str], Page]) -> None:
    study = served.hospital.study(ct(4), modality="CT", description="Phantom")
    segment(served.hospital, study)
    page = opened(study)
    outline, box = page.locator(".layers path"), page.locator(".layers rect")
    expect(page.locator("#overlay-toggle")).to_be_visible()
    expect(outline).to_have_count(0)
    page.keyboard.press("o")
    expect(box).to_have_count(1)
    page.keyboard.press("]")
    expect(page.locator(".layers").first).to_have_attribute("opacity", "0.9")
    page.keyboard.press("o")
    expect(box).to_have_count(0)
    page.wait_for_function(OPEN)
    page.evaluate("() => { const v = document.querySelector('#viewer').viewer; void v.overlays.show(null); }")
    expect(outline).to_have_count(1)
    # The square of the first slice: columns 85 to 94, rows 59 to 69.
    assert outline.get_attribute("d") == "M85 59L95 59L95 70L85 70Z"
    page.keyboard.press("End")
    expect(outline).not_to_have_attribute("d", "M85 59L95 59L95 70L85 70Z")
    reader.assert_quiet()


def test_a_polygon_is_drawn_in_pixels_of_the_image(
    reader: Reader, opened: Callable[[str], Page], axial: str
) -> None:
    page = opened(axial)
    draw(page, "polygon")
    expect(page.locator("#draw-tools")).to_be_visible()
    corners = [(40, 50), (60, 50), (60, 70)]
    for corner in corners:
        page.mouse.click(*on_screen(page, *corner))
    page.keyboard.press("Enter")
    (region,) = page.evaluate(DRAWN)
    assert (region["series_uid"], region["sop_uid"], region["frame"]) == (f"{axial}.1", f"{axial}.1.1", 1)
    assert [(p["x"], p["y"]) for p in region["outline"]] == [pytest.approx(each, abs=0.2) for each in corners]
    expect(page.locator("#draw-tools")).to_be_hidden()
    reader.assert_quiet()


def test_a_polygon_by_keyboard_alone(opened: Callable[[str], Page], axial: str) -> None:
    page = opened(axial)
    draw(page, "polygon")
    for key in ("ArrowRight", "Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Enter"):
        page.keyboard.press(key)
    (region,) = page.evaluate(DRAWN)
    assert region["outline"] == [{"x": 65, "y": 64}, {"x": 75, "y": 64}, {"x": 75, "y": 74}]
    draw(page, "polygon")
    page.keyboard.press("Escape")
    assert page.evaluate(DRAWN) == []


def test_a_brush_paints_and_erases(reader: Reader, opened: Callable[[str], Page], axial: str) -> None:
    page = opened(axial)
    draw(page, "brush")
    page.locator("#brush-size").fill("10")
    page.mouse.click(*on_screen(page, 64, 64))
    page.get_by_role("button", name="Erase").click()
    page.locator("#brush-size").fill("3")
    page.mouse.click(*on_screen(page, 64, 64))
    page.get_by_role("button", name="Finish").click()
    (region,) = page.evaluate(DRAWN)
    assert len(region["holes"]) == 1
    assert _area(region["outline"]) == pytest.approx(np.pi * 100, rel=0.05)
    assert _area(region["holes"][0]) == pytest.approx(np.pi * 9, rel=0.15)
    reader.assert_quiet()


def _area(points: list[dict[str, float]]) -> float:
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(a["x"] * b["y"] - b["x"] * a["y"] for a, b in pairs)) / 2


def test_three_planes_through_a_volume(reader: Reader, opened: Callable[[str], Page], axial: str) -> None:
    page = opened(axial)
    page.keyboard.press("p")
    planes = page.locator(".pane-plane")
    expect(planes).to_have_count(3)
    coronal = page.locator('[data-plane="coronal"]')
    expect(coronal.locator('[data-edge="top"]')).to_have_text("H")
    expect(coronal.locator('[data-edge="left"]')).to_have_text("R")
    place = coronal.locator("[data-place]")
    expect(place).to_contain_text("mm")
    before = place.inner_text()
    coronal.focus()
    page.keyboard.press("ArrowDown")
    expect(place).not_to_have_text(before)
    page.keyboard.press("Escape")
    expect(planes).to_have_count(0)
    reader.assert_quiet()


def test_planes_are_refused_with_words(opened: Callable[[str], Page], served: Served) -> None:
    uneven = ct(6)
    del uneven[2]
    page = opened(served.hospital.study(uneven, modality="CT"))
    page.keyboard.press("p")
    expect(page.locator("#viewer-note")).to_have_text(
        "No other planes: the distance between images is not the same everywhere."
    )
    expect(page.locator(".pane-plane")).to_have_count(0)


def test_an_earlier_study_beside_this_one(
    reader: Reader, served: Served, opened: Callable[[str], Page], axial: str
) -> None:
    prior = served.hospital.study(ct(), modality="CT", description="Earlier")
    same_patient(axial, prior)
    page = opened(axial)
    page.keyboard.press("c")
    panes = page.locator(".pane")
    expect(panes).to_have_count(2)
    expect(page.locator("#compare-with optgroup")).to_have_count(2)
    expect(panes.nth(1).locator("[data-place]")).to_have_text("1 / 12")
    page.keyboard.press("ArrowDown")
    expect(panes.nth(0).locator("[data-place]")).to_have_text("2 / 12")
    expect(panes.nth(1).locator("[data-place]")).to_have_text("2 / 12")
    page.locator("#linked").uncheck()
    panes.nth(0).focus()
    page.keyboard.press("ArrowDown")
    expect(panes.nth(0).locator("[data-place]")).to_have_text("3 / 12")
    expect(panes.nth(1).locator("[data-place]")).to_have_text("2 / 12")
    page.keyboard.press("Escape")
    expect(panes).to_have_count(1)
    reader.assert_quiet()


def test_every_tool_has_a_name_and_can_be_focused(opened: Callable[[str], Page], axial: str) -> None:
    page = opened(axial)
    for button in page.locator(".tools button:visible").all():
        assert button.inner_text().strip() or button.text_content()
        button.focus()
        expect(button).to_be_focused()


def test_without_webgl_the_first_image_comes_from_the_server(
    chromium: Browser, served: Served, axial: str
) -> None:
    context = chromium.new_context(viewport={"width": 1000, "height": 700})
    context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    reader = open_reader(context, served)
    reader.sign_in()
    reader.page.goto(f"{served.url}/studies/{axial}")
    expect(reader.page.locator("#viewer-note")).to_contain_text("no WebGL 2. Only the first image")
    expect(reader.page.locator("img.fallback")).to_be_visible()
    reader.assert_quiet()
    context.close()


def test_without_javascript_the_first_image_comes_from_the_server(
    chromium: Browser, served: Served, axial: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    reader = open_reader(context, served)
    reader.sign_in()
    reader.page.goto(f"{served.url}/studies/{axial}")
    expect(reader.page.locator("img.fallback")).to_be_visible()
    expect(reader.page.locator("noscript p")).to_be_visible()
    context.close()


def test_on_a_phone_tools_stay_within_reach(phone: Reader, served: Served, axial: str) -> None:
    page = phone.page
    phone.sign_in()
    page.goto(f"{served.url}/studies/{axial}")
    opened_page(page)
    # Against the screen: innerWidth grows with what sticks out.
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Invert").tap()
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    expect_shown(page, [(40.5, 64.5)], [153])
    phone.assert_quiet()
