"""A served portal over moto, and Chromium; skipped, and said so, where there is no Chromium."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from starlette.types import ASGIApp

from firstread.clock import now
from firstread.local.home import Home
from firstread.local.identity.app import create_app as create_identity
from firstread.local.identity.clients import prepare
from firstread.local.identity.state import IdentityState, load
from firstread.policy import Role
from portal.app import create_app
from tests.functional.portal.morning import busy_morning
from tests.functional.portal.seeding import Hospital, account, open_session, settings

PATIENCE_MS = 60_000  # a loaded machine is slow, not wrong
expect.set_options(timeout=PATIENCE_MS)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
Fill = Callable[[Hospital], dict[str, str]]
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Served:
    """A portal and an identity provider that listen, and the studies in the portal."""

    url: str
    app: FastAPI
    hospital: Hospital
    studies: dict[str, str]
    identity_url: str
    identity: IdentityState

    def password(self, user: str) -> str:
        """Return the password of a user at the identity provider."""
        return self.identity.users._by_name[user].password


@dataclass
class Reader:
    """One browser window, and what it complained about or asked of others."""

    page: Page
    url: str
    app: FastAPI
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every message, error and request; and be patient."""
        self.page.context.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        here = self.url
        if not request.url.startswith((here, f"blob:{here}")):
            self.foreign.append(request.url)

    def sign_in(self, role: Role = Role.RADIOLOGIST) -> None:
        """Open a session without the way through the identity provider, and the worklist."""
        name, value = open_session(self.app, role)
        self.page.context.add_cookies([{"name": name, "value": value, "url": self.url}])
        self.page.goto(self.url + "/")
        self.page.wait_for_selector("h1:has-text('Worklist')")

    def assert_quiet(self) -> None:
        """Fail on any message in the console and any request to another site."""
        assert self.complaints == []
        assert self.foreign == []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures", action="store_true", help="write the pictures of the documentation (make pictures)"
    )


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
def fill() -> Fill:
    """Return what puts studies into the hospital, and names them."""
    return busy_morning


@pytest.fixture
def served(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fill: Fill,
    one_call_at_a_time: None,  # noqa: ARG001 - a browser asks for many things at once
) -> Iterator[Served]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with account():
        hospital = Hospital(now())
        studies = fill(hospital)
        with _port() as (listener, url), _port() as (identity_listener, identity_url):
            home = Home(tmp_path / "state")
            clients = prepare(home)
            identity = load(home)
            app = create_app(
                settings(
                    tmp_path,
                    issuer=identity_url,
                    url=url,
                    oidc_client_id=clients.portal.client_id,
                    oidc_client_secret=clients.portal.client_secret,
                )
            )
            provider = create_identity(identity, identity_url, url)
            with _serving(provider, identity_listener), _serving(app, listener):
                yield Served(url, app, hospital, studies, identity_url, identity)


@contextmanager
def _port() -> Iterator[tuple[socket.socket, str]]:
    """A port of this machine, known before anything listens: portal and provider must know each other's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, proxy_headers=False, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield
    server.should_exit = True
    thread.join(120)


def open_reader(context: BrowserContext, served: Served) -> Reader:
    """Open a window that is watched."""
    reader = Reader(context.new_page(), served.url, served.app)
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
