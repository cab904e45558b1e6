"""A portal that is served over a socket, for clients that know nothing of FastAPI."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from fastapi import FastAPI

from firstread.policy import Role
from portal.app import create_app
from tests.functional.portal.conftest import Clock
from tests.functional.portal.dicomweb.samples import Samples, store_samples
from tests.functional.portal.seeding import Hospital, account, open_session, settings
from tests.support.loopback import served as listening


@dataclass(frozen=True)
class Served:
    """A portal on a port, and the studies it has."""

    origin: str
    app: FastAPI
    samples: Samples

    def session(self, role: Role = Role.RADIOLOGIST) -> requests.Session:
        """Return a session of somebody who signed in."""
        session = requests.Session()
        session.headers["Sec-Fetch-Site"] = "same-origin"
        session.cookies.set(*open_session(self.app, role))
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
            with listening(app) as origin:
                yield Served(origin, app, samples)
