"""Reading a study in the browser: from the alert to a signed report, by pointer and by keyboard; two at once."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pydicom import dcmread

from firstread.policy import Role
from firstread.records.audit import AuditTrail
from firstread.records.reviews import ReviewRepository
from firstread.review import Verdict
from portal.logic.review.overlay import OverlayPolicy
from tests.browser.conftest import Reader, Served, open_reader
from tests.browser.pixels import on_screen
from tests.browser.steps import card, flagged_study, open_study, saved
from tests.functional.portal.seeding import open_session
from tests.support.conformance import errors, needs_validator

pytestmark = pytest.mark.browser


@pytest.fixture
def study(served: Served) -> str:
    """A CT with two findings that a model flagged on its second slice, and one that it did not."""
    return flagged_study(served)


def check_report(path: Path) -> None:
    """Fail unless the file is a verified report that other programs can read."""
    dump = shutil.which("dsrdump")
    assert dump, "dsrdump is not installed (Debian package dcmtk)"
    told = subprocess.run([dump, str(path)], capture_output=True, text=True, check=True)
    assert "VERIFIED" in told.stdout.upper()
    assert "Rejected by the reader" in told.stdout
    assert list(errors(path)) == []


@needs_validator
def test_from_the_alert_to_a_signed_report(
    reader: Reader, served: Served, study: str, tmp_path: Path
) -> None:
    alert = served.hospital.alert(study)
    reader.sign_in()
    page = open_study(reader, f"/alerts/{alert}")
    assert study in page.url
    page.locator(".pane").first.hover()
    page.mouse.wheel(0, 100)
    expect(page.locator("#position")).to_have_text("2 / 3")
    page.keyboard.press("3")
    expect(page.locator("[data-window]")).to_contain_text("Lung")
    for count in (2, 0):
        page.locator("#overlay-toggle").click()
        expect(page.locator(".layers rect")).to_have_count(count)

    expect(card(page, 1)).to_contain_text("at or above 0.43")
    expect(card(page, 1)).to_contain_text("too few to say (n = 0)")
    expect(card(page, 3)).to_contain_text("Not flagged")
    card(page, 1).get_by_role("button", name="Pulmonary opacity").click()
    expect(page.locator(".layers rect")).to_have_count(1)
    card(page, 1).get_by_role("button", name="Modify").click()
    with saved(page):
        card(page, 1).get_by_label("Finding").select_option(label="Mass")
    card(page, 1).get_by_role("button", name="Outline").click()
    for corner in ((32, 42), (58, 42), (58, 68)):
        page.mouse.click(*on_screen(page, *corner))
    with saved(page):
        page.keyboard.press("Enter")
    expect(page.locator("path.draw-line")).to_have_count(1)
    expect(card(page, 1)).to_contain_text("Modified")

    page.get_by_role("button", name="Sign…").click()
    expect(page.locator(".save-status")).to_have_text("1 finding needs a verdict first: Pleural effusion.")
    expect(card(page, 2).get_by_role("button", name="Accept")).to_be_focused()
    card(page, 2).get_by_role("button", name="Reject").click()
    card(page, 2).get_by_label("Why").select_option(label="Artefact")
    card(page, 2).get_by_label("Note").fill("a fold of skin")
    page.get_by_label("Impression").fill("A mass")
    page.get_by_role("button", name="Sign…").click()
    asked = page.locator("#sign-dialog")
    expect(asked).to_contain_text("Mass, Lung: modified, 1 region drawn")
    expect(asked).to_contain_text("rejected (artefact)")
    asked.get_by_role("button", name="Sign").click()

    report = page.locator(".report")
    expect(report).to_contain_text("signed by radiologist")
    expect(card(page, 2)).to_contain_text("Rejected")
    expect(page.get_by_role("button", name="Write an addendum")).to_be_visible()
    files = {}
    for name in ("DICOM SR", "DICOM SEG"):
        with page.expect_download() as download:
            report.get_by_role("link", name=name).click()
        files[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[name])
    check_report(files["DICOM SR"])
    assert dcmread(files["DICOM SEG"]).pixel_array.sum() == pytest.approx(26 * 26 / 2, rel=0.1)
    assert list(errors(files["DICOM SEG"])) == []
    (kept,) = ReviewRepository().of_study(study)
    assert [each.verdict for each in kept.findings] == [Verdict.MODIFIED, Verdict.REJECTED]
    done = [each["action"] for each in AuditTrail().of(f"study#{study}")]
    assert {"study.claim", "overlay.show", "overlay.hide", "review.save", "review.sign"} <= set(done)
    reader.assert_quiet()


def test_accepting_adding_and_signing_with_the_keyboard_alone(reader: Reader, study: str) -> None:
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    page.keyboard.press("n")
    expect(card(page, 1).locator(".place")).to_be_focused()
    expect(page.locator("#position")).to_have_text("2 / 3")
    page.keyboard.press("a")
    expect(card(page, 1)).to_contain_text("Accepted")
    page.keyboard.press("Control+z")
    expect(card(page, 1)).to_contain_text("Unconfirmed")
    page.keyboard.press("a")
    page.keyboard.press("n")
    page.keyboard.press("m")
    expect(card(page, 2).get_by_label("Finding")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(card(page, 2).get_by_role("button", name="Outline")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#draw-tools")).to_be_visible()
    for key in ("ArrowRight", "Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Enter"):
        page.keyboard.press(key)
    expect(card(page, 2)).to_contain_text("Remove the region")
    expect(card(page, 2).get_by_role("button", name="Outline")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#sign-dialog")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".report")).to_be_visible()
    (kept,) = ReviewRepository().of_study(study)
    assert [(each.verdict, len(each.regions)) for each in kept.findings] == [
        (Verdict.ACCEPTED, 0),
        (Verdict.MODIFIED, 1),
    ]
    page.keyboard.press("?")
    for key in ("a", "m", "x", "n"):
        expect(page.locator("#help dt", has_text=key).filter(has=page.locator("kbd")).first).to_be_visible()
    reader.assert_quiet()


@pytest.fixture
def second(chromium: Browser, served: Served) -> Iterator[Reader]:
    """Another radiologist."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    name, value = open_session(served.app, Role.RADIOLOGIST, user="bob")
    context.add_cookies([{"name": name, "value": value, "url": served.url}])
    yield open_reader(context, served)
    context.close()


