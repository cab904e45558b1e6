"""How soon does the first image of a large CT appear, and how smoothly does it scroll?

``python -m benchmarks viewer``: a synthetic CT of 300 slices, 512 x 512, in a served portal; Chromium without a GPU.
Buckets are moto and tables the benchmark's own, in the process of the portal. Nothing cached: the browser has nothing
and the metadata of the series is not made; the server has answered a request for the worklist before.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from unittest.mock import patch

from moto.core.config import default_user_config
from playwright.sync_api import Page, sync_playwright

from benchmarks.page import table, write
from benchmarks.portal.engine import Engine
from firstread.clock import now
from firstread.policy import Role
from firstread.records.sessions import SessionRepository
from firstread.records.tables import TABLES
from portal.app import create_app
from portal.logic.identity import Identities
from portal.logic.looks import Looks
from tests.browser.conftest import FLAGS, find_chromium
from tests.browser.phantoms import ct
from tests.functional.portal.seeding import Hospital, account, open_session, settings
from tests.support.aws import forget_clients
from tests.support.loopback import served as listening

SLICES = 300
SIDE = 512
RUNS = 5
FIRST = """() => new Promise(resolve => {
    const shown = () => document.querySelector('[data-zoom]')?.textContent.includes('%');
    const look = () => shown() ? requestAnimationFrame(() => resolve(performance.now())) : setTimeout(look, 5);
    look();
})"""
SCROLL = """async () => {
    const pane = document.querySelector('#viewer').viewer.main;
    const times = [];
    for (let at = 1; at < pane.stack.ids.length; at++) {
        const began = performance.now();
        await pane.go(at);
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - began);
    }
    return times;
}"""


@contextmanager
def served() -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Serve a portal with the CT; gives its address, the study's UID, and the cookie of a session."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",  # noqa: S106 - moto's
        AWS_REGION="us-east-1",
        AWS_DEFAULT_REGION="us-east-1",
    )
    with account(), tempfile.TemporaryDirectory() as folder:
        study = Hospital(now()).study(ct(SLICES, SIDE, step=1, noise=40), modality="CT", description="CT")
        cookie = open_session(create_app(settings(Path(folder))), Role.RADIOLOGIST)
        engine = Engine()
        for kind in TABLES.values():
            engine.define(kind)
            for row in kind.scan():
                engine.put(row)
        # moto takes a second to answer with 300 rows, and would be measured instead of the portal. A client keeps
        # whom it asks: the portal that is measured is made behind this.
        undo = engine.install()
        forget_clients()
        default_user_config["core"]["passthrough"]["services"] = ["dynamodb"]
        app = create_app(settings(Path(folder)))
        with (
            listening(app) as url,
            patch.object(SessionRepository, "touch", lambda *_: None),
            patch.object(Looks, "write", lambda *_, **__: None),
            patch.object(Identities, "shown_to", lambda *_: None),
        ):
            yield url, study, cookie
        default_user_config["core"]["passthrough"]["services"] = []
        undo()


def measure(page: Page, url: str, study: str) -> tuple[list[float], list[float], list[float]]:
    """Return milliseconds to the first image, and per image while scrolling: the first time, and again."""
    page.request.get(f"{url}/")  # makes the clients of AWS, once in the life of a server
    firsts = []
    for _ in range(RUNS + 1):
        page.goto(f"{url}/studies/{study}", wait_until="commit")
        firsts.append(page.evaluate(FIRST))
    page.wait_for_function("() => document.querySelector('#viewer').viewer")
    fresh = page.evaluate(SCROLL)
    page.evaluate("() => document.querySelector('#viewer').viewer.main.go(0)")
    again = page.evaluate(SCROLL)
    return firsts, fresh, again


def run() -> None:
    """Measure and write."""
    with served() as (url, study, (name, value)), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.context.add_cookies([{"name": name, "value": value, "url": url}])
        firsts, fresh, again = measure(page, url, study)
        browser.close()
    cold, warm = firsts[0], firsts[1:]
    rows = [
        ["first image, nothing cached", f"{cold:.0f}", "-", f"{cold:.0f}"],
        [f"first image, scripts cached ({RUNS} runs)", f"{median(warm):.0f}", "-", f"{max(warm):.0f}"],
        ["next image, first time", *_spread(fresh)],
        ["next image, from memory", *_spread(again)],
    ]
    body = table(("milliseconds", "p50", "p95", "max"), rows)
    print(body)
    write(
        "Viewer",
        f"A synthetic CT of {SLICES} slices, {SIDE} x {SIDE}, noisy, not compressed; Chromium draws in software, "
        "server and browser share this machine, buckets are moto and tables `benchmarks.portal.engine` in the server's "
        "process. From the start "
        f"of the navigation to the drawn image, and from one image to the next drawn one. Milliseconds.\n\n{body}",
    )


def _spread(times: list[float]) -> list[str]:
    return [f"{median(times):.0f}", f"{quantiles(times, n=20)[-1]:.0f}", f"{max(times):.0f}"]
