"""What readers do in several of these tests."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from firstread.clock import now, to_text
from firstread.policy import Actor, Role
from firstread.result import Region
from firstread.study import AnalysisStatus, Risk
from portal.logic.records import Records
from portal.logic.teaching.making import WantedCase, make
from tests.browser.conftest import PATIENCE_MS, Reader, Served
from tests.functional.portal.reading import consistent, finding, slices, tracking
from tests.functional.portal.seeding import MODEL
from tests.functional.portal.teaching import POINTS, signed

ANN = Actor("radiologist", Role.RADIOLOGIST)


def card(page: Page, number: int) -> Locator:
    """Return the card of a finding of `flagged_study`."""
    return page.locator(f'[data-finding="{tracking(number)}"]')


def until(page: Page, true: Callable[[], bool], what: str) -> None:
    """Wait for what no locator can wait for, while the page goes on."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        page.wait_for_timeout(20)


@contextmanager
def saved(page: Page) -> Iterator[None]:
    """Wait until what is said within is saved."""
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        yield
    expect(page.locator(".save-status")).to_contain_text("Saved")


def is_focused(locator: Locator) -> bool:
    """Return whether an element has the focus."""
    return bool(locator.evaluate("each => each === document.activeElement"))


def press(page: Page, *keys: str) -> None:
    """Press keys, one after the other."""
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Press Tab until something has the focus."""
    for _ in range(90):
        if wanted.count() and is_focused(wanted):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {wanted}")


def flagged_study(served: Served) -> str:
    """Store a CT with two findings that a model flagged on its second slice, and one that it did not."""
    hospital = served.hospital
    # The next study of the hospital.
    images = consistent(slices(3), len(served.studies) + 1)
    study_uid = hospital.study(images, modality="CT", description="Chest")
    assert images[0].StudyInstanceUID == study_uid
    second = f"{study_uid}.{images[1].SeriesNumber}.2"
    found = (
        finding(1, second, region=Region(left=30, top=40, right=60, bottom=70)),
        finding(
            2, second, 0.7, label="Pleural effusion", region=Region(left=70, top=60, right=90, bottom=90)
        ),
        finding(3, second, 0.1, label="Pneumothorax"),
    )
    hospital.result(study_uid, findings=found, engine="onnx")
    hospital.change(study_uid, status=AnalysisStatus.ANALYSED, risk=Risk.HIGH, models=(MODEL,))
    return study_uid


def open_study(reader: Reader, path: str) -> Page:
    """Open a study by a path, and wait for its first image and its findings."""
    reader.page.goto(reader.url + path)
    return opened(reader.page)


def drawn(page: Page) -> Page:
    """Wait until the images that were asked for are on the screen: their place is said before."""
    expect(page.locator("[data-zoom]").first).to_contain_text("%")
    expect(page.locator(".pane[aria-busy]")).to_have_count(0)
    return page


def opened(page: Page) -> Page:
    """Wait for the first image of a study and its findings."""
    drawn(page)
    expect(page.locator("#review")).to_be_visible()
    expect(page.locator(".findings .finding")).to_have_count(0)  # said once
    return page


def settled(page: Page) -> None:
    """Wait for all that a page of a study brings by itself, of whatever kind the study is."""
    expect(page.locator("h1")).to_be_visible()
    if page.locator("#viewer").count():
        drawn(page)
    if page.locator("#review").count():
        expect(page.locator("#review")).to_be_visible()


def teach(served: Served) -> str:
    """Make a signed study the first case of the collection ``chest``."""
    study_uid = signed(served.hospital)
    records = Records()
    study = records.studies.get(study_uid)
    assert study is not None
    make(
        records,
        study,
        ANN,
        to_text(now()),
        WantedCase(collection="chest", title="Chest, child", points=POINTS),
    )
    return study_uid
