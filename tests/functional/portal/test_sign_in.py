import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.policy import Role
from portal.__main__ import main
from portal.app import create_app
from portal.errors import LocalSignInRefusedError, LocalUsersError
from tests.functional.portal.conftest import Clock, SignIn, browser
from tests.functional.portal.seeding import PASSWORD, Hospital, settings

RIGHT = {"name": "radiologist", "password": PASSWORD}
WRONG = {"name": "radiologist", "password": "guess"}


def test_signing_in_and_out(anonymous: TestClient) -> None:
    assert anonymous.get("/").headers["location"] == "/sign-in?next=%2F"
    answer = anonymous.post("/sign-in", data=RIGHT)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("firstread-session=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    stolen = anonymous.cookies["firstread-session"]
    assert anonymous.get("/").status_code == 200
    assert anonymous.get("/sign-in").headers["location"] == "/"
    assert anonymous.post("/sign-out").headers["location"] == "/sign-in"
    assert "firstread-session" not in anonymous.cookies
    anonymous.cookies.set("firstread-session", stolen)
    assert anonymous.get("/").status_code == 303


def test_over_https_the_cookie_is_bound_to_the_host(app: FastAPI) -> None:
    client = browser(app)
    client.base_url = "https://127.0.0.1:8080"
    cookie = client.post("/sign-in", data=RIGHT).headers["set-cookie"]
    assert cookie.startswith("__Host-firstread-session=")
    assert "Secure" in cookie


def test_signing_in_makes_a_new_session(anonymous: TestClient) -> None:
    anonymous.post("/sign-in", data=RIGHT)
    first = anonymous.cookies["firstread-session"]
    anonymous.post("/sign-in", data=RIGHT)
    assert anonymous.cookies["firstread-session"] != first
    anonymous.cookies.clear()
    anonymous.cookies.set("firstread-session", first)
    assert anonymous.get("/").status_code == 303


@pytest.mark.parametrize(
    ("target", "location"),
    [("/alerts/abc", "/alerts/abc"), ("//elsewhere.example", "/"), ("https://elsewhere.example/", "/")],
)
def test_next_stays_here(anonymous: TestClient, target: str, location: str) -> None:
    page = anonymous.get("/sign-in", params={"next": target})
    assert f'name="next" value="{location}"' in page.text
    assert "elsewhere" not in page.text
    answer = anonymous.post("/sign-in", data=RIGHT | {"next": target})
    assert answer.headers["location"] == location


def test_wrong_password_and_unknown_user_look_the_same(anonymous: TestClient) -> None:
    answers = [
        anonymous.post("/sign-in", data=WRONG),
        anonymous.post("/sign-in", data={"name": "nobody", "password": PASSWORD}),
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    assert "set-cookie" not in answers[0].headers


def test_guessing_is_slowed_down(anonymous: TestClient, clock: Clock) -> None:
    for _ in range(3):
        assert anonymous.post("/sign-in", data=WRONG).status_code == 401
    answer = anonymous.post("/sign-in", data=RIGHT)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    clock.forward(seconds=2)
    assert anonymous.post("/sign-in", data=RIGHT).status_code == 303


def test_the_session_ends_when_idle_even_while_the_page_polls(
    sign_in: SignIn, clock: Clock, morning: dict[str, str]
) -> None:
    assert morning
    client = sign_in(Role.RADIOLOGIST)
    polling = {"X-FirstRead-Background": "1"}
    clock.forward(minutes=14)
    assert client.get("/api/worklist", headers=polling).status_code == 200
    clock.forward(minutes=1)
    assert client.get("/api/worklist", headers=polling).status_code == 401


def test_a_form_on_another_site_is_refused(app: FastAPI) -> None:
    client = browser(app)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert client.post("/sign-in", data=RIGHT, headers=headers).status_code == 403


def test_no_local_sign_in_from_elsewhere(app: FastAPI) -> None:
    elsewhere = TestClient(app, base_url="http://127.0.0.1:8080", client=("192.0.2.7", 50000))
    rebound = TestClient(app, base_url="http://evil.example:8080", client=("127.0.0.1", 50000))
    for client in (elsewhere, rebound):
        for path in ("/sign-in", "/", "/healthz", "/static/portal.css"):
            assert client.get(path).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "portal.example"])  # noqa: S104
def test_local_users_are_refused_off_loopback(tmp_path: Path, host: str) -> None:
    with pytest.raises(LocalSignInRefusedError):
        create_app(settings(tmp_path, host=host))


def test_unusable_users_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("{}")
    with pytest.raises(LocalUsersError):
        create_app(settings(tmp_path))


def test_without_users_there_is_no_sign_in(hospital: Hospital, tmp_path: Path, clock: Clock) -> None:
    assert hospital.moment == clock()
    client = TestClient(create_app(settings(tmp_path, users=False), clock), follow_redirects=False)
    page = client.get("/sign-in")
    assert page.status_code == 503
    assert "No identity provider is configured" in page.text
    assert "password" not in page.text
    posted = client.post("/sign-in", data=RIGHT, headers={"Sec-Fetch-Site": "same-origin"})
    assert posted.status_code == 503
    assert client.get("/").status_code == 303
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_program_refuses_to_start_and_says_why(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    env = {f"FIRSTREAD_{name.upper()}": str(value) for name, value in chosen.model_dump().items()}
    program = [sys.executable, "-m", "portal"]
    refused = subprocess.run(
        program,
        env=env | {"FIRSTREAD_PORTAL_HOST": "192.0.2.7"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert b"loopback" in refused.stderr
    bare = subprocess.run(program, env={}, capture_output=True, timeout=60, check=False)
    assert bare.returncode == 2
    assert b"FIRSTREAD_STUDIES_TABLE" in bare.stderr
    assert PASSWORD.encode() not in refused.stderr + bare.stderr


def test_seed_users_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "users.json"
    assert main(["seed-users", str(path)]) == 0
    before = path.read_text()
    assert main(["seed-users", str(path)]) == 0
    assert path.read_text() == before
    assert main(["dance"]) == 2
    said = capsys.readouterr()
    assert "usage" in said.err
    assert said.out == ""
