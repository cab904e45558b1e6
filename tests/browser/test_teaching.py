"""A student reads a case by keyboard alone: outline, finding, hand in, compare; no complaint, no foreign request."""

import pytest
from playwright.sync_api import Page, expect

from firstread.policy import Role
from tests.browser.conftest import Reader, Served
from tests.browser.steps import tab_to, teach
from tests.functional.portal.teaching import IMPRESSION, POINTS

pytestmark = pytest.mark.browser

LOADED = "() => { const i = document.querySelector('.sheet img'); return i?.complete && i.naturalWidth > 0; }"


def large(page: Page, key: str, times: int) -> None:
    """Press an arrow key with Shift."""
    for _ in range(times):
        page.keyboard.press(f"Shift+{key}")


def test_a_case_with_the_keyboard_alone(reader: Reader, served: Served) -> None:
    teach(served)
    page = reader.page
    reader.sign_in(Role.STUDENT)
    tab_to(page, page.get_by_role("link", name="Teaching", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Teaching", exact=True)).to_be_visible()
    expect(page.get_by_text("No case read yet.")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="Begin with case 1", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Open the images")).to_be_focused()
    expect(page.locator("img[alt^=Image]")).to_have_count(0)  # the clock starts with the images
    page.keyboard.press("Enter")
    page.wait_for_function(LOADED)
    expect(page.locator("body")).not_to_contain_text("Signed impression")

    # 100 x 120 pixels: the cursor starts in the middle, a large step is six pixels.
    page.keyboard.press("d")
    expect(page.locator("#draw")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#surface")).to_be_focused()
    large(page, "ArrowLeft", 6)
    large(page, "ArrowUp", 8)
    page.keyboard.press("Space")
    expect(page.locator("#announce")).to_have_text("Corner 1: column 14, row 12")
    page.keyboard.press("Enter")
    expect(page.locator("#announce")).to_have_text("An outline has three corners at least.")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        large(page, key, 6)
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("polygon.layer-pending")).to_have_count(1)
    expect(page.locator("#label")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#problem")).to_contain_text("belongs to no finding yet")
    page.keyboard.type("Pleural")
    tab_to(page, page.get_by_role("button", name="Add finding", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator("#own li")).to_have_count(1)
    expect(page.locator("#own")).to_contain_text("outlined")
    page.reload()  # loses nothing
    expect(page.locator("#own li")).to_have_count(1)
    page.keyboard.press("Control+Enter")

    expect(page.locator("#reveal")).to_be_focused()
    expect(page.locator("#reveal")).to_contain_text("1 of 1 found, 0 false, mean overlap (IoU) 0.8")
    expect(page.locator("body")).to_contain_text(IMPRESSION)
    expect(page.locator("body")).to_contain_text(POINTS)
    expect(page.locator("polygon.layer-own")).to_have_count(1)
    expect(page.locator("polygon.layer-truth")).to_have_count(1)
    tab_to(page, page.get_by_role("checkbox", name="Signed", exact=True))
    page.keyboard.press("Space")
    expect(page.locator("polygon.layer-truth")).to_have_count(0)
    tab_to(page, page.get_by_role("link", name="Progress", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Score by case")).to_be_visible()
    expect(page.locator(".figures")).to_contain_text("100")
    reader.assert_quiet()
