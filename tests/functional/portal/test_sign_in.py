"""Signing in through the identity provider of one machine: the whole way, and every way to be refused."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.testclient import TestClient

from firstread.policy import Role
from firstread.records.audit import AuditTrail
from portal.app import create_app
from portal.errors import IssuerRefusedError
from tests.functional.portal.conftest import Clock, SignIn, browser
from tests.functional.portal.identity import ISSUER, SAME_ORIGIN, Identity, machine_token, way_back
from tests.functional.portal.seeding import URL, Hospital, open_session, settings

COOKIE = "firstread-session"
POLLING = {"X-FirstRead-Background": "1"}


@pytest.fixture
def identity(tmp_path: Path, clock: Clock) -> Identity:
    return Identity(tmp_path / "state", clock)


@pytest.fixture
def app(hospital: Hospital, clock: Clock, identity: Identity) -> FastAPI:
    assert hospital.moment == clock()
    return create_app(identity.settings(), clock, identity.transport)


def actions(user: str) -> list[str]:
    """Return what the audit trail says of a user's sessions; looks at lists are on the same subject."""
    found = [str(event["action"]) for event in AuditTrail().of(f"session#{user}")]
    return [action for action in found if action.startswith("session.")]


def asked(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


def test_the_whole_way(anonymous: TestClient, identity: Identity) -> None:
    assert anonymous.get("/studies/2.25.1").headers["location"] == "/sign-in?next=%2Fstudies%2F2.25.1"
    begun = anonymous.get("/sign-in?next=%2Fstudies%2F2.25.1")
    said = asked(begun.headers["location"])
    assert (said["response_type"], said["scope"], said["code_challenge_method"]) == ("code", "openid", "S256")
    assert said["max_age"] == "900"
    assert "prompt" not in said
    assert len(said["state"]) >= 32
    assert len(said["nonce"]) >= 32
    back = identity.walk(anonymous, Role.DATA_STEWARD, "/sign-in?next=%2Fstudies%2F2.25.1")
    answer = anonymous.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/2.25.1")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for attribute in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert "Secure" not in cookie  # plain http on loopback
    assert anonymous.get("/").status_code == 200
    who = anonymous.get("/api/session").json()
    assert (who["user"], who["role"], who["roles"]) == ("data-steward", "data steward", ["data steward"])
    assert who["seconds_left"] == 900
    assert anonymous.get("/sign-in?next=%2Fstudies%2F2.25.1").headers["location"] == "/studies/2.25.1"
    assert actions("data-steward") == ["session.open"]


def test_an_auditor_comes_to_the_audit_trail(anonymous: TestClient, identity: Identity) -> None:
    assert anonymous.get(identity.walk(anonymous, Role.AUDITOR)).headers["location"] == "/audit"
    assert anonymous.get("/sign-in").headers["location"] == "/audit"


def test_signing_out_ends_both_sessions(anonymous: TestClient, identity: Identity) -> None:
    at = identity.browser()
    anonymous.get(identity.walk(anonymous, Role.RADIOLOGIST, at=at))
    stolen = anonymous.cookies[COOKIE]
    page = anonymous.post("/sign-out")
    assert page.status_code == 200
    assert COOKIE not in anonymous.cookies
    url = page.text.partition('content="0;url=')[2].partition('"')[0].replace("&amp;", "&")
    assert url.startswith(f"{ISSUER}/end-session?")
    ended = at.get(url)
    assert ended.headers["location"] == f"{URL}/signed-out"
    assert anonymous.get("/signed-out").status_code == 200
    assert at.get(anonymous.get("/sign-in").headers["location"]).status_code == 200  # the form again
    anonymous.cookies.set(COOKIE, stolen)
    assert anonymous.get("/").status_code == 303
    assert actions("radiologist") == ["session.open", "session.close"]


def test_over_https_the_cookies_are_bound_to_the_host(
    hospital: Hospital, clock: Clock, identity: Identity
) -> None:
    assert hospital is not None
    app = create_app(identity.settings(url="https://127.0.0.1:8080"), clock, identity.transport)
    client = browser(app)
    client.base_url = "https://127.0.0.1:8080"
    begun = client.get("/sign-in").headers["set-cookie"]
    assert begun.startswith("__Host-firstread-sign-in=")
    for attribute in ("Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"):
        assert attribute in begun
    assert "Domain" not in begun
    session_id = open_session(app, Role.RADIOLOGIST)[1]
    client.cookies.set(COOKIE, session_id)  # the plain name is nobody's here
    assert client.get("/").status_code == 303
    client.cookies.set("__Host-firstread-session", session_id)
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_signing_in_again_ends_the_session_before(anonymous: TestClient, identity: Identity) -> None:
    anonymous.get(identity.walk(anonymous, Role.RADIOLOGIST))
    first = anonymous.cookies[COOKIE]
    anonymous.get(identity.walk(anonymous, Role.RADIOLOGIST, "/sign-in?reauthenticate=1"))
    assert anonymous.cookies[COOKIE] != first
    anonymous.cookies.clear()
    anonymous.cookies.set(COOKIE, first)
    assert anonymous.get("/").status_code == 303


def test_an_answer_is_good_once(anonymous: TestClient, identity: Identity) -> None:
    back = identity.walk(anonymous, Role.RADIOLOGIST)
    assert anonymous.get(back).status_code == 303
    anonymous.cookies.delete(COOKIE)
    again = anonymous.get(back)
    assert again.status_code == 400
    assert COOKIE not in anonymous.cookies


def test_an_answer_is_good_in_the_browser_that_asked(
    app: FastAPI, anonymous: TestClient, identity: Identity
) -> None:
    """Login CSRF: somebody else's answer must not sign this browser in."""
    back = identity.walk(browser(app), Role.RADIOLOGIST)
    assert anonymous.get(back).status_code == 400
    anonymous.get("/sign-in")  # with a cookie of its own
    assert anonymous.get(back).status_code == 400
    assert COOKIE not in anonymous.cookies


def test_an_answer_comes_in_time(anonymous: TestClient, identity: Identity, clock: Clock) -> None:
    begun = anonymous.get("/sign-in").headers["location"]
    clock.forward(minutes=10)
    form = {"name": "radiologist", "password": identity.password(Role.RADIOLOGIST)}
    answer = identity.browser().post(begun, data=form, headers=SAME_ORIGIN)
    assert anonymous.get(way_back(answer.headers["location"])).status_code == 400


def test_two_windows_finish_what_they_began(anonymous: TestClient, identity: Identity) -> None:
    first = anonymous.get("/sign-in?next=/read-elsewhere").headers["location"]
    second = identity.walk(anonymous, Role.RADIOLOGIST)
    assert anonymous.get(second).headers["location"] == "/"
    form = {"name": "radiologist", "password": identity.password(Role.RADIOLOGIST)}
    answer = identity.browser().post(first, data=form, headers=SAME_ORIGIN)
    back = way_back(answer.headers["location"])
    assert anonymous.get(back).headers["location"] == "/read-elsewhere"


@pytest.mark.parametrize(
    "change", [{"state": "x" * 32}, {"code": "made-up"}, {"iss": "https://evil.example"}]
)
def test_a_changed_answer_is_refused(
    anonymous: TestClient, identity: Identity, change: dict[str, str]
) -> None:
    query = asked(identity.walk(anonymous, Role.RADIOLOGIST))
    assert anonymous.get("/sign-in/return?" + urlencode(query | change)).status_code == 400
    assert COOKIE not in anonymous.cookies


@pytest.mark.parametrize("query", ["", "?error=access_denied&state=x", "?state=x", "?code=x"])
def test_an_answer_without_a_code_is_refused(anonymous: TestClient, query: str) -> None:
    answer = anonymous.get(f"/sign-in/return{query}")
    assert answer.status_code == 400
    assert "access_denied" not in answer.text


@pytest.mark.parametrize(
    ("target", "location"),
    [("/alerts/abc", "/alerts/abc"), ("//elsewhere.example", "/"), ("https://elsewhere.example/", "/")],
)
def test_next_stays_here(anonymous: TestClient, identity: Identity, target: str, location: str) -> None:
    back = identity.walk(anonymous, Role.RADIOLOGIST, "/sign-in?" + urlencode({"next": target}))
    assert anonymous.get(back).headers["location"] == location


def test_another_name_of_this_machine_leads_to_the_right_one(app: FastAPI) -> None:
    client = TestClient(
        app, base_url="http://localhost:8080", client=("127.0.0.1", 1), follow_redirects=False
    )
    answer = client.get("/sign-in?next=/x")
    assert answer.headers["location"] == f"{URL}/sign-in?next=/x"
    assert "set-cookie" not in answer.headers


def test_reauthentication(anonymous: TestClient, identity: Identity, clock: Clock) -> None:
    at = identity.browser()
    anonymous.get(identity.walk(anonymous, Role.RADIOLOGIST, at=at))
    clock.forward(minutes=6)
    begun = anonymous.get("/sign-in?reauthenticate=1&next=/x").headers["location"]
    assert {"prompt": "login", "max_age": "0"}.items() <= asked(begun).items()
    assert at.get(begun).status_code == 200  # asks for the password although it knows the user
    back = identity.walk(anonymous, Role.RADIOLOGIST, "/sign-in?reauthenticate=1&next=/x", at)
    assert anonymous.get(back).headers["location"] == "/x"
    fresh = anonymous.get("/api/session").json()["fresh_until"]
    assert fresh == "2026-03-02T08:41:00Z"


def test_a_provider_that_remembers_for_too_long_is_asked_again(
    anonymous: TestClient, identity: Identity, clock: Clock
) -> None:
    """A session that ended because nobody was there must not open by itself."""
    at = identity.browser()
    anonymous.get(identity.walk(anonymous, Role.RADIOLOGIST, at=at))
    clock.forward(minutes=17)
    begun = anonymous.get("/sign-in?next=/x").headers["location"]
    assert at.get(begun).status_code == 200  # the form: 15 minutes are over
    # A provider that does not know max_age:
    answer = at.get(begun.replace("max_age=900", "max_age=86400"))
    again = anonymous.get(way_back(answer.headers["location"]))
    assert again.headers["location"] == "/sign-in?reauthenticate=1&next=%2Fx"
    assert COOKIE not in anonymous.cookies or anonymous.get("/").status_code == 303
    # One that does not know prompt either is not believed.
    begun = anonymous.get(again.headers["location"]).headers["location"]
    deaf = begun.replace("max_age=0", "max_age=86400").replace("prompt=login", "prompt=none")
    back = way_back(at.get(deaf).headers["location"])
    assert anonymous.get(back).status_code == 400


def test_roles(hospital: Hospital, clock: Clock, identity: Identity) -> None:
    assert hospital is not None
    groups = {"radiologist": "resident", "auditor": "admin"}
    app = create_app(identity.settings(oidc_groups=groups), clock, identity.transport)
    client = browser(app)
    client.get(identity.walk(client, Role.RADIOLOGIST))
    assert client.get("/api/session").json()["role"] == "resident"
    client = browser(app)
    refused = client.get(identity.walk(client, Role.STUDENT))
    assert refused.status_code == 403
    assert "no group that has a role" in refused.text
    client = browser(app)
    refused = client.get(identity.walk(client, Role.AUDITOR, "/sign-in?role=radiologist"))
    assert refused.status_code == 403
    assert "do not have this role" in refused.text
    assert COOKIE not in client.cookies
    assert actions("student") == ["session.refuse"]
    assert AuditTrail().of("session#auditor")[0]["because"] == "other_role"


def test_the_other_roles_of_a_person_are_offered(app: FastAPI) -> None:
    client = browser(app)
    client.cookies.set(*open_session(app, Role.RADIOLOGIST, roles=(Role.RADIOLOGIST, Role.DATA_STEWARD)))
    assert 'href="/sign-in?role=data+steward"' in client.get("/").text
    assert client.get("/sign-in?role=data+steward").headers["location"].startswith(ISSUER)
    assert client.get("/sign-in?role=radiologist").headers["location"] == "/"
    assert client.get("/sign-in?role=king").status_code == 422


def test_the_session_ends_when_idle_even_while_the_page_polls(
    sign_in: SignIn, clock: Clock, morning: dict[str, str]
) -> None:
    assert morning
    client = sign_in(Role.RADIOLOGIST)
    clock.forward(minutes=14)
    assert client.get("/api/worklist", headers=POLLING).status_code == 200
    assert client.get("/api/session", headers=POLLING).json()["seconds_left"] == 60
    clock.forward(minutes=1)
    assert client.get("/api/session", headers=POLLING).status_code == 401
    assert client.get("/api/worklist", headers=POLLING).status_code == 401
    assert actions("radiologist") == ["session.open", "session.expire"]


def test_asking_for_the_session_on_purpose_keeps_it(sign_in: SignIn, clock: Clock) -> None:
    client = sign_in(Role.RADIOLOGIST)
    clock.forward(minutes=14)
    assert client.get("/api/session").json()["seconds_left"] == 900


def test_all_tasks_share_the_sessions(app: FastAPI, clock: Clock, identity: Identity) -> None:
    other = browser(create_app(identity.settings(), clock, identity.transport))
    first = browser(app)
    first.get(identity.walk(first, Role.RADIOLOGIST))
    other.cookies.set(COOKIE, first.cookies[COOKIE])
    assert other.get("/").status_code == 200
    other.post("/sign-out")
    assert first.get("/").status_code == 303


def test_an_admin_ends_the_sessions_of_a_user(sign_in: SignIn) -> None:
    radiologist, second = sign_in(Role.RADIOLOGIST), sign_in(Role.RADIOLOGIST)
    resident, admin = sign_in(Role.RESIDENT), sign_in(Role.ADMIN)
    path = "/api/users/radiologist/sessions/end"
    assert radiologist.post(path).status_code == 403
    assert admin.post(path).json() == {"ended": 2}
    assert [each.get("/").status_code for each in (radiologist, second, resident)] == [303, 303, 200]
    assert admin.post(path).json() == {"ended": 0}
    event = AuditTrail().of("session#radiologist")[-1]
    assert (event["action"], event["actor"], event["role"]) == ("session.revoke", "admin", "admin")


def test_a_program_uses_the_api_and_no_page(
    app: FastAPI, identity: Identity, morning: dict[str, str], clock: Clock
) -> None:
    client = TestClient(app, base_url=URL, client=("127.0.0.1", 1), follow_redirects=False)
    headers = {"Authorization": f"Bearer {machine_token(identity)}"}
    assert client.get("/api/worklist", headers=headers).json()["rows"]
    assert client.get(f"/api/studies/{morning['high']}", headers=headers).status_code == 200
    assert client.get(f"/api/studies/{morning['high']}/audit", headers=headers).status_code == 404
    # No Origin needed, and the policy decides.
    assert client.post("/api/users/x/sessions/end", headers=headers).status_code == 403
    for path in ("/", f"/studies/{morning['high']}"):
        assert client.get(path, headers=headers).status_code == 401
    assert client.get("/api/session", headers=headers).status_code == 401
    token = headers["Authorization"].partition(" ")[2]
    assert client.get(f"/api/worklist?access_token={token}").status_code == 401
    clock.forward(hours=1, minutes=2)
    late = client.get("/api/worklist", headers=headers)
    assert late.status_code == 401
    assert late.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert late.json()["detail"] == "expired"


def test_with_a_token_cookies_are_not_read(sign_in: SignIn, identity: Identity) -> None:
    client = sign_in(Role.ADMIN)
    assert client.get("/api/worklist", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    headers = {"Authorization": f"Bearer {machine_token(identity)}"}
    assert client.post("/api/users/x/sessions/end", headers=headers).status_code == 403


def test_the_token_of_a_person_opens_nothing(anonymous: TestClient, identity: Identity) -> None:
    """Neither the ID token nor the access token that comes with it."""
    begun = asked(anonymous.get("/sign-in").headers["location"])
    app = identity.app
    assert app is not None
    query = begun | {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}  # RFC 7636, appendix B
    form = {"name": "radiologist", "password": identity.password(Role.RADIOLOGIST)}
    at = identity.browser()
    back = at.post("/authorize?" + urlencode(query), data=form, headers=SAME_ORIGIN).headers["location"]
    portal = identity.clients.portal
    tokens = at.post(
        "/token",
        data={
            "grant_type": "authorization_code",
            "code": asked(back)["code"],
            "redirect_uri": begun["redirect_uri"],
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        },
        auth=(portal.client_id, portal.client_secret),
    ).json()
    for token in (tokens["id_token"], tokens["access_token"]):
        headers = {"Authorization": f"Bearer {token}"}
        assert anonymous.get("/api/worklist", headers=headers).status_code == 401


def test_made_up_keys_do_not_make_the_portal_ask(
    anonymous: TestClient, identity: Identity, clock: Clock
) -> None:
    token = machine_token(identity)
    header = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im1hZGUtdXAifQ"  # {"alg":"RS256","kid":"made-up"}
    made_up = {"Authorization": "Bearer " + header + token[token.index(".") :]}
    for _ in range(5):
        assert anonymous.get("/api/worklist", headers=made_up).json()["detail"] == "unknown_key"
    assert identity.requests.count("/jwks.json") == 1
    clock.forward(seconds=60)
    anonymous.get("/api/worklist", headers=made_up)
    assert identity.requests.count("/jwks.json") == 2


def test_a_provider_that_does_not_answer(hospital: Hospital, clock: Clock, identity: Identity) -> None:
    assert hospital is not None

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    client = browser(create_app(identity.settings(), clock, httpx.MockTransport(fail)))
    page = client.get("/sign-in")
    assert page.status_code == 503
    assert "does not answer" in page.text
    token = {"Authorization": f"Bearer {machine_token(identity)}"}
    assert client.get("/api/worklist", headers=token).status_code == 503
    assert client.get("/healthz").status_code == 200


def test_a_form_on_another_site_is_refused(app: FastAPI) -> None:
    client = browser(app)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert client.post("/sign-out", headers=headers).status_code == 403


def test_no_local_sign_in_from_elsewhere(app: FastAPI) -> None:
    elsewhere = TestClient(app, base_url=URL, client=("192.0.2.7", 50000))
    rebound = TestClient(app, base_url="http://evil.example:8080", client=("127.0.0.1", 50000))
    for client in (elsewhere, rebound):
        for path in ("/sign-in", "/", "/healthz", "/static/portal.css"):
            assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    "chosen",
    [
        {"host": "0.0.0.0"},  # noqa: S104
        {"host": "::"},
        {"host": "192.0.2.7"},
        {"url": "https://portal.example"},
        {"trusted_proxies": "127.0.0.1"},
        {"issuer": "http://identity.example"},
        {"issuer": "ftp://identity.example"},
    ],
)
def test_an_issuer_that_must_not_be_trusted(tmp_path: Path, chosen: dict[str, str]) -> None:
    with pytest.raises(IssuerRefusedError):
        create_app(settings(tmp_path, **({"issuer": ISSUER} | chosen)))


@pytest.mark.parametrize(
    "chosen",
    [
        {"url": "http://portal.example"},
        {"machine_clients": {"a": "admin"}},
        {"oidc_groups": {"a": "service"}},
        {"fresh_seconds": 0},
    ],
)
def test_settings_that_would_be_unsafe(tmp_path: Path, chosen: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        settings(tmp_path, **chosen)  # type: ignore[arg-type]


def test_without_a_provider_there_is_no_sign_in(hospital: Hospital, tmp_path: Path, clock: Clock) -> None:
    assert hospital.moment == clock()
    client = TestClient(create_app(settings(tmp_path), clock), base_url=URL, follow_redirects=False)
    for path in ("/sign-in", "/sign-in/return?code=a&state=b"):
        page = client.get(path)
        assert page.status_code == 503
        assert "No identity provider is configured" in page.text
    assert client.get("/").status_code == 303
    assert client.get("/api/worklist", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_program_refuses_to_start_and_says_why(identity: Identity) -> None:
    made = identity.settings()
    chosen = set(type(made).model_fields) - {"oidc_client_secret", "oidc_groups", "machine_clients"}
    env = {
        f"FIRSTREAD_{name.upper()}": value.model_dump_json() if isinstance(value, BaseModel) else str(value)
        for name, value in ((name, getattr(made, name)) for name in chosen)
    }
    program = [sys.executable, "-m", "portal"]
    secret = {"FIRSTREAD_OIDC_CLIENT_SECRET": identity.clients.portal.client_secret}
    refused = subprocess.run(
        program,
        env=env | secret | {"FIRSTREAD_PORTAL_HOST": "192.0.2.7"},
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert refused.returncode == 2
    assert b"loopback" in refused.stderr
    bare = subprocess.run(program, env=secret, capture_output=True, timeout=240, check=False)
    assert bare.returncode == 2
    assert b"FIRSTREAD_STUDIES_TABLE" in bare.stderr
    assert secret["FIRSTREAD_OIDC_CLIENT_SECRET"].encode() not in refused.stderr + bare.stderr