def test_a_second_reader_is_told_and_may_take_over(reader: Reader, second: Reader, study: str) -> None:
    reader.sign_in()
    page, other = open_study(reader, f"/studies/{study}"), open_study(second, f"/studies/{study}")
    with saved(page):
        page.get_by_label("Impression").fill("mine")
    # The other page was there before: it hears of it with the first edit.
    card(other, 1).get_by_role("button", name="Accept").click()
    told = other.locator("#review .problem")
    expect(told).to_contain_text("radiologist has been reading this study since")
    expect(other.locator(".save-status")).to_have_text("Not saved: radiologist is reading this study")
    expect(card(other, 1).get_by_role("button", name="Accept")).to_have_count(0)
    told.get_by_role("button", name="Take over").click()
    expect(other.locator(".save-status")).to_contain_text("Saved")
    expect(card(other, 1)).to_contain_text("Accepted")
    page.get_by_label("Impression").fill("mine, still")
    expect(page.locator("#review .problem")).to_contain_text("bob has been reading this study")
    expect(page.get_by_label("Impression")).to_have_value("mine, still")
    words = {each.author: each.impression for each in ReviewRepository().of_study(study)}
    assert words == {"radiologist": "mine", "bob": ""}
    for each in (reader, second):
        assert [line for line in each.complaints if "409 (Conflict)" not in line] == []
        assert each.foreign == []


def test_a_stale_window_shows_what_there_is(reader: Reader, study: str) -> None:
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    with saved(page):
        page.get_by_label("Impression").fill("one")
    seen = page.evaluate("path => fetch(path).then(each => each.json())", f"/api/studies/{study}/review")
    body = {**seen["draft"], "impression": "elsewhere", "findings": []}
    body = {name: body[name] for name in ("number", "revision", "version", "impression", "findings")}
    page.evaluate(
        "([path, body]) => fetch(path, {method: 'PUT', body, headers: {'Content-Type': 'application/json'}})",
        [f"/api/studies/{study}/review", json.dumps(body)],
    )
    page.get_by_label("Impression").fill("two")
    expect(page.locator(".save-status")).to_contain_text("Changed elsewhere")
    expect(page.get_by_label("Impression")).to_have_value("elsewhere")


def test_signing_asks_who_it_is_and_comes_back(reader: Reader, study: str) -> None:
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    path = f"/api/studies/{study}/review/sign"
    problem = {
        "type": "reauthentication-required",
        "title": "Show who you are again",
        "sign_in": f"/studies/{study}?again",
    }
    page.route(f"**{path}", lambda route: route.fulfill(status=401, json=problem), times=1)
    for _ in range(2):
        page.keyboard.press("n")
        page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Enter")
    page.wait_for_url("**?again")
    expect(page.locator("#sign-dialog")).to_contain_text("Opacity, Lung: accepted")  # saved, and asked again
    page.keyboard.press("Enter")
    expect(page.locator(".report")).to_be_visible()


