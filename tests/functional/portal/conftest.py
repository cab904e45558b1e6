"""A portal in this process, over moto."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.policy import Role
from portal.app import create_app
from tests.functional.portal.morning import busy_morning
from tests.functional.portal.seeding import URL, Hospital, account, open_session, settings
from tests.support.snapshot import Snapshot

SignIn = Callable[[Role], TestClient]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        """Move the clock."""
        self.moment += timedelta(**by)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hospital(clock: Clock, _credentials: None) -> Iterator[Hospital]:
    with account():
        yield Hospital(clock())


_mornings: dict[datetime, tuple[Snapshot, dict[str, object], dict[str, str]]] = {}


@pytest.fixture
def morning(hospital: Hospital) -> dict[str, str]:
    """Give a morning's studies; made once in a process, then put back."""
    if hospital.moment not in _mornings:
        made = busy_morning(hospital)
        _mornings[hospital.moment] = Snapshot.take(), dict(vars(hospital)), made
    else:
        snapshot, state, made = _mornings[hospital.moment]
        snapshot.restore()
        vars(hospital).update(state)
    return dict(made)


@pytest.fixture
def app(hospital: Hospital, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest) -> FastAPI:
    assert hospital.moment == clock()
    if "morning" in request.fixturenames:
        request.getfixturevalue("morning")  # the account as a whole, so that it comes before any session
    return create_app(settings(tmp_path), clock)


def browser(app: FastAPI) -> TestClient:
    """Return a client that looks like a browser on this machine."""
    return TestClient(
        app,
        base_url=URL,
        client=("127.0.0.1", 50000),
        headers={"Sec-Fetch-Site": "same-origin"},
        follow_redirects=False,
    )


@pytest.fixture
def anonymous(app: FastAPI) -> TestClient:
    return browser(app)


@pytest.fixture
def sign_in(app: FastAPI) -> SignIn:
    """Sign in as a role."""

    def as_role(role: Role) -> TestClient:
        client = browser(app)
        client.cookies.set(*open_session(app, role))
        return client

    return as_role


@pytest.fixture
def radiologist(sign_in: SignIn) -> TestClient:
    return sign_in(Role.RADIOLOGIST)
