"""Every route: that it asks the policy, refuses strangers, and is documented."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount
from starlette.testclient import TestClient

from firstread.policy import Action, Actor, Resource, Role, Teaching, can
from portal.access import requirement_of
from tests.functional.portal.conftest import SignIn

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "routes.md"
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/static/{path}"),
    ("GET", "/ohif/{path}"),
    ("GET", "/sign-in"),
    ("GET", "/sign-in/return"),
    ("POST", "/sign-out"),
    ("GET", "/signed-out"),
    ("GET", "/api/session"),
}
ENDLESS = {"/api/worklist/events"}  # test_live.py


def api_routes(app: FastAPI) -> Iterator[tuple[APIRoute, str]]:
    from fastapi.routing import iter_route_contexts

    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield route, method


def listed(app: FastAPI) -> set[tuple[str, str]]:
    mounts = {("GET", f"{route.path}/{{path}}") for route in app.routes if isinstance(route, Mount)}
    return mounts | {(method, route.path) for route, method in api_routes(app)}


def required_action(route: APIRoute) -> Action | None:
    found = requirement_of(route)
    return found.action if found else None


def filled(path: str, uid: str = "2.25.1") -> str:
    values = {
        "study_uid": uid,
        "series_uid": f"{uid}.1",
        "sop_uid": f"{uid}.1.1",
        "frame": "1",
        "frames": "1",
        "path": "7FE00010",
        "digest": "0" * 64,
        "alert_id": "a" * 32,
        "collection": "chest",
        "number": "1",
        "version": "1",
        "user": "somebody",
    }
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path
    return path


def test_each_route_asks_for_one_action_or_is_public(app: FastAPI) -> None:
    for route, method in api_routes(app):
        assert (required_action(route) is None) == ((method, route.path) in PUBLIC), route.path
    assert {each for each in listed(app) if each in PUBLIC} == PUBLIC


def test_each_route_refuses_an_anonymous_reader(
    app: FastAPI, anonymous: TestClient, morning: dict[str, str]
) -> None:
    refused = 0
    for route, method in api_routes(app):
        if (method, route.path) in PUBLIC:
            continue
        for uid in (morning["high"], "2.25.999"):  # there or not: no difference from outside
            path = filled(route.path, uid)
            answer = anonymous.request(method, path)
            if path.startswith(("/api/", "/dicomweb")) or path.endswith(".png"):
                assert answer.status_code == 401, path
                assert answer.headers["content-type"] == "application/problem+json"
            else:
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/sign-in?next=")
            refused += 1
    assert refused >= 18


@pytest.mark.parametrize("role", Role)
def test_each_route_keeps_to_the_policy(
    app: FastAPI, sign_in: SignIn, morning: dict[str, str], role: Role
) -> None:
    client = sign_in(role)
    uid = morning["high"]
    for route, method in api_routes(app):
        action = required_action(route)
        if action is None or "alert_id" in route.path or "{collection}" in route.path:
            continue
        of_study = "study_uid" in route.path
        resource = Resource(study_uid=uid if of_study else "", teaching=Teaching.NONE)
        allowed = can(Actor("x", role), action, resource).allowed
        if allowed and route.path in ENDLESS:
            continue
        status = client.request(method, filled(route.path, uid)).status_code
        if not allowed:
            assert status == (404 if of_study else 403), route.path
        elif route.path.startswith("/dicomweb") and method == "POST":
            assert status == 405, route.path  # nothing is stored here
        elif method != "GET":  # what needs a body, or changes something, is another test's
            assert status not in {401, 403, 404}, route.path
        elif not any(each in route.path for each in ("{digest}", "{number}", "{version}")):
            assert status == 200, route.path


def test_no_generated_documentation(radiologist: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert radiologist.get(path).status_code == 404


def test_each_route_has_a_heading(app: FastAPI) -> None:
    headings = {
        line.removeprefix("## ")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    }
    assert headings == {f"{method} {path}" for method, path in listed(app)}


def test_unknown_parameters_and_values_are_refused(radiologist: TestClient, morning: dict[str, str]) -> None:
    frame = f"/studies/{morning['high']}/instances/{morning['high']}.1.1/frames"
    for path in (
        "/api/worklist?limit=0",
        "/api/worklist?limit=many",
        "/api/worklist?risk=purple",
        "/api/worklist?colour=red",
        "/api/worklist?cursor=many",
        "/api/worklist?modality=%3Cscript%3E",
        "/api/worklist?list=hidden",
        f"{frame}/1.png?c=40",
        f"{frame}/1.png?w=40",
        f"{frame}/1.png?c=40&w=0",
        f"{frame}/1.png?c=nan&w=1",
        f"{frame}/1.png?window=lung",
        f"{frame}/1.png?side=100000",
        f"{frame}/0.png",
        f"{frame}/one.png",
    ):
        answer = radiologist.get(path)
        assert answer.status_code == 422, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert "many" not in answer.text
        assert "lung" not in answer.text


def test_what_is_not_there(radiologist: TestClient, morning: dict[str, str]) -> None:
    uid = morning["high"]
    for path in (
        "/nowhere",
        "/studies/2.25.999",
        "/studies/%3Cscript%3E",
        "/studies/../../etc",
        "/api/studies/2.25.999",
        f"/studies/{uid}/instances/2.25.1/frames/1.png",
        f"/studies/{uid}/instances/{uid}.1.1/frames/2.png",
        f"/studies/{uid}/overlays/{'0' * 64}.png",
        f"/studies/{uid}/overlays/..%2f..%2fx.png",
        f"/alerts/{'0' * 32}",
        "/alerts/%00",
    ):
        answer = radiologist.get(path)
        assert answer.status_code == 404, path
        assert "<script>" not in answer.text


def test_an_image_of_another_study_is_not_there(radiologist: TestClient, morning: dict[str, str]) -> None:
    path = f"/studies/{morning['high']}/instances/{morning['failed']}.1.1/frames/1.png"
    assert radiologist.get(path).status_code == 404
