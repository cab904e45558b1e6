"""The portal does what its OpenAPI document says, whatever is sent; and nothing of it without the right to ask.

Schemathesis makes requests of the document, valid and invalid ones, the same in every run.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from firstread.policy import Actor, Role, can
from portal.access import requirement_of
from portal.app import create_app
from portal.openapi import listed
from tests.functional.portal.conftest import Clock, browser
from tests.functional.portal.identity import Identity, machine_token
from tests.functional.portal.seeding import URL, Hospital, account, open_session
from tests.functional.portal.teaching import signed
from tests.support.unmeasured import unmeasured

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
SCHEMA = schemathesis.openapi.from_dict(
    json.loads(DOCUMENT.read_text(encoding="utf-8")), config=SchemathesisConfig()
)
SCHEMA.config.generation.with_security_parameters = False  # these tests say who asks
_FOUND = [each.ok() for each in SCHEMA.get_all_operations() if isinstance(each, Ok)]
OPERATIONS = {each.label: each for each in _FOUND}
ENDLESS = {"GET /api/worklist/events"}  # test_live.py
GUARDED = sorted(name for name, each in OPERATIONS.items() if each.definition.raw["security"])
CONFORMS = [status_code_conformance, content_type_conformance, response_schema_conformance]
READERS = (Role.RADIOLOGIST, Role.AUDITOR, Role.ADMIN, Role.REFERRING_CLINICIAN)
Case = schemathesis.Case[Any]
Mode = schemathesis.GenerationMode


@dataclass(frozen=True)
class Portal:
    """A portal, what is there, and the token of a program."""

    app: FastAPI
    known: dict[str, object]
    token: str

    def client(self, role: Role | None) -> TestClient:
        """Return the browser of somebody with a role, or of a stranger."""
        client = browser(self.app)
        if role:
            client.cookies.set(*open_session(self.app, role))
        return client

    def role_for(self, operation: str, *, allowed: bool) -> Role:
        """Return a role that may do an operation, or one that may not."""
        required = {f"{method} {route.path}": requirement_of(route) for route, method in listed(self.app)}
        asked = required[operation]
        if asked is None:
            return READERS[0]
        return next(each for each in READERS if can(Actor("x", each), asked.action).allowed is allowed)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_REGION", "us-east-1")
        with account():
            clock = Clock()
            hospital = Hospital(clock())
            study_uid = signed(hospital)
            identity = Identity(tmp_path_factory.mktemp("portal"), clock)
            app = create_app(identity.settings(), clock, identity.transport)
            (alert,) = app.state.services.records.alerts.of_study(study_uid)
            known = {
                "study_uid": study_uid,
                "series_uid": f"{study_uid}.1",
                "sop_uid": f"{study_uid}.1.1",
                "frame": 1,
                "frames": "1",
                "path": "7FE00010",
                "digest": "0" * 64,
                "alert_id": alert.alert_id,
                "collection": "chest",
                "number": 1,
                "version": 1,
                "user": "somebody",
            }
            made = Portal(app, known, machine_token(identity))
            wanted = {"collection": "chest", "title": "Chest, child, 4 years"}
            answer = made.client(Role.RADIOLOGIST).post(f"/api/studies/{study_uid}/teaching", json=wanted)
            assert answer.status_code == 201, answer.text
            yield made


def send(client: TestClient, case: Case, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - of httpx
    prepared = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
    sent = {name: str(value) for name, value in prepared.headers.items() if name.lower() != "cookie"}
    body = prepared.body if isinstance(prepared.body, str | bytes) else b""
    return client.request(
        prepared.method or "", prepared.url or "", content=body, headers={**sent, **(headers or {})}
    )


def tried(
    operation: str, known: dict[str, object], mode: Mode, examples: int, check: Callable[[Case], None]
) -> None:
    """Check requests for an operation; of its path, `known` stays."""
    names = {each.name for each in OPERATIONS[operation].path_parameters}
    given_path = {name: value for name, value in known.items() if name in names}

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(OPERATIONS[operation].as_strategy(mode, path_parameters=given_path))
    def trial(case: Case) -> None:
        check(case)

    try:
        unmeasured(trial)()  # the portal itself answers in a thread of its own
    except Unsatisfiable:
        assert mode is Mode.NEGATIVE  # there is no invalid request where nothing is asked for


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.POSITIVE, Mode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - ENDLESS))
def test_each_answer_is_one_of_the_document(portal: Portal, operation: str, mode: Mode) -> None:
    role = portal.role_for(operation, allowed=True)
    client = portal.client(role)
    checks = [*CONFORMS, *([negative_data_rejection] if mode is Mode.NEGATIVE else [])]

    def check(case: Case) -> None:
        answer = send(client, case)
        assert answer.status_code < 500, answer.text
        assert answer.status_code not in {401, 403}, answer.text
        # A body beyond the limit is refused unread (413), which schemathesis does not count as a refusal.
        case.validate_response(answer, checks=CONFORMS if answer.status_code == 413 else checks)

    tried(operation, portal.known, mode, 20, check)
    tried(operation, {}, mode, 5, check)


FORGED: dict[str, dict[str, str]] = {
    "nothing": {},
    "a cookie": {"Cookie": "firstread-session=AAAAAAAAAAAAAAAAAAAAAA"},
    "a token": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
    "no token": {"Authorization": "Bearer "},
    "a password": {"Authorization": "Basic YTpi"},
}


def test_what_is_public() -> None:
    assert set(OPERATIONS) - set(GUARDED) == {"GET /healthz"}


@pytest.mark.parametrize("forged", FORGED)
def test_nobody_comes_in_who_has_not_signed_in(portal: Portal, forged: str) -> None:
    client = portal.client(None)

    def check(case: Case) -> None:
        answer = send(client, case, FORGED[forged])
        assert answer.status_code == 401, case.operation.label
        case.validate_response(answer, checks=CONFORMS)

    for operation in GUARDED:
        tried(operation, portal.known, Mode.POSITIVE, 1, check)


def test_a_token_that_was_tampered_with_opens_nothing(portal: Portal) -> None:
    client = portal.client(None)
    head, body, signature = portal.token.split(".")
    other = "A" if signature[9] != "A" else "B"
    forged = {"Authorization": f"Bearer {head}.{body}.{signature[:9]}{other}{signature[10:]}"}

    def check(case: Case) -> None:
        assert send(client, case, forged).status_code == 401, case.operation.label

    for operation in GUARDED:
        tried(operation, portal.known, Mode.POSITIVE, 1, check)


def test_a_program_opens_nothing_that_takes_a_session(portal: Portal) -> None:
    client = portal.client(None)
    of_sessions = [
        name for name in GUARDED if OPERATIONS[name].definition.raw["security"] == [{"session": []}]
    ]
    assert len(of_sessions) >= 4

    def check(case: Case) -> None:
        answer = send(client, case, {"Authorization": f"Bearer {portal.token}"})
        assert answer.status_code in {401, 404}, case.operation.label

    for operation in of_sessions:
        tried(operation, portal.known, Mode.POSITIVE, 1, check)


def test_nobody_does_what_is_not_for_their_role(portal: Portal) -> None:
    def check(case: Case) -> None:
        answer = send(client, case)
        assert answer.status_code in {403, 404}, case.operation.label
        case.validate_response(answer, checks=CONFORMS)

    for operation in GUARDED:
        if operation == "GET /api/session":
            continue  # the reader's own, whatever their role
        client = portal.client(portal.role_for(operation, allowed=False))
        tried(operation, portal.known, Mode.POSITIVE, 2, check)
