"""A portal that is served over a socket, for clients that know nothing of FastAPI."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import requests
import uvicorn
from dicomweb_client.api import DICOMwebClient

from firstread.policy import Role
from portal.app import create_app
from tests.functional.portal.conftest import Clock
from tests.functional.portal.dicomweb.samples import Samples, store_samples
from tests.functional.portal.seeding import PASSWORD, Hospital, account, name_of, settings


@dataclass(frozen=True)
class Served:
    """A portal on a port, and the studies it has."""

    origin: str
    samples: Samples

    def session(self, role: Role = Role.RADIOLOGIST) -> requests.Session:
        """Return a session of somebody who signed in."""
        session = requests.Session()
        session.headers["Sec-Fetch-Site"] = "same-origin"
        form = {"name": name_of(role), "password": PASSWORD}
        answer = session.post(f"{self.origin}/sign-in", data=form, allow_redirects=False)
        assert answer.status_code == 303
        return session

    def client(self, role: Role = Role.RADIOLOGIST) -> DICOMwebClient:
        """Return a client of somebody who signed in."""
        return DICOMwebClient(f"{self.origin}/dicomweb", session=self.session(role))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_REGION", "us-east-1")
        with account():
            clock = Clock()
            samples = store_samples(Hospital(clock()))
            app = create_app(settings(tmp_path_factory.mktemp("portal")), clock)
            with serving(uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))) as origin:
                yield Served(origin, samples)


@contextmanager
def serving(server: uvicorn.Server) -> Iterator[str]:
    """Serve on a free port, and give the origin."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
