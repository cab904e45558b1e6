"""The stories of readers once more without any pointer: no click, no mouse, only keys and what has the focus."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread

from firstread.policy import Role
from firstread.records.reviews import ReviewRepository
from firstread.review import Verdict
from tests.browser.conftest import Reader, Served, open_reader
from tests.browser.steps import card, flagged_study, is_focused, opened, press, saved, tab_to, teach
from tests.functional.portal.seeding import open_session

pytestmark = pytest.mark.browser

_NO_POINTER = """for (const kind of ["pointerdown", "mousedown", "touchstart", "wheel"]) {
    addEventListener(kind, () => console.error("a pointer was used"), true);
}"""
_FOCUS = """() => {
    const each = document.activeElement;
    if (each === document.body) return null;
    const box = each.getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    // The focus may show on the row of a link, or on what a label draws in place of its box.
    const shown = [each, each.nextElementSibling, each.closest("tr"), each.closest("tr")?.querySelector("td")];
    const look = () => shown.filter(Boolean).map(one => {
        const { outline, boxShadow, borderColor } = getComputedStyle(one);
        return outline + boxShadow + borderColor;
    }).join();
    const focused = look();
    let blurred = "";
    if (each.type === "date") blurred = getComputedStyle(each).outlineStyle === "none" ? focused : "";
    else {  // a date would begin again with its first part
        each.blur();
        blurred = look();
        each.focus({ preventScroll: true });
    }
    return {
        what: each.outerHTML.slice(0, 120),
        marked: focused !== blurred,
        seen: box.width > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
        covered: top !== null && !each.contains(top) && !top.contains(each) && each.nextElementSibling !== top,
        first: each.matches(".skip"),
    };
}"""


@pytest.fixture
def reader(chromium: Browser, served: Served) -> Iterator[Reader]:
    """A window that complains of any pointer."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.add_init_script(_NO_POINTER)
    yield open_reader(context, served)
    context.close()


def sign_in(page: Page, served: Served, user: str = "radiologist") -> None:
    """Say who it is at the identity provider."""
    page.wait_for_url(f"{served.identity_url}/authorize?**")
    expect(page.locator("input:focus")).to_have_count(1)  # the page chooses, once it is drawn
    if is_focused(page.get_by_label("User name")):
        page.keyboard.type(user)
        press(page, "Tab")
    page.keyboard.type(served.password(user))
    press(page, "Enter")


