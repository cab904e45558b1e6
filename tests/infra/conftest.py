"""One synthesis of the whole application for all tests."""

import json
from pathlib import Path

import pytest

from infra.app import build
from tests.infra.account import Account


def _synthesise(folder: Path, **context: str) -> Account:
    build({"lambda_assets": "shim", **context}, str(folder)).synth()
    found = sorted(folder.glob("*.template.json"))
    stacks = {path.name.removesuffix(".template.json"): json.loads(path.read_text()) for path in found}
    return Account(folder, stacks)


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The whole account, as it is deployed."""
    return _synthesise(tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The stacks of the local engine."""
    return _synthesise(tmp_path_factory.mktemp("laptop"), stacks="local")


@pytest.fixture(scope="session")
def public_account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The account of a deployment that opens the portal to two networks, keeps audit exports longer and has no GPU."""
    return _synthesise(
        tmp_path_factory.mktemp("public"),
        certificate_arn="arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d",
        portal_cidrs="192.0.2.0/24,198.51.100.0/24",
        operations_email="operations@hospital.example",
        expect_arrivals_minutes="60",
        audit_years="10",
        worker_device="cpu",
    )
