"""Every page and its important states against WCAG 2.1 AA by axe-core, wide and as narrow as a phone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from playwright.sync_api import Page, Request, expect

from firstread.clock import to_text
from firstread.policy import Role
from firstread.records.alerts import AlertRepository
from tests.browser.conftest import Reader, Served
from tests.browser.phantoms import ct
from tests.browser.steps import card, flagged_study, open_study, saved, settled, tab_to, teach
from tests.functional.portal.seeding import open_session
from tests.functional.portal.teaching import simulated

pytestmark = pytest.mark.browser

_AXE = Path(__file__).parents[2] / "portal" / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_WIDTHS = ((1440, 900), (390, 844))
_RUN = """async tags => (await axe.run(document, {runOnly: tags, resultTypes: ["violations"]})).violations.flatMap(
    rule => rule.nodes.map(node => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`))"""
_SETTLED = "() => Promise.allSettled(document.getAnimations().map(each => each.finished))"


@cache
def _axe() -> str:
    return _AXE.read_text()


def violations(page: Page) -> list[str]:
    """Return what of the page breaks WCAG 2.1 A or AA: rule, element and reason."""
    page.evaluate(_SETTLED)  # a colour on its way to another is none of either
    page.evaluate(
        _axe()
    )  # as the inspector evaluates: the page's own policy, which allows no such script, stays
    found: list[str] = page.evaluate(_RUN, _RULES)
    return found


@dataclass
class Scene:
    """A reader before a portal, and which pages they were led to."""

    reader: Reader
    served: Served
    visited: set[str] = field(default_factory=set)

    @property
    def page(self) -> Page:
        """The window."""
        return self.reader.page

    def watch(self) -> None:
        """Note the paths of the pages that are asked for."""
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.is_navigation_request() and request.url.startswith(self.served.url):
            self.visited.add(request.url.removeprefix(self.served.url).partition("?")[0])

    def become(self, role: Role, user: str = "") -> None:
        """Open a session."""
        name, value = open_session(self.served.app, role, user=user)
        self.page.context.add_cookies([{"name": name, "value": value, "url": self.served.url}])

    def go(self, path: str, heading: str) -> None:
        """Open a page and wait for its heading."""
        self.page.goto(self.served.url + path)
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_attached()


def _worklist(scene: Scene) -> Iterator[str]:
    page, studies = scene.page, scene.served.studies
    later = scene.served.hospital.minutes_ago(-60)
    scene.served.hospital.change(studies["ct"], reader="resident", claimed_until=later)
    scene.become(Role.RADIOLOGIST)
    scene.go("/", "Worklist")
    expect(page.locator("tbody tr")).to_have_count(10)
    yield "rows"
    page.keyboard.press("j")
    scene.served.hospital.analysed(studies["analysing"], 0.97)
    expect(page.locator("#changes")).to_have_text("1 new urgent – press r")
    yield "a row in use, and something new"
    page.locator(f"[data-study='{studies['ct']}'] .claim").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#take-over")).to_be_visible()
    yield "the question whether to take over"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    yield "the help"
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.get_by_role("group", name="Modality").get_by_label("CT").press("Space")
    expect(page.locator("tbody tr")).to_have_count(1)
    yield "filtered"
    scene.go("/?modality=PT&ai=failed", "Worklist")
    yield "nothing fits the filter"
    page.route("**/api/session", lambda route: route.fulfill(json={"seconds_left": 100}))
    page.clock.install()
    scene.go("/", "Worklist")
    page.clock.run_for(16_000)
    expect(page.locator("#session-warning")).to_be_visible()
    yield "the session is about to end"


def _empty_list(path: str, heading: str) -> Callable[[Scene], Iterator[str]]:
    def visit(scene: Scene) -> Iterator[str]:
        scene.become(Role.RADIOLOGIST)
        scene.go(path, heading)
        yield "empty"

    return visit


def _study(scene: Scene) -> Iterator[str]:
    page, study = scene.page, flagged_study(scene.served)
    scene.become(Role.RADIOLOGIST)
    path = f"/studies/{study}"
    open_study(scene.reader, path)
    yield "findings"
    page.keyboard.press("?")
    yield "the help"
    page.keyboard.press("Escape")
    for key in ("e", "Space", "Shift+ArrowRight", "Shift+ArrowDown", "Space", "v"):
        page.keyboard.press(key)
    expect(page.locator(".measured li")).to_contain_text(" HU")
    yield "a measurement"
    page.keyboard.press("o")
    page.keyboard.press("n")
    page.keyboard.press("m")
    expect(page.locator(".layers rect")).to_have_count(1)
    yield "the overlay, and a finding being modified"
    card(page, 1).get_by_role("button", name="Brush").press("Enter")
    expect(page.locator("#draw-tools")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    yield "a region being drawn"
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.press("x")
    yield "a finding being rejected"
    card(page, 2).get_by_label("Why").select_option(label="Artefact")
    page.get_by_label("Add a missed finding").select_option(label="Nodule")
    page.get_by_label("Impression").fill("A mass")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#sign-dialog")).to_be_visible()
    yield "the question whether to sign"
    page.keyboard.press("Enter")
    expect(page.locator(".report")).to_be_visible()
    yield "signed"
    page.get_by_role("button", name="Write an addendum").press("Enter")
    with saved(page):
        page.get_by_label("Impression").fill("No change")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".report").first).to_contain_text("Addendum 2")
    yield "with an addendum"


def _other_studies(scene: Scene) -> Iterator[str]:
    """Studies of all kinds, without the drawing of regions."""
    page, studies = scene.page, scene.served.studies
    scene.become(Role.RADIOLOGIST)
    for name in ("high", "simulated", "cine", "failed", "held", "receiving"):
        page.goto(f"{scene.served.url}/studies/{studies[name]}")
        settled(page)
        yield name
    volume = scene.served.hospital.study(ct(), modality="CT", description="Phantom")
    open_study(scene.reader, f"/studies/{volume}")
    page.keyboard.press("p")
    expect(page.locator(".pane-plane")).to_have_count(3)
    yield "three planes"
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator(".pane")).to_have_count(2)
    yield "two side by side"
    scene.become(Role.REFERRING_CLINICIAN)
    page.goto(f"{scene.served.url}/studies/{studies['unflagged']}")
    settled(page)
    yield "for somebody who only reads"


def _conflict(scene: Scene) -> Iterator[str]:
    page, study = scene.page, flagged_study(scene.served)
    later = to_text(scene.served.hospital.moment.replace(year=scene.served.hospital.moment.year + 1))
    scene.served.hospital.change(study, reader="bob", claimed_since=later, claimed_until=later)
    scene.become(Role.RADIOLOGIST)
    open_study(scene.reader, f"/studies/{study}")
    expect(page.locator("#review .problem")).to_contain_text("bob has been reading this study")
    yield "somebody else reads it"


def _alert(scene: Scene) -> Iterator[str]:
    page = scene.page
    (alert,) = AlertRepository().of_study(scene.served.studies["high"])
    scene.become(Role.RADIOLOGIST)
    open_study(scene.reader, f"/alerts/{alert.alert_id}")
    yield "delivered"
    page.get_by_text("Record a critical-result communication").press("Enter")
    expect(page.get_by_label("Name of the receiver")).to_be_visible()
    yield "the form of a communication"
    page.get_by_role("button", name="Acknowledge").press("Enter")
    expect(page.get_by_text("Alert acknowledged")).to_be_visible()
    yield "acknowledged"


def _alerts(scene: Scene) -> Iterator[str]:
    scene.become(Role.ADMIN)
    scene.go("/alerts", "Alerts")
    yield "statistics"


def _audit(scene: Scene) -> Iterator[str]:
    study = scene.served.studies["high"]
    scene.become(Role.RADIOLOGIST)
    open_study(scene.reader, f"/studies/{study}")
    scene.become(Role.AUDITOR)
    scene.go("/audit", "Audit trail")
    expect(scene.page.locator("tbody tr").first).to_be_visible()
    yield "events of today"
    scene.go(f"/audit?subject=study%23{study}", "Audit trail")
    expect(scene.page.get_by_text("Verified now")).to_be_visible()
    yield "a chain"
    scene.go("/audit?actor=nobody", "Audit trail")
    yield "nothing found"


def _teaching(scene: Scene) -> Iterator[str]:
    scene.become(Role.STUDENT)
    scene.go("/teaching", "Teaching")
    yield "no case"
    teach(scene.served)
    scene.go("/teaching", "Teaching")
    yield "a collection"


def _collection(scene: Scene) -> Iterator[str]:
    teach(scene.served)
    scene.become(Role.STUDENT)
    scene.go("/teaching/chest", "Chest")
    yield "for a student"
    scene.become(Role.RADIOLOGIST)
    scene.go("/teaching/chest", "Chest")
    yield "for a teacher"


def _case(scene: Scene) -> Iterator[str]:
    page = scene.page
    teach(scene.served)
    scene.become(Role.STUDENT)
    scene.go("/teaching/chest/1", "Chest, child")
    yield "before the clock runs"
    page.keyboard.press("Enter")
    expect(page.locator("#surface img")).to_be_visible()
    page.keyboard.press("d")
    for key in ("Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Enter"):
        page.keyboard.press(key)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#problem")).to_be_visible()
    yield "read, with a place of no finding"
    page.locator("#label").select_option(label="Pleural effusion")
    tab_to(page, page.get_by_role("button", name="Add finding"))
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#reveal")).to_be_focused()
    yield "revealed"
    scene.go("/teaching", "Teaching")
    page.get_by_text("The same as a table").press("Enter")
    yield "progress"


def _making(scene: Scene) -> Iterator[str]:
    page, served = scene.page, scene.served
    scene.become(Role.RADIOLOGIST)
    scene.go(f"/studies/{served.studies['ct']}/teaching", "Make a teaching case")
    yield "not possible"
    scene.go(f"/studies/{simulated(served.hospital)}/teaching", "Make a teaching case")
    yield "simulated"
    page.get_by_label("Collection").fill("Not A Name")
    page.get_by_label("Title").fill("Wojciechowska")
    page.get_by_role("button", name="Make it a case").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Change:")
    yield "refused"


def _sign_in(scene: Scene) -> Iterator[str]:
    scene.page.goto(scene.served.url + "/sign-in")
    expect(scene.page.get_by_label("Password")).to_be_visible()
    yield "at the provider of this machine"


def _failed_sign_in(scene: Scene) -> Iterator[str]:
    scene.go("/sign-in/return?state=none&code=none", "Sign in")
    yield "failed"


def _signed_out(scene: Scene) -> Iterator[str]:
    scene.go("/signed-out", "Signed out")
    yield "signed out"
    scene.become(Role.STUDENT)
    scene.go("/audit", "Not for your role")
    yield "403"
    scene.go("/studies/2.25.404", "Not found")
    yield "404"
    scene.go("/nowhere", "Not Found")
    yield "404 of no route"


PAGES: dict[str, tuple[Callable[[Scene], Iterator[str]], ...]] = {
    "/": (_worklist,),
    "/signed": (_empty_list("/signed", "Signed"),),
    "/read-elsewhere": (_empty_list("/read-elsewhere", "Read elsewhere"),),
    "/studies/{study_uid}": (_study, _conflict, _other_studies),
    "/studies/{study_uid}/teaching": (_making,),
    "/alerts": (_alerts,),
    "/alerts/{alert_id}": (_alert,),
    "/audit": (_audit,),
    "/teaching": (_teaching,),
    "/teaching/{collection}": (_collection,),
    "/teaching/{collection}/{number}": (_case,),
    "/sign-in": (_sign_in,),
    "/sign-in/return": (_failed_sign_in,),
    "/signed-out": (_signed_out,),
}
"""Of each route of a page: what leads through its states, and yields their names."""
_VISITS = [(path, visit) for path, visits in PAGES.items() for visit in visits]


def page_routes(served: Served) -> dict[str, APIRoute]:
    """Return the routes that answer with pages."""
    routes = [each.route for each in iter_route_contexts(served.app.routes)]
    return {
        route.path: route
        for route in routes
        if isinstance(route, APIRoute)
        and "GET" in (route.methods or ())
        and route.endpoint.__module__.startswith("portal.pages.")
    }


def test_no_page_is_forgotten(served: Served) -> None:
    assert set(page_routes(served)) == set(PAGES)


@pytest.mark.parametrize(("path", "visit"), _VISITS)
def test_no_state_of_a_page_breaks_wcag(
    reader: Reader, served: Served, path: str, visit: Callable[[Scene], Iterator[str]]
) -> None:
    scene = Scene(reader, served)
    scene.watch()
    found = []
    for state in visit(scene):
        for width, height in _WIDTHS:
            scene.page.set_viewport_size({"width": width, "height": height})
            found += [f"{state}, {width} wide: {each}" for each in violations(scene.page)]
            if scene.page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{state}, {width} wide: scrolls both ways (1.4.10)")
        scene.page.set_viewport_size({"width": _WIDTHS[0][0], "height": _WIDTHS[0][1]})
    assert found == []
    pattern = page_routes(served)[path].path_regex
    assert any(pattern.match(each) for each in scene.visited)


def test_axe_finds_what_is_wrong(reader: Reader) -> None:
    reader.sign_in()
    reader.page.evaluate("() => { document.querySelector('.brand').removeAttribute('aria-label'); }")
    reader.page.evaluate("() => document.querySelector('.brand span').remove()")
    (told,) = violations(reader.page)
    assert told.startswith("link-name: .brand")
