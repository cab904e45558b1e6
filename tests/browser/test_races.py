"""Answers that come late, or in another order than they were asked for: kept back until the reader has gone on."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from firstread.policy import Role
from tests.browser.conftest import Reader, Served
from tests.browser.phantoms import ct, segment
from tests.browser.pixels import expect_shown
from tests.browser.steps import card, drawn, flagged_study, open_study, press, settled, until

pytestmark = pytest.mark.browser

_HEARD = """() => {
    window.heard = 0;
    new EventSource('/api/worklist/events').addEventListener('change', () => { window.heard += 1; });
}"""
_OUTLINE = "M85 59L95 59L95 70L85 70Z"


class Held:
    """Answers to requests of one kind: each waits, as it was when it was asked for, until it is let go."""

    def __init__(
        self, page: Page, url: str | re.Pattern[str] | Callable[[str], bool], times: int = 1
    ) -> None:
        self._page = page
        self._held: list[tuple[Route, object]] = []
        page.route(url, lambda route: self._held.append((route, route.fetch())), times=times)

    def wait(self, count: int = 1) -> None:
        """Wait until so many answers wait."""
        until(self._page, lambda: len(self._held) >= count, f"{count} requests")

    def release(self) -> None:
        """Let them go, and wait until the page has read them."""
        for route, answer in self._held:
            route.fulfill(response=answer)  # type: ignore[arg-type]
        self._held.clear()
        self._page.evaluate("() => fetch('/api/session').then((each) => each.text())")


def row(page: Page, study: str) -> Locator:
    return page.locator(f"[data-study='{study}']")


@pytest.fixture
def claims(reader: Reader, served: Served) -> list[str]:
    """The methods by which the page has asked for studies; the second of the list is somebody else's."""
    later = served.hospital.minutes_ago(-60)
    served.hospital.change(served.studies["simulated"], reader="resident", claimed_until=later)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.method)
        route.fulfill(status=200, json={})

    reader.page.route("**/api/studies/*/claim", answer)
    return asked


def test_a_list_that_comes_under_a_question_takes_no_focus(
    reader: Reader, served: Served, claims: list[str]
) -> None:
    page, dialog = reader.page, reader.page.locator("#take-over")
    second = row(page, served.studies["simulated"]).locator(".row-link")
    reader.sign_in()
    fresh = Held(page, f"{served.url}/")
    press(page, "j", "c")
    fresh.wait()  # the study is claimed, and the list that shows it is on its way
    press(page, "j", "c")
    expect(dialog).to_be_visible()
    fresh.release()
    press(page, "Escape")
    expect(dialog).to_be_hidden()
    expect(second).to_be_focused()
    press(page, "c")
    dialog.get_by_role("button", name="Take over").click()
    expect(dialog).to_be_hidden()
    expect(second).to_be_focused()
    until(page, lambda: claims == ["POST", "POST"], "both claims")
    reader.assert_quiet()


def test_a_claim_leaves_the_reader_where_they_have_gone(
    reader: Reader, served: Served, claims: list[str]
) -> None:
    page = reader.page
    reader.sign_in()
    claim = Held(page, "**/api/studies/*/claim")
    press(page, "j", "c")
    claim.wait()
    press(page, "c", "j")  # one claim is enough
    claim.release()
    expect(page.locator("#announce")).not_to_be_empty()
    expect(row(page, served.studies["simulated"]).locator(".row-link")).to_be_focused()
    assert claims == []
    reader.complaints.clear()


