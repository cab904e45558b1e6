"""The identity provider of one machine in this process, and the way through it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.testclient import TestClient

from firstread.local.home import Home
from firstread.local.identity.app import create_app
from firstread.local.identity.clients import prepare
from firstread.local.identity.state import IdentityState, load
from firstread.policy import Role, group_of
from portal.settings import PortalSettings
from tests.functional.portal.seeding import URL, settings

ISSUER = "http://127.0.0.1:8082"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Identity:
    """A provider with its users.

    Parameters
    ----------
    folder
        Its state directory.
    clock
        Says what time it is.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.home = Home(folder)
        self.clients = prepare(self.home)
        self.state: IdentityState = load(self.home)
        self.app = create_app(self.state, ISSUER, URL, clock)
        self.requests: list[str] = []

    def browser(self, address: str = "127.0.0.1", url: str = ISSUER) -> TestClient:
        """Return a browser at the provider; it keeps the provider's cookies."""
        return TestClient(self.app, base_url=url, client=(address, 50001), follow_redirects=False)

    @property
    def transport(self) -> httpx.MockTransport:
        """Return what carries the portal's own requests here."""
        client = self.browser()

        def carry(request: httpx.Request) -> httpx.Response:
            self.requests.append(request.url.path)
            headers = {k: v for k, v in request.headers.items() if k != "accept-encoding"}
            answer = client.request(
                request.method, str(request.url), content=request.content, headers=headers
            )
            return httpx.Response(answer.status_code, content=answer.content, headers=dict(answer.headers))

        return httpx.MockTransport(carry)

    def password(self, role: Role) -> str:
        """Return the password of the user of a role."""
        user = self.state.users._by_name[group_of(role)]
        return user.password

    def settings(self, **more: Any) -> PortalSettings:  # noqa: ANN401 - settings of any type
        """Return the settings of a portal that knows this provider."""
        return settings(
            self.home.path,
            issuer=ISSUER,
            oidc_client_id=self.clients.portal.client_id,
            oidc_client_secret=self.clients.portal.client_secret,
            **({"machine_clients": {self.clients.machine.client_id: "service"}} | more),
        )

    def walk(
        self, portal: TestClient, role: Role, path: str = "/sign-in", at: TestClient | None = None
    ) -> str:
        """Sign in through the provider's form, and return the path of the way back to the portal."""
        begun = portal.get(path)
        assert begun.status_code == 303, begun.text
        browser = at or self.browser()
        url = begun.headers["location"]
        assert url.startswith(f"{ISSUER}/authorize?")
        form = {"name": group_of(role), "password": self.password(role)}
        answer = browser.post(url, data=form, headers=SAME_ORIGIN)
        assert answer.status_code == 303, answer.text
        return way_back(answer.headers["location"])


def machine_token(identity: Identity) -> str:
    """Return an access token of the program that the provider knows."""
    machine = identity.clients.machine
    answer = identity.browser().post(
        "/token",
        data={"grant_type": "client_credentials"},
        auth=(machine.client_id, machine.client_secret),
    )
    return str(answer.json()["access_token"])


def way_back(url: str) -> str:
    """Return path and query of an address of the portal."""
    assert url.startswith(URL + "/")
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"