def test_from_the_alert_to_a_signed_report(reader: Reader, served: Served, tmp_path: Path) -> None:
    study = flagged_study(served)
    alert = served.hospital.alert(study)
    page = reader.page
    page.goto(f"{served.url}/alerts/{alert}")
    sign_in(page, served)
    page.wait_for_url(f"**/studies/{study}#alerts")
    tab_to(page, page.get_by_role("button", name="Acknowledge"))
    press(page, "Enter")
    expect(page.get_by_text("Alert acknowledged")).to_be_visible()
    opened(page)
    press(page, "w")
    page.wait_for_url(f"{served.url}/")
    expect(page.locator("tbody tr")).to_have_count(11)
    press(page, "/")
    expect(page.locator("#filters input").first).to_be_focused()
    tab_to(page, page.get_by_role("group", name="Modality").get_by_label("CT"))
    press(page, "Space")
    expect(page.locator("tbody tr")).to_have_count(2)
    press(page, "j", "j", "k", "Enter")
    page.wait_for_url(f"**/studies/{study}")
    opened(page)

    press(page, "ArrowDown")
    expect(page.locator("#position")).to_have_text("2 / 3")
    press(page, "3")
    expect(page.locator("[data-window]")).to_contain_text("Lung")
    for count in (2, 0):
        press(page, "o")
        expect(page.locator(".layers rect")).to_have_count(count)
    press(page, "l", "Space", "Shift+ArrowRight", "Space")
    expect(page.locator(".measure-text")).to_contain_text("mm")
    press(page, "Escape")

    # The first finding, corrected: another name from the list, and a region by the brush.
    press(page, "n", "m")
    expect(card(page, 1).get_by_label("Finding")).to_be_focused()
    with saved(page):
        page.keyboard.type("Mass")
        press(page, "Tab")  # a value that was gone on from is taken, and the focus is where it was led
    expect(card(page, 1).get_by_label("Site")).to_be_focused()
    tab_to(page, card(page, 1).get_by_role("button", name="Brush"))
    press(page, "Enter")
    expect(page.locator("#draw-tools")).to_be_visible()
    press(page, ".", "ArrowRight", "Space", "Shift+ArrowRight", "Space", "x", ",", ",", "ArrowLeft", "Space")
    expect(page.locator("#announce")).to_contain_text("Erased at column")
    with saved(page):
        press(page, "Enter")
    expect(card(page, 1)).to_contain_text("Modified")

    # The second rejected: going through the reasons with the arrow keys takes none before Enter.
    press(page, "n", "x")
    why = card(page, 2).get_by_label("Why")
    expect(why).to_be_focused()
    press(page, "ArrowDown", "ArrowDown", "Tab", "Shift+Tab")
    expect(why).to_have_value("-1")
    expect(card(page, 2)).to_contain_text("Unconfirmed")
    page.keyboard.type("Arte")
    press(page, "Enter")
    expect(card(page, 2)).to_contain_text("rejected (artefact)")

    # The third accepted, and one that no model has named.
    tab_to(page, card(page, 3).get_by_role("button", name="Accept"))
    press(page, "Enter")
    tab_to(page, page.get_by_label("Add a missed finding"))
    page.keyboard.type("Nod")
    expect(page.locator(".is-missed")).to_have_count(0)
    press(page, "Enter")
    expect(page.locator(".is-missed")).to_contain_text("Nodule")
    tab_to(page, page.get_by_label("Impression"))
    with saved(page):
        page.keyboard.type("A mass, and a nodule beside it")

    # The credentials were seen too long ago for a signature.
    services = served.app.state.services
    served.app.state.services = replace(services, fresh=timedelta(seconds=-60))
    press(page, "Control+Enter")
    expect(page.locator("#sign-dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Sign", exact=True)).to_be_focused()
    press(page, "Enter")
    page.wait_for_url(f"{served.identity_url}/authorize?**")
    served.app.state.services = services
    sign_in(page, served)
    page.wait_for_url(f"**/studies/{study}**")
    expect(page.locator("#sign-dialog")).to_contain_text("Mass, Lung: modified, 1 region drawn")
    press(page, "Enter")
    expect(page.locator(".report")).to_contain_text("signed by radiologist")

    files = {}
    for name in ("DICOM SR", "DICOM SEG"):
        tab_to(page, page.locator(".report").get_by_role("link", name=name))
        with page.expect_download() as download:
            press(page, "Enter")
        files[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[name])
    assert dcmread(files["DICOM SR"]).VerificationFlag == "VERIFIED"
    # Two dabs of 10 pixels ten columns apart, with one of 6 taken out of them.
    union = 100 * (2 * 3.1416 - 2 * 3.1416 / 3 + 3**0.5 / 2)
    painted = dcmread(files["DICOM SEG"]).pixel_array.sum()
    assert painted == pytest.approx(union - 3.1416 * 36, rel=0.05)
    (kept,) = ReviewRepository().of_study(study)
    assert [each.verdict for each in kept.findings] == [
        Verdict.MODIFIED,
        Verdict.REJECTED,
        Verdict.ACCEPTED,
        Verdict.MISSED,
    ]
    assert reader.complaints == [
        "error: Failed to load resource: the server responded with a status of 401 (Unauthorized)"
    ]


