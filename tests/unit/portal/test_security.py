"""The ASGI layers alone, without an application behind them and without the network."""

import asyncio

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.security import SameOriginWrites, SecurityHeaders, bearer_of, is_same_origin

LOCAL = ("127.0.0.1", 40000)


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("inside")(scope, receive, send)


def ask(
    app: ASGIApp,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    client: tuple[str, int] | None = LOCAL,
    path: str = "/",
) -> tuple[int, dict[str, str]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "client": client}

    async def serve() -> None:
        await app(scope, receive, send)

    asyncio.run(serve())
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return int(sent[0]["status"]), answered


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://a:1", "Host": "a:1"}, False),
        ({"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080"}, True),
        ({"Origin": "http://127.0.0.1:9090", "Host": "127.0.0.1:8080"}, False),
        ({"Origin": "null", "Host": "127.0.0.1:8080"}, False),
        ({"Origin": "http://[", "Host": "127.0.0.1:8080"}, False),
        ({"Host": "127.0.0.1:8080"}, False),
        ({}, False),
    ],
)
def test_is_same_origin(headers: dict[str, str], same: bool) -> None:
    assert is_same_origin(Headers(headers)) is same


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "ANYTHING"])
def test_writes_of_other_sites_are_refused(method: str) -> None:
    app = SameOriginWrites(inner)
    assert ask(app, method, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert ask(app, method)[0] == 403
    assert ask(app, method, {"Sec-Fetch-Site": "same-origin"})[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reads_need_no_origin(method: str) -> None:
    assert ask(SameOriginWrites(inner), method, {"Sec-Fetch-Site": "cross-site"})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{"Content-Length": str(512 * 1024 + 1)}, {"Content-Length": "-1"}, {"Transfer-Encoding": "chunked"}],
)
def test_large_bodies_are_refused(headers: dict[str, str]) -> None:
    same = {"Sec-Fetch-Site": "same-origin"}
    assert ask(SameOriginWrites(inner), "POST", same | headers)[0] == 413


TOKEN = {"Authorization": "Bearer abc.def.ghi"}


@pytest.mark.parametrize("path", ["/api/worklist", "/dicomweb", "/dicomweb/studies"])
def test_a_program_needs_no_origin(path: str) -> None:
    assert ask(SameOriginWrites(inner), "POST", TOKEN, path=path)[0] == 200
    assert (
        ask(SameOriginWrites(inner), "POST", TOKEN | {"Content-Length": str(512 * 1024 + 1)}, path=path)[0]
        == 413
    )


@pytest.mark.parametrize("path", ["/sign-out", "/alerts/a/acknowledge", "/dicomwebs", "/"])
def test_a_token_on_a_page_changes_nothing(path: str) -> None:
    assert ask(SameOriginWrites(inner), "POST", TOKEN, path=path)[0] == 403


def test_another_scheme_is_no_token() -> None:
    headers = {"Authorization": "Basic YTpi"}
    assert ask(SameOriginWrites(inner), "POST", headers, path="/api/worklist")[0] == 403


@pytest.mark.parametrize(
    ("value", "token"),
    [("Bearer a.b", "a.b"), ("bearer  a.b ", "a.b"), ("Bearer", ""), ("Basic a.b", None), ("", None)],
)
def test_bearer_of(value: str, token: str | None) -> None:
    assert bearer_of(Headers({"authorization": value})) == token


def test_headers() -> None:
    _, headers = ask(SecurityHeaders(inner))
    assert headers["content-security-policy"] == (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "cross-origin-opener-policy" not in headers
    assert "strict-transport-security" not in headers
    assert "strict-transport-security" in ask(SecurityHeaders(inner, secure=True))[1]
    assert ask(SecurityHeaders(inner), path="/static/portal.css")[1]["cache-control"] == "no-cache"
