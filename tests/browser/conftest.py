"""A served portal over moto, and Chromium; skipped, and said so, where there is no Chromium."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from firstread.clock import now
from portal.app import create_app
from tests.functional.portal.morning import busy_morning
from tests.functional.portal.seeding import PASSWORD, Hospital, account, settings

expect.set_options(timeout=20_000)  # a loaded machine is slow, not wrong
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Served:
    """A portal that listens, and the studies in it."""

    url: str
    hospital: Hospital
    studies: dict[str, str]


@dataclass
class Reader:
    """One browser window, and what it complained about or asked of others."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every message, error and request."""
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if not request.url.startswith((self.url, f"blob:{self.url}")):
            self.foreign.append(request.url)

    def sign_in(self, name: str = "radiologist") -> None:
        """Sign in with the keyboard alone."""
        self.page.goto(self.url + "/")
        expect(self.page.locator("#name")).to_be_focused()
        self.page.keyboard.type(name)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("h1:has-text('Worklist')")

    def assert_quiet(self) -> None:
        """Fail on any message in the console and any request to another site."""
        assert self.complaints == []
        assert self.foreign == []


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = find_chromium()
    if not found:
        pytest.skip("NO CHROMIUM: the browser tests did not run; apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with account():
        hospital = Hospital(now())
        studies = busy_morning(hospital)
        config = uvicorn.Config(
            create_app(settings(tmp_path)),
            host="127.0.0.1",
            port=0,
            proxy_headers=False,
            log_level="warning",
            ws="none",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", hospital, studies)
        server.should_exit = True
        thread.join(20)


def open_reader(context: BrowserContext, served: Served) -> Reader:
    """Open a window that is watched."""
    reader = Reader(context.new_page(), served.url)
    reader.watch()
    return reader


@pytest.fixture
def reader(chromium: Browser, served: Served) -> Iterator[Reader]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield open_reader(context, served)
    context.close()


@pytest.fixture
def phone(chromium: Browser, served: Served) -> Iterator[Reader]:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    yield open_reader(context, served)
    context.close()
