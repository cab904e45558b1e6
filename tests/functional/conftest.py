"""An AWS account in this process for the tests that need one."""

from collections.abc import Iterator
from threading import RLock

import pytest
from botocore.client import BaseClient

from tests.support.cloud import Cloud, account


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty account, and every setting of every program in the environment."""
    with account() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each call of the AWS API be atomic, as it is there: moto takes a failed transaction back by an old copy."""
    lock, call = RLock(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def locked(self: BaseClient, operation: str, arguments: dict[str, object]) -> object:
        with lock:
            return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)
