"""OHIF below ``/ohif/``: its files, its pages, and a content security policy that is nobody else's."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.policy import Role
from portal.app import create_app
from tests.functional.portal.conftest import Clock, browser
from tests.functional.portal.seeding import Hospital, open_session, settings

UNSAFE = "'unsafe-eval'"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (each.split() for each in policy.split(";"))}


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    folder = tmp_path / "ohif"
    folder.mkdir()
    (tmp_path / "portal.log").write_text("not to be served")
    (folder / "index.html").write_text("<title>OHIF</title>")
    (folder / "app.bundle.js").write_text("run()")
    return folder


@pytest.fixture
def app(hospital: Hospital, tmp_path: Path, clock: Clock, fetched: Path) -> FastAPI:
    assert hospital.moment == clock()
    return create_app(settings(tmp_path).model_copy(update={"ohif_dir": str(fetched)}), clock)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return browser(app)


def test_its_files_and_its_pages(client: TestClient) -> None:
    assert client.get("/ohif/app.bundle.js").text == "run()"
    for page in ("/ohif/", "/ohif/viewer?StudyInstanceUIDs=2.25.1"):
        answer = client.get(page)
        assert (answer.status_code, answer.text) == (200, "<title>OHIF</title>")
        assert answer.headers["Cache-Control"] == "no-cache"
    assert client.get("/ohif/missing.bundle.js").status_code == 404
    assert client.post("/ohif/").status_code == 405


@pytest.mark.parametrize(
    "path", ["../portal.log", "%2e%2e/portal.log", "..%2fportal.log", "%2e%2e%2fportal.log"]
)
def test_nothing_beside_its_folder(client: TestClient, path: str) -> None:
    answer = client.get(f"/ohif/{path}")
    assert "not to be served" not in answer.text
    assert answer.status_code == 404


def test_its_policy_lets_it_make_functions_and_load_nothing_from_elsewhere(client: TestClient) -> None:
    policy = directives(client.get("/ohif/").headers["Content-Security-Policy"])
    assert UNSAFE in policy["script-src"]
    own = {"'self'", "'none'", "'unsafe-inline'", UNSAFE, "blob:", "data:"}
    assert {value for values in policy.values() for value in values} <= own
    assert policy["default-src"] == ["'self'"]
    for name in ("object-src", "base-uri", "frame-ancestors", "form-action"):
        assert policy[name] == ["'none'"], name
    assert not {"data:", "blob:"} & set(policy["script-src"])


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/worklist", "/ohif", "/ohifs/", "/static/style.css", "/OHIF/", "//ohif/"]
)
def test_no_other_address_has_it(app: FastAPI, client: TestClient, path: str) -> None:
    signed_in = browser(app)
    signed_in.cookies.set(*open_session(app, Role.RADIOLOGIST))
    for each in (client, signed_in):
        policy = each.get(path).headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src" not in directives(policy)


def test_where_it_was_not_fetched_it_says_how(hospital: Hospital, tmp_path: Path, clock: Clock) -> None:
    assert hospital.moment == clock()
    answer = browser(create_app(settings(tmp_path), clock)).get("/ohif/viewer")
    assert answer.status_code == 404
    assert "`firstread ohif` fetches it" in answer.text
