"""Who it is, asked by the provider itself: before signing, and after a session has ended; no written word is lost."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Dialog, Page, expect

from firstread.clock import from_text, to_text
from firstread.records.reviews import ReviewRepository
from firstread.records.tables import SessionRow
from firstread.review import Review
from firstread.study import AnalysisStatus, ReviewStatus
from tests.browser.conftest import Reader, Served
from tests.functional.portal.reading import consistent, radiograph
from tests.functional.portal.seeding import MODEL

pytestmark = pytest.mark.browser
WORDS = "A mass, and no word of it lost."


@pytest.fixture
def study(served: Served) -> str:
    """A radiograph in which no model found anything."""
    images = consistent(radiograph(), len(served.studies) + 1)
    study_uid = served.hospital.study(images, description="Chest pa")
    served.hospital.result(study_uid)
    served.hospital.change(study_uid, status=AnalysisStatus.ANALYSED, models=(MODEL,))
    return study_uid


def identify(page: Page, served: Served) -> dict[str, list[str]]:
    """Show the provider who it is, and return what the portal asked it for."""
    page.wait_for_url(f"{served.identity_url}/authorize?**")
    asked = parse_qs(urlsplit(page.url).query)
    page.get_by_label("Name").fill("radiologist")
    page.get_by_label("Password").fill(served.password("radiologist"))
    page.get_by_role("button", name="Sign in").click()
    return asked


def opened(reader: Reader, served: Served, study: str) -> Page:
    """Come to a study by way of the provider, and wait for its findings."""
    page = reader.page
    page.goto(f"{served.url}/studies/{study}")
    identify(page, served)
    page.wait_for_url(f"{served.url}/studies/{study}")
    expect(page.get_by_label("Impression")).to_be_editable()
    return page


def write(page: Page, words: str) -> None:
    page.get_by_label("Impression").fill(words)
    expect(page.locator(".save-status")).to_contain_text("Saved")


def age(by: timedelta, *moments: str) -> None:
    """Let moments of the one session lie further back."""
    (row,) = [each for each in SessionRow.scan() if "authenticated_at" in (each.body or {})]
    older = {name: to_text(from_text(row.body[name]) - by) for name in moments}
    row.update(actions=[SessionRow.body.set({**row.body, **older})])


def kept(study: str) -> Review:
    (found,) = ReviewRepository().of_study(study)
    return found


def test_signing_long_after_the_sign_in_asks_at_the_provider_and_comes_back(
    reader: Reader, served: Served, study: str
) -> None:
    page = opened(reader, served, study)
    write(page, "A mass")
    age(timedelta(minutes=6), "authenticated_at")
    page.get_by_label("Impression").fill(WORDS)  # not saved yet
    page.get_by_role("button", name="Sign…").click()
    page.locator("#sign-dialog").get_by_role("button", name="Sign").click()
    asked = identify(page, served)  # though it remembers the reader
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert kept(study).status is ReviewStatus.IN_PROGRESS
    page.wait_for_url(f"{served.url}/studies/{study}")
    expect(page.get_by_label("Impression")).to_have_value(WORDS)
    dialog = page.locator("#sign-dialog")
    expect(dialog).to_contain_text(WORDS)  # asked again: nothing is signed by coming back
    assert kept(study).status is ReviewStatus.IN_PROGRESS
    dialog.get_by_role("button", name="Sign").click()
    expect(page.locator(".report")).to_contain_text("signed by radiologist")
    signed = kept(study)
    assert (signed.status, signed.impression, signed.signed_by) == (
        ReviewStatus.SIGNED,
        WORDS,
        "radiologist",
    )
    assert all(url.startswith(served.identity_url) for url in reader.foreign)


def test_whoever_leaves_the_provider_again_has_signed_nothing_and_lost_nothing(
    reader: Reader, served: Served, study: str
) -> None:
    page = opened(reader, served, study)
    write(page, WORDS)
    age(timedelta(minutes=6), "authenticated_at")
    page.get_by_role("button", name="Sign…").click()
    page.locator("#sign-dialog").get_by_role("button", name="Sign").click()
    page.wait_for_url(f"{served.identity_url}/authorize?**")
    page.goto(f"{served.url}/studies/{study}")
    expect(page.get_by_label("Impression")).to_have_value(WORDS)
    assert kept(study).status is ReviewStatus.IN_PROGRESS


def test_a_session_that_was_idle_keeps_what_is_written_and_leads_to_the_sign_in(
    reader: Reader, served: Served, study: str
) -> None:
    page = opened(reader, served, study)
    write(page, "A mass")
    age(timedelta(minutes=16), "used_at", "authenticated_at")
    page.get_by_label("Impression").fill(WORDS)
    expect(page.locator(".save-status")).to_contain_text(
        "Your session has ended; what you wrote is still here."
    )
    expect(page.get_by_label("Impression")).to_have_value(WORDS)
    leaving: list[str] = []

    def stay(dialog: Dialog) -> None:
        leaving.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    for _ in range(
        2
    ):  # as it does by itself every quarter of a minute; a page that has gone cannot ask again
        with page.expect_response("**/api/session") as asked:
            page.evaluate("document.querySelector('[data-stay]').click()")
        assert asked.value.status == 401
    assert (page.url, leaving) == (f"{served.url}/studies/{study}", [])
    assert kept(study).impression == "A mass"
    with page.expect_popup() as other:
        page.get_by_role("link", name="Sign in in another window").click()
    other.value.wait_for_url(f"{served.url}/studies/{study}")  # the provider remembers the reader
    page.get_by_role("button", name="save again").click()
    expect(page.locator(".save-status")).to_contain_text("Saved")
    assert kept(study).impression == WORDS


def test_a_page_of_a_session_that_ended_comes_back_to_the_draft(
    reader: Reader, served: Served, study: str
) -> None:
    page = opened(reader, served, study)
    write(page, WORDS)
    age(timedelta(hours=9), "opened_at", "used_at", "authenticated_at")
    page.context.clear_cookies(domain="127.0.0.1")  # the provider's too
    page.reload()
    identify(page, served)
    page.wait_for_url(f"{served.url}/studies/{study}")
    expect(page.get_by_label("Impression")).to_have_value(WORDS)
