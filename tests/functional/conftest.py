"""An AWS account in this process for the tests that need one."""

from collections.abc import Iterator

import pytest

from tests.support.cloud import Cloud, account


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty account, and every setting of every program in the environment."""
    with account() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made
