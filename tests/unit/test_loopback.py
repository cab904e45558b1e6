import asyncio
from typing import Any

import pytest

from firstread.loopback import LoopbackOnly, is_loopback, is_loopback_url

LOCAL = ("127.0.0.1", 40000)


def ask(headers: dict[str, str], client: tuple[str, int] | None = LOCAL, again: str = "") -> int:
    """Return the status that a client gets; `again` is a second Host header."""
    sent: list[Any] = []

    async def inner(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        raise AssertionError("nothing to read")

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw += [(b"host", again.encode())] if again else []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client}
    asyncio.run(LoopbackOnly(inner)(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost."])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "127.0.0.1.nip.io", "2130706433"],  # noqa: S104
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080", True),
        ("https://localhost/x", True),
        ("http://[::1]:8080", True),
        ("http://127.0.0.1@evil.example", False),
        ("http://portal.example", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_loopback_url(url: str, loopback: bool) -> None:
    assert is_loopback_url(url) is loopback


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:1", "localhost", "[::1]:8080"])
def test_loopback_is_served(host: str) -> None:
    assert ask({"Host": host}) == 200


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"Host": "evil.example"}, LOCAL),  # DNS rebinding
        ({"Host": "127.0.0.1@evil.example"}, LOCAL),
        ({"Host": "["}, LOCAL),
        ({}, LOCAL),
        ({"Host": "localhost"}, ("192.0.2.7", 40000)),
        ({"Host": "localhost"}, None),
        ({"Host": "localhost", "X-Forwarded-For": "127.0.0.1"}, LOCAL),
        ({"Host": "localhost", "Forwarded": "for=127.0.0.1"}, LOCAL),
    ],
)
def test_others_are_refused(headers: dict[str, str], client: tuple[str, int] | None) -> None:
    assert ask(headers, client) == 403


def test_a_second_host_is_refused() -> None:
    assert ask({"Host": "localhost"}, again="evil.example") == 403
