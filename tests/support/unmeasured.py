"""Let libraries run at their own speed where coverage is measured."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

# From Python 3.12 on, code that is not measured costs nothing, and to change a trace function much.
_WORTH_IT = sys.version_info < (3, 12)


def unmeasured(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Return a function that stops the trace function of its thread, where there is one, until it returns.

    Python 3.11 slows all code down while a trace function is set, most of all in libraries, which coverage ignores.
    """

    @wraps(function)
    def paused(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        tracer = sys.gettrace()
        if tracer is None or not _WORTH_IT:
            return function(*args, **kwargs)
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(tracer)
            _next_call()

    return paused


def _next_call() -> None:
    """Coverage's tracer, which is not Python, sees lines again once it has seen a call."""
