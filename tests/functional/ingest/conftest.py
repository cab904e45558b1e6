"""An ingest service over an AWS account in this process."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.refs import References
from tests.support import ingest
from tests.support.cloud import Cloud


@pytest.fixture
def service(cloud: Cloud, tmp_path: Path) -> FastAPI:
    cloud.wire.calls.clear()
    return ingest.app(tmp_path)


@pytest.fixture
def sender(service: FastAPI) -> TestClient:
    return ingest.client(service)


@pytest.fixture
def references(tmp_path: Path) -> References:
    return ingest.references(tmp_path)
