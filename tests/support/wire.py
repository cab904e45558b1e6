"""Listen to every AWS call of the process, and let chosen ones fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

WRITES = frozenset(
    {
        "PutObject",
        "DeleteObject",
        "PutItem",
        "UpdateItem",
        "TransactWriteItems",
        "SendMessage",
        "SendMessageBatch",
        "DeleteMessage",
        "PutEvents",
        "Publish",
    }
)


class CrashError(BaseException):
    """The process ends here: no handler of ordinary exceptions sees it."""


@dataclass
class Wire:
    """What was sent.

    Parameters
    ----------
    calls
        Operation names and parameters of successful calls, in order.
    before
        Looks at each call before it is made; raises to prevent it.
    after
        Looks at each successful call; raises to end the process behind it.
    """

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: Callable[[str, dict[str, Any]], None] = lambda _operation, _parameters: None
    after: Callable[[str, dict[str, Any]], None] = lambda _operation, _parameters: None

    def sent(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of the calls of an operation."""
        return [parameters for name, parameters in self.calls if name == operation]

    def writes(self) -> int:
        """Return how many writes were made."""
        return sum(name in WRITES for name, _ in self.calls)


@contextmanager
def listening() -> Iterator[Wire]:
    """Listen while the body runs."""
    wire = Wire()
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - botocore's
        wire.before(operation, parameters)
        response = original(self, operation, parameters)
        wire.calls.append((operation, parameters))
        wire.after(operation, parameters)
        return response

    with patch.object(BaseClient, "_make_api_call", call):
        yield wire


@contextmanager
def dying_after_write(wire: Wire, number: int) -> Iterator[None]:
    """End the process behind the n-th write from now on, counting from 1."""
    left = number

    def after(operation: str, _parameters: dict[str, Any]) -> None:
        nonlocal left
        if operation in WRITES:
            left -= 1
            if left == 0:
                raise CrashError

    wire.after = after
    try:
        yield
    finally:
        wire.after = lambda _operation, _parameters: None
