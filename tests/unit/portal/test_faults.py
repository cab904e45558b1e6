"""What is answered where a route fails in a way that nobody foresaw, and what is not said."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.testclient import TestClient

from firstread.loopback import LoopbackOnly
from portal.app import routed
from portal.faults import BrokenOffError, Faults, not_here
from portal.security import SecurityHeaders

NAME = "QUIMBY^THEODORA"


def fail() -> None:
    try:
        raise KeyError(NAME)
    except KeyError as error:
        raise ValueError(NAME) from error


def begin() -> StreamingResponse:
    def parts() -> Iterator[bytes]:
        yield b"begun"
        fail()

    return StreamingResponse(parts())


@pytest.fixture
def app() -> FastAPI:
    made = routed()
    for path in ("/fault", "/api/fault", "/dicomweb/fault", "/fault.png"):
        made.add_api_route(path, fail, methods=["GET"])
    made.add_api_route("/api/begun", begin, methods=["GET"])
    made.add_middleware(LoopbackOnly, refusal=not_here)
    made.add_middleware(Faults)
    made.add_middleware(SecurityHeaders)
    return made


def client(app: FastAPI, address: str = "127.0.0.1") -> TestClient:
    # As a server sees it: what leaves the application would be raised here.
    return TestClient(app, base_url="http://localhost", client=(address, 50000))


@pytest.mark.parametrize("path", ["/api/fault", "/dicomweb/fault", "/fault.png"])
def test_a_program_gets_a_problem_without_detail(
    app: FastAPI, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client(app).get(path)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Something went wrong",
        "status": 500,
        "detail": "",
    }
    assert answer.headers["cache-control"] == "no-store" and "content-security-policy" in answer.headers
    assert "ValueError" in caplog.text and "test_faults.py" in caplog.text
    assert NAME not in caplog.text


def test_a_person_gets_a_page(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    answer = client(app).get("/fault")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "<h1>Something went wrong</h1>" in answer.text
    assert NAME not in answer.text + caplog.text


def test_an_answer_that_had_begun_is_broken_off_without_a_word(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BrokenOffError) as broken:
        client(app).get("/api/begun")
    assert broken.value.__suppress_context__ and broken.value.__cause__ is None
    assert "ValueError" in caplog.text and NAME not in caplog.text


def test_somebody_on_another_machine_is_refused_in_the_same_forms(app: FastAPI) -> None:
    elsewhere = client(app, "192.0.2.7")
    answer = elsewhere.get("/dicomweb/studies")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert answer.json()["title"] == "Not from another machine"
    answer = elsewhere.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
