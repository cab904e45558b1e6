"""The provider's endpoints, asked in ways that the portal never asks."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from firstread.local.home import Home, LocalError
from firstread.local.identity.__main__ import main
from firstread.local.identity.app import create_app
from firstread.local.identity.clients import prepare
from firstread.local.identity.state import IdentityState, load

ISSUER, PORTAL = "http://127.0.0.1:8082", "http://127.0.0.1:8080"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
ASKED = {
    "response_type": "code",
    "client_id": "firstread-portal",
    "redirect_uri": f"{PORTAL}/sign-in/return",
    "scope": "openid",
    "state": "s" * 32,
    "nonce": "n" * 32,
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
SAME = {"Sec-Fetch-Site": "same-origin"}


class World:
    def __init__(self, state: IdentityState) -> None:
        self.state = state
        self.moment = datetime(2026, 3, 2, 8, tzinfo=UTC)
        self.app = create_app(state, ISSUER, PORTAL, lambda: self.moment)
        self.client = self.browser()

    def browser(self, address: str = "127.0.0.1", url: str = ISSUER) -> TestClient:
        return TestClient(self.app, base_url=url, client=(address, 1), follow_redirects=False)

    def form(self, name: str = "radiologist") -> dict[str, str]:
        return {"name": name, "password": self.state.users._by_name[name].password}

    def code(self, **change: str) -> str:
        url = "/authorize?" + urlencode(ASKED | change)
        answer = self.client.post(url, data=self.form(), headers=SAME)
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def redeem(self, code: str, secret: str = "", **change: str) -> int:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": ASKED["redirect_uri"],
            "code_verifier": VERIFIER,
        }
        client = self.state.clients.portal
        auth = (client.client_id, secret or client.client_secret)
        return self.client.post("/token", data=form | change, auth=auth).status_code


@pytest.fixture
def world(tmp_path: Path) -> World:
    home = Home(tmp_path)
    prepare(home)
    return World(load(home))


def test_state_is_kept_and_private(tmp_path: Path) -> None:
    home = Home(tmp_path)
    clients = prepare(home)
    key = load(home).key.kid
    assert prepare(home) == clients
    assert load(home).key.kid == key
    for path in (home.users, home.clients, home.identity_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert clients.portal.client_secret not in repr(clients)
    home.identity_key.chmod(0o644)
    with pytest.raises(LocalError, match="0600"):
        load(home)


def test_a_code_is_redeemed_once(world: World) -> None:
    code = world.code()
    assert world.redeem(code) == 200
    assert world.redeem(code) == 400


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": ""},
        {"code_verifier": "x" * 43},
        {"redirect_uri": "http://127.0.0.1:9999/"},
        {"grant_type": "password"},
        {"grant_type": "client_credentials"},  # is for the machine
    ],
)
def test_a_code_alone_is_not_enough(world: World, change: dict[str, str]) -> None:
    assert world.redeem(world.code(), **change) == 400


def test_a_code_is_for_its_client_and_a_minute(world: World) -> None:
    assert world.redeem(world.code(), secret="x" * 43) == 401
    machine = world.state.clients.machine
    form = {"grant_type": "authorization_code", "code": world.code(), "code_verifier": VERIFIER}
    stolen = world.client.post("/token", data=form, auth=(machine.client_id, machine.client_secret))
    assert stolen.status_code == 400
    code = world.code()
    world.moment += timedelta(seconds=60)
    assert world.redeem(code) == 400


@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"state": ""},
        {"response_type": "token"},
        {"scope": "email"},
        {"max_age": "-1"},
    ],
)
def test_an_incomplete_question_is_answered_with_an_error(world: World, change: dict[str, str]) -> None:
    for answer in (
        world.client.get("/authorize", params=ASKED | change),
        world.client.post("/authorize", params=ASKED | change, data=world.form(), headers=SAME),
    ):
        assert "error=" in answer.headers["location"]
        assert "code=" not in answer.headers["location"]


@pytest.mark.parametrize(
    "change", [{"redirect_uri": "https://evil.example/"}, {"redirect_uri": ""}, {"client_id": "other"}]
)
def test_nobody_is_sent_elsewhere(world: World, change: dict[str, str]) -> None:
    answer = world.client.get("/authorize", params=ASKED | change)
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_whom_it_knows_it_asks_again_where_the_client_wants_it(world: World) -> None:
    world.code()
    world.moment += timedelta(minutes=5)
    for change, status in (
        ({}, 303),
        ({"prompt": "none"}, 303),
        ({"max_age": "301"}, 303),
        ({"max_age": "300"}, 200),
        ({"max_age": "0"}, 200),
        ({"prompt": "login"}, 200),
    ):
        assert world.client.get("/authorize", params=ASKED | change).status_code == status, change
    world.client.get("/end-session")
    assert (
        "login_required"
        in (world.client.get("/authorize", params=ASKED | {"prompt": "none"}).headers["location"])
    )


def test_signing_out_leads_to_the_portal_only(world: World) -> None:
    target = {"post_logout_redirect_uri": f"{PORTAL}/signed-out"}
    assert world.client.get("/end-session", params=target).headers["location"] == f"{PORTAL}/signed-out"
    evil = world.client.get("/end-session", params={"post_logout_redirect_uri": "https://evil.example"})
    assert evil.status_code == 200


def test_wrong_password_and_unknown_user_look_the_same(world: World) -> None:
    url = "/authorize?" + urlencode(ASKED)
    answers = [
        world.client.post(url, data={"name": name, "password": "guess"}, headers=SAME)
        for name in ("radiologist", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    assert "set-cookie" not in answers[0].headers


def test_guessing_is_slowed_down(world: World) -> None:
    url = "/authorize?" + urlencode(ASKED)
    for _ in range(3):
        world.client.post(url, data={"name": "radiologist", "password": "guess"}, headers=SAME)
    answer = world.client.post(url, data=world.form(), headers=SAME)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    world.moment += timedelta(seconds=2)
    assert world.client.post(url, data=world.form(), headers=SAME).status_code == 303


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://127.0.0.1:9"}])
def test_a_form_of_another_page_is_refused(world: World, headers: dict[str, str]) -> None:
    url = "/authorize?" + urlencode(ASKED)
    assert world.client.post(url, data=world.form(), headers=headers).status_code == 403


def test_it_answers_to_its_own_machine_only(world: World) -> None:
    elsewhere, rebound = world.browser("192.0.2.7"), world.browser(url="http://evil.example:8082")
    for client in (elsewhere, rebound):
        for path in ("/authorize", "/.well-known/openid-configuration", "/jwks.json", "/healthz"):
            assert client.get(path).status_code == 403
    proxied = world.client.get("/healthz", headers={"X-Forwarded-For": "127.0.0.1"})
    assert proxied.status_code == 403


@pytest.mark.parametrize(
    "options",
    [["--host", "0.0.0.0"], ["--portal-url", "https://portal.example"]],  # noqa: S104
)
def test_it_listens_on_loopback_only(
    world: World, tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert world is not None
    common = ["--home", str(tmp_path), "--port", "1", "--portal-url", PORTAL]
    assert main([*common, *options]) == 2
    assert "loopback" in capsys.readouterr().err


def test_its_keys_are_public_ones(world: World) -> None:
    (key,) = world.client.get("/jwks.json").json()["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert world.client.get("/healthz").headers["cache-control"] == "no-store"