def test_what_is_heard_while_the_list_is_on_its_way_is_not_forgotten(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    page.evaluate(_HEARD)
    press(page, "j")
    old = Held(page, f"{served.url}/")
    press(page, "r")
    old.wait()
    page.wait_for_function("() => window.heard > 0")
    before = page.evaluate("() => window.heard")
    served.hospital.analysed(served.studies["analysing"], 0.97)
    page.wait_for_function("before => window.heard > before", arg=before)
    old.release()
    expect(page.locator("#changes")).to_have_text("1 new urgent – press r")
    press(page, "r")
    expect(page.locator(".is-high")).to_have_count(3)
    expect(page.locator("#changes")).to_be_hidden()
    reader.assert_quiet()


def test_the_last_choice_of_a_filter_is_what_is_shown(reader: Reader, served: Served) -> None:
    page = reader.page
    reader.sign_in()
    press(page, "/")
    first = Held(page, f"{served.url}/?modality=CT")
    modality = page.get_by_role("group", name="Modality")
    modality.get_by_label("CT").press("Space")
    first.wait()
    modality.get_by_label("CR").press("Space")
    modality.get_by_label("CT").press("Space")
    first.release()
    press(page, "r")
    expect(page.locator("#announce")).to_have_text("The worklist was updated.")
    expect(page).to_have_url(f"{served.url}/?modality=CR")
    expect(row(page, served.studies["ct"])).to_have_count(0)
    expect(row(page, served.studies["high"])).to_have_count(1)
    reader.assert_quiet()


@contextmanager
def kept_back(page: Page, url: re.Pattern[str]) -> Iterator[list[Route]]:
    """Keep requests from the server while this lasts."""
    held: list[Route] = []
    lasts = True
    page.route(url, lambda route: held.append(route) if lasts else route.continue_())
    yield held
    lasts = False
    for route in held:
        route.continue_()


def of_series(study: str, series: int, rest: str) -> re.Pattern[str]:
    return re.compile(re.escape(f"{study}.{series}") + rest)


def volumes(served: Served) -> str:
    """Store a study of three series: a phantom, one all bright, and one more."""
    images = []
    for number, description in enumerate(("Axial", "Bright", "Third"), start=1):
        for each in ct(4):
            each.SeriesNumber, each.SeriesDescription = number, description
            if number == 2:
                each.PixelData = np.full((each.Rows, each.Columns), 1424, "<u2").tobytes()
            images.append(each)
    return served.hospital.study(images, modality="CT", description="Phantom")


def open_volumes(reader: Reader, served: Served) -> tuple[Page, str]:
    study = volumes(served)
    reader.sign_in()
    reader.page.goto(f"{served.url}/studies/{study}")
    settled(reader.page)
    expect(reader.page.locator("[data-place]")).to_have_text("1 / 4")
    return drawn(reader.page), study


def test_scrolling_on_before_a_series_is_there_shows_no_other(reader: Reader, served: Served) -> None:
    page, study = open_volumes(reader, served)
    air = (3.5, 3.5)
    expect_shown(page, [air], [0])
    with kept_back(page, of_series(study, 2, r"\.5/frames/1$")) as held:
        press(page, "ArrowRight")
        expect(page.locator("[data-title]")).to_contain_text("Bright")
        until(page, lambda: bool(held), "the first image")
        press(page, "ArrowDown")
        expect(page.locator("[data-place]")).to_have_text("2 / 4")
        expect_shown(page, [air], [255])
    drawn(page)
    expect_shown(page, [air], [255])
    reader.assert_quiet()


def test_each_step_to_another_series_counts_and_the_last_one_holds(reader: Reader, served: Served) -> None:
    page, study = open_volumes(reader, served)
    with kept_back(page, of_series(study, 2, "/metadata$")) as held:
        press(page, "ArrowRight")
        until(page, lambda: bool(held), "the second series")
        press(page, "ArrowRight")
        expect(page.locator("[data-title]")).to_contain_text("Third")
    page.evaluate(
        "path => fetch(path).then((each) => each.text())",
        f"/dicomweb/studies/{study}/series/{study}.2/metadata",
    )
    expect(page.locator("[data-title]")).to_contain_text("Third")
    press(page, "ArrowLeft")
    expect(page.locator("[data-title]")).to_contain_text("Bright")
    reader.assert_quiet()


def test_planes_that_are_given_up_do_not_open(reader: Reader, served: Served) -> None:
    study = served.hospital.study(ct(24), modality="CT", description="Phantom")
    page, planes = reader.page, reader.page.locator(".pane-plane")
    reader.sign_in()
    # Further on than what is fetched ahead of the reader.
    with kept_back(page, of_series(study, 1, r"\.(1[5-9]|2\d)/frames/1$")) as held:
        page.goto(f"{served.url}/studies/{study}")
        expect(page.locator("[data-place]")).to_have_text("1 / 24")
        drawn(page)
        press(page, "p")
        until(page, lambda: bool(held), "the volume")
        press(page, "p")
        expect(page.locator("#panes.has-planes")).to_have_count(0)
    press(page, "End")
    expect(page.locator("[data-place]")).to_have_text("24 / 24")
    drawn(page)
    expect(planes).to_have_count(0)
    press(page, "p")
    expect(page.locator("[data-act=planes]")).to_have_attribute("aria-pressed", "true")
    expect(planes).to_have_count(3)
    reader.assert_quiet()


def test_an_outline_leaves_with_its_image(reader: Reader, served: Served) -> None:
    study = served.hospital.study(ct(4), modality="CT", description="Phantom")
    segment(served.hospital, study)
    page, outline = reader.page, reader.page.locator(".layers path")
    reader.sign_in()
    page.goto(f"{served.url}/studies/{study}")
    settled(page)
    page.wait_for_function("() => Boolean(document.querySelector('#viewer').viewer)")
    page.evaluate("() => { void document.querySelector('#viewer').viewer.overlays.show(null); }")
    expect(outline).to_have_attribute("d", _OUTLINE)
    own = re.compile(rf"/series/(?!{re.escape(study)}\.1/).*/frames/")
    with kept_back(page, own) as held:
        press(page, "ArrowDown")
        until(page, lambda: bool(held), "the mask of the second image")
        expect(page.locator("[data-place]")).to_have_text("2 / 4")
        drawn(page)
        expect(outline).to_have_count(0)
    expect(outline).to_have_count(1)
    reader.assert_quiet()


def test_a_finding_chosen_before_the_images_came_is_shown_with_them(reader: Reader, served: Served) -> None:
    study = flagged_study(served)
    page = reader.page
    reader.sign_in()
    with kept_back(page, re.compile(r"/frames/1$")) as held:
        page.goto(f"{served.url}/studies/{study}")
        expect(page.locator("#review")).to_be_visible()
        until(page, lambda: bool(held), "the first image")
        press(page, "n")
        expect(card(page, 1).locator(".place")).to_be_focused()
    expect(page.locator("[data-place]")).to_have_text("2 / 3")
    expect(page.locator(".layers rect")).to_have_count(1)
    reader.assert_quiet()


def test_what_was_written_since_is_not_called_saved(reader: Reader, served: Served) -> None:
    study = flagged_study(served)
    page, status = reader.page, reader.page.locator(".save-status")
    reader.sign_in(Role.RADIOLOGIST)
    open_study(reader, f"/studies/{study}")
    page.evaluate("""() => {
        window.said = [];
        const status = document.querySelector('.save-status');
        new MutationObserver(() => window.said.push(status.textContent)).observe(status, {childList: true});
    }""")
    save = Held(page, "**/review")
    page.get_by_label("Impression").fill("one")
    save.wait()
    page.get_by_label("Impression").fill("two")
    save.release()
    expect(status).to_contain_text("Saved")
    said = [each for each in page.evaluate("() => window.said") if each]
    assert [each[:5] for each in said].count("Saved") == 1, said
    reader.assert_quiet()


def test_what_is_signed_is_what_was_shown(reader: Reader, served: Served) -> None:
    study = flagged_study(served)
    page, impression = reader.page, reader.page.get_by_label("Impression")
    dialog = page.locator("#sign-dialog")
    reader.sign_in(Role.RADIOLOGIST)
    open_study(reader, f"/studies/{study}")
    for _ in range(2):
        press(page, "n", "a")
    save = Held(page, "**/review")
    impression.fill("one")
    save.wait()
    impression.fill("one and two")
    page.keyboard.press("Control+Enter")
    expect(dialog).to_contain_text("Impression: one and two")
    page.keyboard.press("Enter")
    expect(impression).not_to_be_editable()  # while it is saved
    sign = Held(page, "**/review/sign")
    save.release()
    sign.wait()
    expect(impression).not_to_be_editable()
    sign.release()
    expect(page.locator(".report")).to_contain_text("one and two")
    expect(dialog).to_have_count(0)
    reader.assert_quiet()


def test_a_review_that_could_not_be_handed_in_is_gone_on_with(reader: Reader, served: Served) -> None:
    study = flagged_study(served)
    page, impression = reader.page, reader.page.get_by_label("Impression")
    reader.sign_in(Role.RESIDENT)
    open_study(reader, f"/studies/{study}")
    for _ in range(2):
        press(page, "n", "a")
    impression.fill("An opacity")
    waiting: list[Route] = []
    page.route("**/review/submit", lambda route: waiting.append(route))
    page.keyboard.press("Control+Enter")
    until(page, lambda: bool(waiting), "the request")
    expect(impression).not_to_be_editable()
    waiting[0].abort()
    expect(impression).to_be_editable()
    expect(impression).to_have_value("An opacity")
    expect(page.locator(".save-status")).to_have_text("The portal cannot be reached.")
