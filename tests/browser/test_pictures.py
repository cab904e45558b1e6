"""The pictures of the documentation: a made-up ward, nobody's images. `make pictures` writes them into docs/images."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from pydicom import Dataset

from firstread.policy import Role
from firstread.records.models import ModelRepository
from firstread.records.studies import StudyRepository
from firstread.records.tables import ReviewRow
from firstread.result import Code, Finding, OperatingPoint
from firstread.review import DrawnRegion, Point, Review, ReviewedFinding, Verdict
from firstread.routing import RegisteredModel, RoutingRule
from firstread.study import AnalysisStatus, ReviewStatus, Risk
from portal.logic.records import Records
from portal.logic.teaching.making import WantedCase, make
from tests.browser.conftest import Fill, Reader, Served, open_reader
from tests.browser.phantoms import image as projection
from tests.browser.phantoms import quadrants, record_segmentation, thorax
from tests.browser.steps import ANN, card, open_study, press, saved, tab_to
from tests.functional.portal.seeding import MODEL, Hospital, open_session

pytestmark = pytest.mark.browser

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_WIDTH, _HEIGHT = 1280, 800
_MOST_BYTES = 300_000
_LUNG_CT = "chest_ct_nodule@0.2.0"
_NODULE = Code(value="27925004", scheme="SCT", meaning="Nodule")
_LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
_MIDDLE = 13  # the slice that shows the nodule best


def _radiographs(count: int = 1) -> list[Dataset]:
    return [projection(quadrants()) for _ in range(count)]


def _register(model_id: str, title: str, modality: str) -> None:
    ModelRepository().register(
        RegisteredModel(
            model_id=model_id,
            title=title,
            intended_use="Chest CT of adults. Research use only.",
            rule=RoutingRule(modalities=(modality,), body_parts=("CHEST",)),
            bundle_sha256="0" * 64,
        )
    )


def _nodule_study(hospital: Hospital, waits: float) -> str:
    slices, mask = thorax()
    study = hospital.study(
        slices, waits=waits, modality="CT", description="Chest CT plain", age_years=61, sex="F"
    )
    found = Finding(
        label="Pulmonary nodule",
        code=_NODULE,
        site=_LUNG,
        probability=0.87,
        operating_point=OperatingPoint(
            threshold=0.6, chosen_on="validation", sensitivity=0.91, specificity=0.89
        ),
        risk=Risk.HIGH,
        sop_uid=f"{study}.1.{_MIDDLE + 1}",
        tracking_uid="2.25.9001",
    )
    record_segmentation(hospital, study, mask, found, _LUNG_CT)
    hospital.change(
        study, status=AnalysisStatus.ANALYSED, risk=Risk.HIGH, probability=0.87, models=(_LUNG_CT,)
    )
    return study


def ward(hospital: Hospital) -> dict[str, str]:
    """Store a ward's studies of a day; return name -> Study Instance UID."""
    _register(_LUNG_CT, "Chest CT nodule", "CT")
    later = hospital.minutes_ago(-50)
    made = {"nodule": _nodule_study(hospital, 21)}
    hospital.change(made["nodule"], alert_id=hospital.alert(made["nodule"]))
    rows: tuple[tuple[str, float, str, str, str], ...] = (
        ("opacity", 9, "CR", "CHEST", "Chest ap supine"),
        ("head", 187, "CT", "HEAD", "Head without contrast"),
        ("knee", 74, "CR", "KNEE", "Knee left, two views"),
        ("failed", 33, "CR", "CHEST", "Chest pa"),
        ("liver", 52, "US", "ABDOMEN", "Liver"),
        ("running", 2, "DX", "CHEST", "Chest pa and lateral"),
        ("brain", 41, "MR", "BRAIN", "Brain, follow-up"),
        ("clear", 96, "CR", "CHEST", "Chest pa"),
        ("hand", 18, "CR", "HAND", "Hand right, two views"),
        ("second", 64, "DX", "CHEST", "Chest pa"),
    )
    for name, waits, modality, part, description in rows:
        made[name] = hospital.study(
            _radiographs(), waits=waits, modality=modality, body_part=part, description=description
        )
    hospital.analysed(made["opacity"], 0.91)
    hospital.analysed(made["clear"], 0.04)
    hospital.analysed(made["second"], 0.11)
    hospital.failed(made["failed"])
    hospital.change(made["running"], status=AnalysisStatus.ANALYSING, models=(MODEL,))
    for name in ("head", "knee", "liver", "brain", "hand"):
        hospital.change(
            made[name], status=AnalysisStatus.NO_MODEL, not_applicable={MODEL: "another body part"}
        )
    hospital.change(made["head"], reader="bob", claimed_until=later, review=ReviewStatus.IN_PROGRESS)
    hospital.change(made["brain"], review=ReviewStatus.PRELIMINARY)
    return made


@pytest.fixture
def fill() -> Fill:
    """A ward for the pictures."""
    return ward


@pytest.fixture
def reader(chromium: Browser, served: Served) -> Iterator[Reader]:
    """A window of the size of the pictures."""
    context = chromium.new_context(viewport={"width": _WIDTH, "height": _HEIGHT}, reduced_motion="reduce")
    yield open_reader(context, served)
    context.close()


