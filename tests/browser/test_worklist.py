"""The worklist in a browser: live, never moving under the reader, by keyboard, on a phone, without scripts."""

import json

import pytest
from playwright.sync_api import Browser, Route, expect

from firstread.order import Priority
from firstread.study import Risk
from tests.browser.conftest import Reader, Served, open_reader

pytestmark = pytest.mark.browser

FITS = "() => document.documentElement.scrollWidth <= innerWidth"


def test_the_list_never_moves_under_a_selection(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    for _ in range(3):
        page.keyboard.press("j")
    third = page.locator("tbody tr").nth(2)
    expect(third).to_have_attribute("data-study", served.studies["ct"])
    pill = page.locator("#changes")
    served.hospital.change(served.studies["held"], priority=Priority.URGENT)
    expect(pill).to_have_text("1 change – press r")
    served.hospital.analysed(served.studies["analysing"], 0.97)
    expect(pill).to_have_text("1 new urgent – press r")
    expect(page.locator("#announce")).to_have_text("1 new urgent – press r")
    expect(third).to_have_attribute("data-study", served.studies["ct"])
    expect(third.locator(".row-link")).to_be_focused()
    page.keyboard.press("r")
    expect(page.locator(".is-high")).to_have_count(3)
    expect(pill).to_be_hidden()
    expect(page.locator("tbody tr").nth(3).locator(".row-link")).to_be_focused()  # the same study
    reader.assert_quiet()


def test_the_list_updates_by_itself_where_nobody_points(reader: Reader, served: Served) -> None:
    reader.sign_in()
    served.hospital.analysed(served.studies["analysing"], 0.97)
    expect(reader.page.locator(".is-high")).to_have_count(3)
    reader.assert_quiet()


def test_a_filter_is_kept_and_says_what_it_hides(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    page.keyboard.press("/")
    expect(page.locator("#filters input").first).to_be_focused()
    page.get_by_role("group", name="Modality").get_by_label("CT").press("Space")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator(".filtered")).to_contain_text("9 of the 10 studies looked at are not shown.")
    expect(page).to_have_url(f"{served.url}/?modality=CT")
    page.goto(f"{served.url}/studies/{served.studies['high']}")
    page.goto(f"{served.url}/")
    page.wait_for_url("**/?modality=CT")
    expect(page.locator("tbody tr")).to_have_count(1)
    served.hospital.analysed(served.studies["analysing"], 0.97)
    page.locator("tbody tr").hover()
    expect(page.locator("#changes")).to_have_text("1 new urgent – press r")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    page.goto(f"{served.url}/")
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page).to_have_url(f"{served.url}/")
    reader.assert_quiet()


def test_more_studies_keep_the_place(reader: Reader, served: Served) -> None:
    for number in range(110):
        served.hospital.study([], waits=200 + number, modality="MR", change={"risk": Risk.NOT_FLAGGED})
    page = reader.page
    reader.sign_in()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(page.locator(".counts")).to_contain_text("50 shown of more")
    page.keyboard.press("m")
    expect(rows).to_have_count(100)
    expect(rows.nth(50).locator(".row-link")).to_be_focused()
    page.locator("#more").click()
    expect(rows).to_have_count(120)
    expect(page.locator(".counts")).to_contain_text("120 shown")
    uids = rows.evaluate_all("rows => rows.map((row) => row.dataset.study)")
    assert len(set(uids)) == 120
    page.keyboard.press("r")
    expect(page.locator("#announce")).to_have_text("The worklist was updated.")
    expect(rows).to_have_count(120)
    reader.assert_quiet()


def test_claiming_by_the_keyboard(reader: Reader, served: Served) -> None:
    asked: list[tuple[str, object]] = []

    def answer(route: Route) -> None:
        asked.append((route.request.method, route.request.post_data and json.loads(route.request.post_data)))
        route.fulfill(status=200, json={})

    page = reader.page
    later = served.hospital.minutes_ago(-60)
    served.hospital.change(served.studies["simulated"], reader="resident", claimed_until=later)
    served.hospital.change(served.studies["ct"], reader="radiologist", claimed_until=later)
    reader.sign_in()
    page.route("**/api/studies/*/claim", answer)
    page.keyboard.press("j")
    page.keyboard.press("c")
    expect(page.locator("#announce")).to_have_text("The study is yours.")
    page.keyboard.press("j")
    page.keyboard.press("c")
    dialog = page.locator("#take-over")
    expect(dialog).to_contain_text("resident is reading this study")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("c")
    dialog.get_by_role("button", name="Take over").click()
    expect(dialog).to_be_hidden()
    page.locator(f"[data-study='{served.studies['ct']}'] .claim").click()
    expect(page.locator("#announce")).to_have_text("Released.")
    assert asked == [("POST", {"take_over": False}), ("POST", {"take_over": True}), ("DELETE", None)]
    reader.assert_quiet()


def test_on_a_phone_the_list_and_its_filter_fit(phone: Reader, served: Served) -> None:
    page = phone.page
    served.hospital.change(served.studies["ct"], reader="a-rather-long-user-name", claimed_until="9")
    phone.sign_in()
    assert page.evaluate(FITS)
    assert len(page.locator("tbody tr .claim:visible").all()) == 10
    page.locator("#filters summary").tap()
    assert page.evaluate(FITS)
    page.locator("#filters label", has_text="Not flagged").tap()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.evaluate(FITS)
    phone.assert_quiet()


def test_without_scripts_the_list_works_by_links(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(java_script_enabled=False)
    reader = open_reader(context, served)
    page = reader.page
    reader.sign_in()
    page.goto(f"{served.url}/?limit=4")
    page.get_by_role("link", name="More studies").click()
    expect(page.locator("tbody tr")).to_have_count(4)
    page.locator("#filters summary").click()
    page.locator("#filters label", has_text="CT").first.click()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page.locator(".claim:visible")).to_have_count(0)
    context.close()
