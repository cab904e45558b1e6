"""An AWS account in this process for the tests that need one."""

from collections.abc import Iterator
from typing import Any

import pytest

from model_service.inbox import Inbox
from tests.support.cloud import Cloud, account


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty account, and every setting of every program in the environment."""
    with account() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def inboxes_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test left open: its thread would go on asking AWS for its messages, and there is no AWS any more."""
    made: list[Inbox] = []
    begin = Inbox.__init__

    def noted(self: Inbox, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as Inbox takes them
        begin(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(Inbox, "__init__", noted)
    yield
    for each in made:
        each.close()