def test_a_session_that_ends_keeps_what_was_written(reader: Reader, study: str) -> None:
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    page.route("**/review", lambda route: route.fulfill(status=401, json={"title": "Sign in first"}), times=1)
    page.get_by_label("Impression").fill("not lost")
    expect(page.locator(".save-status")).to_contain_text("Your session has ended")
    page.get_by_role("button", name="save again").click()
    expect(page.locator(".save-status")).to_contain_text("Saved")
    (kept,) = ReviewRepository().of_study(study)
    assert kept.impression == "not lost"


def test_a_resident_hands_in_and_takes_back_and_a_radiologist_signs(
    reader: Reader, second: Reader, study: str
) -> None:
    reader.sign_in(Role.RESIDENT)
    page = open_study(reader, f"/studies/{study}")
    expect(page.get_by_role("button", name="Sign…")).to_have_count(0)
    for _ in range(2):
        page.keyboard.press("n")
        page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".save-status")).to_have_text("Handed in")
    expect(page.get_by_label("Impression")).to_be_hidden()
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".save-status")).to_have_text("Taken back")
    page.get_by_label("Impression").fill("An opacity")
    page.get_by_role("button", name="Hand in").click()
    expect(page.locator(".save-status")).to_have_text("Handed in")

    other = open_study(second, f"/studies/{study}")
    expect(other.locator("#review")).to_contain_text("Handed in by resident")
    expect(other.get_by_label("Impression")).to_have_value("An opacity")
    other.keyboard.press("Control+Enter")
    expect(other.locator("#sign-dialog")).to_contain_text("An opacity")
    other.keyboard.press("Enter")
    expect(other.locator(".report")).to_contain_text("written by resident, signed by bob")
    other.get_by_role("button", name="Write an addendum").click()
    expect(card(other, 1)).to_contain_text("Accepted")
    with saved(other):
        other.get_by_label("Impression").fill("No change")
    other.keyboard.press("Control+Enter")
    expect(other.locator("#sign-dialog")).to_contain_text("addendum to report 1")
    other.keyboard.press("Enter")
    expect(other.locator(".report").first).to_contain_text("Addendum 2 to report 1")
    reader.assert_quiet()
    second.assert_quiet()


def with_policy(served: Served, policy: OverlayPolicy) -> None:
    services = served.app.state.services
    reading = services.reading.model_copy(update={"overlay_policy": policy})
    served.app.state.services = replace(services, reading=reading)


def test_what_models_say_comes_after_the_first_read(reader: Reader, served: Served, study: str) -> None:
    with_policy(served, OverlayPolicy.AFTER_FIRST_READ)
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    expect(page.locator("#review")).to_contain_text("What do you see?")
    expect(card(page, 1)).to_have_count(0)
    expect(page.locator("#overlay-tools")).to_be_hidden()
    page.get_by_label("Add a finding").select_option(label="Nodule")
    page.get_by_role("button", name="Show what models say").click()
    expect(card(page, 1)).to_contain_text("Unconfirmed")
    expect(page.locator(".is-missed")).to_contain_text("Nodule")
    expect(page.locator("#overlay-tools")).to_be_visible()
    (kept,) = ReviewRepository().of_study(study)
    assert kept.first_read is not None
    assert [each.code.meaning for each in kept.first_read.findings] == ["Nodule"]
    reader.assert_quiet()


def test_nothing_to_report_is_a_first_read_too(reader: Reader, served: Served, study: str) -> None:
    with_policy(served, OverlayPolicy.AFTER_FIRST_READ)
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    page.get_by_role("button", name="Nothing to report").click()
    expect(card(page, 1)).to_contain_text("Unconfirmed")


def test_overlays_are_there_from_the_start_where_the_site_says_so(
    reader: Reader, served: Served, study: str
) -> None:
    with_policy(served, OverlayPolicy.SHOWN)
    reader.sign_in()
    page = open_study(reader, f"/studies/{study}")
    expect(page.locator(".layers rect")).to_have_count(2)
    reader.assert_quiet()


def test_the_findings_on_a_phone(phone: Reader, study: str) -> None:
    phone.sign_in()
    page = open_study(phone, f"/studies/{study}")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    card(page, 1).get_by_role("button", name="Accept").tap()
    expect(card(page, 1)).to_contain_text("Accepted")
    card(page, 2).get_by_role("button", name="Pleural effusion").tap()
    expect(page.locator(".layers rect")).to_be_in_viewport()
    phone.assert_quiet()