@pytest.fixture
def take(pytestconfig: pytest.Config, tmp_path: Path) -> Callable[[Page, str], None]:
    """Return what takes a picture and checks that there is something on it."""
    folder = _IMAGES if pytestconfig.getoption("--pictures") else tmp_path

    def take_one(page: Page, name: str) -> None:
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        # 256 colours are enough for grey images and a few tints, and a third of the bytes.
        Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < _MOST_BYTES
        with Image.open(path) as picture:
            assert picture.size == (_WIDTH, _HEIGHT)
            grey = np.asarray(picture.convert("L"))
        busy = [
            part.std() > 2 for half in np.array_split(grey, 2) for part in np.array_split(half, 2, axis=1)
        ]
        assert all(busy)  # something in every quarter

    return take_one


def _enter(reader: Reader, role: Role, user: str = "") -> None:
    name, value = open_session(reader.app, role, user=user)
    reader.page.context.add_cookies([{"name": name, "value": value, "url": reader.url}])


def test_worklist(reader: Reader, served: Served, take: Callable[[Page, str], None]) -> None:
    reader.sign_in()
    press(reader.page, "j")
    expect(reader.page.locator("tbody tr")).to_have_count(len(served.studies))
    take(reader.page, "worklist")
    reader.assert_quiet()


def test_study(reader: Reader, served: Served, take: Callable[[Page, str], None]) -> None:
    _enter(reader, Role.RADIOLOGIST, "alice")
    page = open_study(reader, f"/studies/{served.studies['nodule']}")
    press(page, "3", "n")
    expect(page.locator("#position")).to_have_text(f"{_MIDDLE + 1} / 24")
    press(page, "o")
    expect(page.locator(".layers path")).to_have_count(1)
    with saved(page):
        press(page, "a")
    expect(card(page, 1)).to_contain_text("Accepted")
    page.mouse.move(700, 790)  # off the image
    take(page, "study")
    reader.assert_quiet()


def _outline(study: str, grow: float) -> DrawnRegion:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    centre, radius = (0.75 * 256, 0.56 * 256), 0.085 * 128 * grow
    return DrawnRegion(
        series_uid=f"{study}.1",
        sop_uid=f"{study}.1.{_MIDDLE + 1}",
        outline=tuple(
            Point(x=centre[0] + radius * float(np.cos(a)), y=centre[1] + radius * float(np.sin(a)))
            for a in angles
        ),
    )


def _case(served: Served) -> None:
    hospital, study = served.hospital, served.studies["nodule"]
    review = Review(
        study_uid=study,
        number=1,
        version=1,
        status=ReviewStatus.SIGNED,
        author="alice",
        author_role="radiologist",
        findings=(
            ReviewedFinding(
                finding_id="2.25.31",
                verdict=Verdict.MISSED,
                code=_NODULE,
                site=_LUNG,
                regions=(_outline(study, 1.0),),
            ),
        ),
        impression="Solid nodule of the left lower lobe, 3 cm. No other finding.",
        started_at=hospital.minutes_ago(20),
        saved_at=hospital.minutes_ago(10),
        signed_by="alice",
        signed_at=hospital.minutes_ago(10),
    )
    body = review.model_dump(mode="json")
    ReviewRow(study_uid=study, item="review#000001", revision=1, body=body).save()
    hospital.change(study, signed_version=1, review=ReviewStatus.SIGNED)
    kept = StudyRepository().get(study)
    assert kept is not None
    wanted = WantedCase(
        collection="chest",
        title="Chest, adult",
        points="Go through the lungs in a lung window, side by side.",
    )
    make(Records(), kept, ANN, hospital.minutes_ago(0), wanted)


def test_teaching(reader: Reader, served: Served, take: Callable[[Page, str], None]) -> None:
    _case(served)
    _enter(reader, Role.STUDENT)
    page = reader.page
    page.goto(f"{served.url}/teaching/chest/1")
    press(page, "Enter")
    expect(page.locator("#surface img")).to_be_visible()
    page.locator("#surface").focus()
    press(page, *["PageDown"] * _MIDDLE, "d")
    expect(page.locator("#position")).to_have_text(f"{_MIDDLE + 1} / 24")
    # 256 pixels: a key moves 2.56 of them, with Shift 12.8.
    press(page, *["Shift+ArrowRight"] * 4, "ArrowRight", *["ArrowDown"] * 2, "Space")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        press(page, *[key] * 8, "Space")
    press(page, "Enter")
    page.locator("#label").select_option(label="Nodule")
    tab_to(page, page.get_by_role("button", name="Add finding"))
    press(page, "Enter", "Control+Enter")
    expect(page.locator("#reveal")).to_contain_text("1 of 1 found")
    page.wait_for_function("() => document.querySelector('.sheet img')?.naturalWidth > 0")
    expect(page.locator("polygon.layer-truth")).to_have_count(1)
    take(page, "teaching")
    reader.assert_quiet()


def test_audit(reader: Reader, served: Served, take: Callable[[Page, str], None]) -> None:
    study = served.studies["nodule"]
    _enter(reader, Role.RADIOLOGIST, "alice")
    page = open_study(reader, f"/studies/{study}")
    press(page, "n", "o")
    with saved(page):
        press(page, "a")
    press(page, "o", "Control+Enter")
    expect(page.locator("#sign-dialog")).to_be_visible()
    press(page, "Enter")
    expect(page.locator(".report")).to_be_visible()
    _enter(reader, Role.AUDITOR)
    page.goto(f"{served.url}/audit?subject=study%23{study}")
    expect(page.get_by_text("Verified now")).to_be_visible()
    take(page, "audit")
    reader.assert_quiet()