def test_a_second_reader_is_told_and_takes_over(chromium: Browser, served: Served) -> None:
    study = flagged_study(served)
    windows = {}
    for user in ("alice", "bob"):
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.add_init_script(_NO_POINTER)
        name, value = open_session(served.app, Role.RADIOLOGIST, user=user)
        context.add_cookies([{"name": name, "value": value, "url": served.url}])
        windows[user] = open_reader(context, served)
        windows[user].page.goto(f"{served.url}/studies/{study}")
        opened(windows[user].page)
    with saved(windows["alice"].page):
        press(windows["alice"].page, "n", "a")
    page = windows["bob"].page
    press(page, "n", "a")
    notice = page.locator("#review .problem")
    expect(notice).to_contain_text("alice has been reading this study since")
    expect(page.locator("#review [role=alert]")).to_contain_text("alice")  # said, not only shown
    tab_to(page, notice.get_by_role("button", name="Take over"), "Shift+Tab")
    press(page, "Enter")
    expect(page.locator(".save-status")).to_contain_text("Saved")
    expect(card(page, 1)).to_contain_text("Accepted")
    for each in windows.values():
        assert [line for line in each.complaints if "409 (Conflict)" not in line] == []
        each.page.context.close()


def test_a_teaching_case(reader: Reader, served: Served) -> None:
    teach(served)
    page = reader.page
    page.goto(f"{served.url}/teaching")
    sign_in(page, served, "student")
    tab_to(page, page.get_by_role("link", name="Begin with case 1"))
    press(page, "Enter")
    expect(page.get_by_role("button", name="Open the images")).to_be_focused()
    press(page, "Enter")
    expect(page.locator("#surface img")).to_be_visible()
    press(page, "?")
    expect(page.locator("#help")).to_contain_text("hand in and reveal")
    press(page, "Escape", "m")
    expect(page.locator("#mark")).to_have_attribute("aria-pressed", "true")
    press(page, *["Shift+ArrowLeft"] * 3, *["Shift+ArrowUp"] * 5, "Enter")
    expect(page.locator("#label")).to_be_focused()
    page.keyboard.type("Pleural")
    press(page, "Tab", "Tab", "Enter")
    expect(page.locator("#own li")).to_contain_text("marked")
    press(page, "Control+Enter")
    expect(page.locator("#reveal")).to_be_focused()
    expect(page.locator("#reveal")).to_contain_text("1 of 1 found")
    assert reader.complaints == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["worklist", "study", "audit", "teaching"])
def test_tab_leads_everywhere_and_shows_where_it_is(
    reader: Reader, served: Served, name: str, width: int
) -> None:
    teach(served)
    study = served.studies["high"]
    role, path = {
        "worklist": (Role.RADIOLOGIST, "/"),
        "study": (Role.RADIOLOGIST, f"/studies/{study}"),
        "audit": (Role.AUDITOR, "/audit"),
        "teaching": (Role.STUDENT, "/teaching/chest/1"),
    }[name]
    session, value = open_session(served.app, role)
    page = reader.page
    page.context.add_cookies([{"name": session, "value": value, "url": served.url}])
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(served.url + path)
    if name == "study":
        opened(page)
        expect(page.locator("#overlay-tools")).to_be_visible()
    if name == "teaching":
        expect(page.get_by_role("button", name="Open the images")).to_be_focused()
        press(page, "Enter")
        expect(page.locator("#surface img")).to_be_visible()
    press(page, "Tab")
    stops: list[dict[str, object]] = []
    for _ in range(150):
        stop = page.evaluate(_FOCUS)
        if stop is None or (stops and stop["first"]):
            break  # out of the page, or round it
        stops.append(stop)
        press(page, "Tab")
    else:
        raise AssertionError("Tab does not come round")
    assert len(stops) > 5
    for stop in stops:
        assert (stop["marked"], stop["seen"], stop["covered"]) == (True, True, False), stop["what"]


def test_keys_of_one_character_can_be_switched_off(reader: Reader) -> None:
    """WCAG 2.1, 2.1.4."""
    page = reader.page
    reader.sign_in()
    press(page, "?")
    tab_to(page, page.get_by_label("Keys of one character act"))
    press(page, "Space", "Escape", "j")
    expect(page.locator(".row-link").first).not_to_be_focused()
    page.reload()
    press(page, "?")
    expect(page.locator("#help")).to_be_hidden()
    tab_to(page, page.get_by_role("button", name="Keyboard help"))
    press(page, "Enter")
    expect(page.locator("#help")).to_be_visible()
    tab_to(page, page.get_by_label("Keys of one character act"))
    press(page, "Space", "Escape", "j")
    expect(page.locator(".row-link").first).to_be_focused()
