"""What the tables of a process have in common."""

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest

from firstread.records.tables import TABLES, bind, connection


def test_all_tables_of_a_process_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    create: Callable[..., Any] = botocore.session.Session.create_client

    def counted(self: botocore.session.Session, service: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        made.append(service)
        return create(self, service, *args, **more)

    monkeypatch.setattr(botocore.session.Session, "create_client", counted)
    bind(type("Names", (), {name: name for name in TABLES})())
    clients = {id(table._get_connection().connection.client) for table in TABLES.values()}
    assert clients == {id(connection().client)}
    assert made == ["dynamodb"]
    assert connection()._max_pool_connections >= 40
