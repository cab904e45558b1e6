"""Running a model with an end: in a thread that can be left behind, or in a process that can be killed."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from firstread.errors import FirstReadError
from firstread.messages import AnalyzeRequest
from model_service.analyse import UNEXPECTED

_Result = TypeVar("_Result")
_MOST_LEFT_BEHIND = 2
_left_behind: list[threading.Thread] = []
LAST_TRY_SECONDS = 900
DIED = "worker_died"
"""Reason of a result whose last try ended its process, as bytes do that a codec or a model cannot stand."""
TIMED_OUT = "timed_out"
"""Reason of a result whose last try took too long."""


class AnalysisTimeoutError(FirstReadError):
    """A model took longer than its bundle allows."""


def run_within(seconds: float, call: Callable[..., _Result], *arguments: Any) -> _Result:  # noqa: ANN401
    """Call a function and return what it returns, or leave it behind.

    A thread cannot be ended from outside. One that was left behind computes on, so there are only a few of them:
    after that the process ends, and whoever started it starts another.

    Raises
    ------
    AnalysisTimeoutError
        If it takes longer.
    """
    outcome: list[tuple[bool, Any]] = []

    def work() -> None:
        try:
            outcome.append((True, call(*arguments)))
        except BaseException as error:  # raised again below, where somebody waits for it
            outcome.append((False, error))

    thread = threading.Thread(target=work, name="model", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        _left_behind[:] = [each for each in _left_behind if each.is_alive()] + [thread]
        raise AnalysisTimeoutError("the analysis took too long")
    done, value = outcome[0]
    if not done:
        raise value
    return value  # type: ignore[no-any-return]


def is_spent() -> bool:
    """Tell whether too many calls were left behind for this process to go on."""
    return sum(each.is_alive() for each in _left_behind) >= _MOST_LEFT_BEHIND


def in_a_process(request: AnalyzeRequest) -> str:
    """Analyse a request in a process of its own; return "" or the reason why it failed.

    What crashed two processes before crashes this one, and the worker lives to record it.
    """
    command = [sys.executable, "-m", "model_service", "analyse"]
    try:
        ended = subprocess.run(  # noqa: S603 - our own program
            command, input=request.model_dump_json().encode(), timeout=LAST_TRY_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    if ended.returncode == 0:
        return ""
    return DIED if ended.returncode < 0 else UNEXPECTED
