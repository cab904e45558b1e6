"""OHIF, a viewer that we did not write, opens a study and its segmentation from our DICOMweb."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from firstread.ohif import OhifError, fetch
from portal.app import create_app
from tests.browser.conftest import Reader
from tests.browser.steps import until
from tests.functional.portal.conftest import Clock
from tests.functional.portal.dicomweb.conftest import Served
from tests.functional.portal.dicomweb.samples import Samples, store_analysed
from tests.functional.portal.seeding import Hospital, account, settings
from tests.support.loopback import served

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.usefixtures("one_call_at_a_time")]
_LOAD_MS = 120_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OHIF, as npm brings it; OHIF_DIR names one that was fetched before."""
    known = os.environ.get("OHIF_DIR")
    if known:
        return Path(known)
    target = tmp_path_factory.mktemp("fetched") / "ohif"
    try:
        fetch(target)
    except OhifError as error:
        pytest.skip(f"NO OHIF: it was not opened; {error}")
    return target


@pytest.fixture
def hosted(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with account():
        clock = Clock()
        samples = Samples()
        store_analysed(Hospital(clock()), samples)
        configured = settings(tmp_path).model_copy(update={"ohif_dir": str(built)})
        app = create_app(configured, clock)
        with served(app) as origin:
            yield Served(origin, app, samples)


def test_ohif_opens_a_study_and_its_segmentation(chromium: Browser, hosted: Served, tmp_path: Path) -> None:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    reader = Reader(page, hosted.origin, hosted.app)
    reader.watch()
    reader.sign_in()
    study = hosted.samples.studies["analysed"]
    segmentation = hosted.samples.segmentation
    assert segmentation is not None
    asked: list[tuple[int, str]] = []
    page.on("response", lambda answer: asked.append((answer.status, answer.url)))
    page.goto(f"{hosted.origin}/ohif/viewer?StudyInstanceUIDs={study}")
    page.get_by_text("INVESTIGATIONAL USE").first.wait_for(timeout=_LOAD_MS)
    page.locator(".cornerstone-canvas").first.wait_for(timeout=_LOAD_MS)
    until(page, lambda: any(url.endswith("/frames/1") for _, url in asked), "pixels")
    page.wait_for_load_state("networkidle")  # for the picture alone
    pictures = Path(os.environ.get("PICTURES_DIR", tmp_path))
    page.screenshot(path=pictures / "ohif-study.png")
    with page.expect_response(lambda answer: segmentation.SOPInstanceUID in answer.url, timeout=_LOAD_MS):
        _open_segmentation(page)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=pictures / "ohif-segmentation.png")
    below = [(status, url) for status, url in asked if "/dicomweb/" in url]
    assert any(segmentation.SOPInstanceUID in url for _, url in below)
    assert [each for each in asked if each[0] >= 400] == []
    assert reader.foreign == []


def _open_segmentation(page: Page) -> None:
    for words in ("Skip all", "Confirm and Hide"):  # a tour of the viewer, and its notice, whenever they come
        page.add_locator_handler(page.get_by_text(words, exact=False).first, lambda button: button.click())
    page.get_by_text("Lung, research use only").first.dblclick(timeout=_LOAD_MS)
