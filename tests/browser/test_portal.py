"""What only a browser can show: keys, overlays, no message in the console, no request to anybody else."""

import pytest
from playwright.sync_api import expect

from firstread.alert import AlertState
from firstread.records.alerts import AlertRepository
from tests.browser.conftest import Reader, Served
from tests.browser.steps import settled, tab_to

pytestmark = pytest.mark.browser

LOADED = "() => document.querySelector('.pane [data-zoom]')?.textContent.includes('%')"


def test_from_sign_in_to_acknowledgement_with_the_keyboard_alone(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    page.keyboard.press("j")
    expect(page.locator(".row-link").nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{served.studies['high']}")
    page.wait_for_function(LOADED)

    overlay, toggle = page.locator(".layers image"), page.locator("#overlay-toggle")
    expect(toggle).to_be_visible()
    expect(overlay).to_have_count(0)  # off until the reader asks
    expect(toggle).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("o")
    expect(overlay).to_be_visible()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#announce")).to_contain_text("Overlay of Pulmonary opacity shown")
    page.keyboard.press("[")
    expect(page.locator(".layers")).to_have_attribute("opacity", "0.7")
    page.keyboard.press("]")
    expect(page.locator(".layers")).to_have_attribute("opacity", "0.8")
    assert [overlay.get_attribute(each) for each in ("x", "y", "width", "height")] == [
        "0",
        "0",
        "1841",
        "1955",
    ]
    page.keyboard.press("o")
    expect(overlay).to_have_count(0)

    button = page.get_by_role("button", name="Acknowledge")
    tab_to(page, button)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Alert acknowledged")).to_be_visible()
    (alert,) = AlertRepository().of_study(served.studies["high"])
    assert (alert.state, alert.acknowledged_by) == (AlertState.ACKNOWLEDGED, "radiologist")
    page.wait_for_function(LOADED)
    page.keyboard.press("w")
    expect(page.locator("tbody tr").first).to_contain_text("Acknowledged")
    reader.assert_quiet()


def test_scrolling_stacks_series_cines_and_windows(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    page.goto(f"{served.url}/studies/{served.studies['ct']}")
    position, window = page.locator("#position"), page.locator("[data-window]")
    expect(position).to_have_text("1 / 6")
    page.wait_for_function(LOADED)
    page.keyboard.press("ArrowDown")
    expect(position).to_have_text("2 / 6")
    page.mouse.move(600, 500)
    page.mouse.wheel(0, 100)
    expect(position).to_have_text("3 / 6")
    page.keyboard.press("End")
    page.keyboard.press("4")
    expect(page.locator("#preset")).to_have_value("3")
    expect(window).to_have_text("W 2500 L 480 Bone")
    expect(position).to_have_text("6 / 6")
    page.keyboard.press("ArrowRight")
    expect(position).to_have_text("1 / 3")
    page.keyboard.press("o")
    expect(page.locator("#announce")).to_have_text("There is no AI overlay.")

    page.goto(f"{served.url}/studies/{served.studies['cine']}")
    expect(position).to_have_text("1 / 30")
    page.keyboard.press("Space")
    expect(position).not_to_have_text("1 / 30")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    reader.assert_quiet()


def test_every_kind_of_study_opens_without_complaint(reader: Reader, served: Served) -> None:
    reader.sign_in()
    for uid in served.studies.values():
        reader.page.goto(f"{served.url}/studies/{uid}")
        settled(reader.page)
        expect(reader.page.locator(".banner")).to_contain_text("not for diagnostic use")
    reader.assert_quiet()


def test_an_image_that_fails_is_said_and_not_replaced_by_another(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    page.route("**/frames/2", lambda route: route.fulfill(status=422, json={"title": "Cannot be shown"}))
    page.goto(f"{served.url}/studies/{served.studies['cine']}")
    page.wait_for_function(LOADED)
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-problem]")).to_have_text("Cannot be shown")
    expect(page.locator(".pixels")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pixels")).to_be_visible()


def test_the_help_opens_and_closes(reader: Reader, served: Served) -> None:
    reader.sign_in()
    for path in ("/", f"/studies/{served.studies['high']}", f"/studies/{served.studies['held']}"):
        reader.page.goto(served.url + path)
        reader.page.keyboard.press("?")
        expect(reader.page.locator("#help")).to_be_visible()
        reader.page.keyboard.press("Escape")
        expect(reader.page.locator("#help")).to_be_hidden()
    reader.assert_quiet()


def test_the_whole_way_of_signing_in_and_out(reader: Reader, served: Served) -> None:
    page = reader.page
    page.goto(f"{served.url}/studies/{served.studies['high']}")
    page.wait_for_url(f"{served.identity_url}/authorize?**")
    expect(page.locator("input:not([type=hidden])").first).to_be_focused()
    page.keyboard.type("radiologist")
    page.keyboard.press("Tab")
    page.keyboard.type(served.password("radiologist"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.url}/studies/{served.studies['high']}")
    (cookie,) = [each for each in page.context.cookies(served.url) if each["name"] == "firstread-session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{served.url}/signed-out")
    page.goto(served.url + "/")
    expect(page.get_by_label("Password")).to_be_visible()  # the provider forgot too
    assert reader.complaints == []
    assert all(url.startswith(served.identity_url) for url in reader.foreign)


def test_the_page_warns_before_the_session_ends(reader: Reader) -> None:
    page = reader.page
    left = {"seconds_left": 100}
    page.route("**/api/session", lambda route: route.fulfill(json=left))
    page.clock.install()
    reader.sign_in()
    page.clock.run_for(16_000)
    warning = page.get_by_role("alert")
    expect(warning).to_contain_text("You will be signed out in 2 minutes.")
    left["seconds_left"] = 900
    page.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_be_hidden()


def test_when_the_session_ends_the_list_goes_away(reader: Reader, served: Served) -> None:
    reader.page.clock.install()
    reader.sign_in()
    reader.page.context.clear_cookies()
    reader.page.clock.run_for(16_000)  # the page asks after its session every 15 seconds
    reader.page.wait_for_url(f"{served.identity_url}/authorize?**")
    expect(reader.page.get_by_text("Chest ap")).to_have_count(0)


def test_on_a_phone(phone: Reader, served: Served) -> None:
    page = phone.page
    phone.sign_in()
    fits = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    page.locator("tbody tr").first.tap()
    page.wait_for_url("**/studies/*")
    page.wait_for_function(LOADED)
    assert page.evaluate(fits)
    page.get_by_role("button", name="Acknowledge").tap()
    expect(page.get_by_text("Alert acknowledged")).to_be_visible()
    page.get_by_role("button", name="AI overlay").tap()
    expect(page.locator(".layers image")).to_have_count(1)
    (alert,) = AlertRepository().of_study(served.studies["high"])
    assert alert.state is AlertState.ACKNOWLEDGED
    phone.assert_quiet()
