"""Entry point of the inference container.

``python -m model_service worker`` works on the analyze queues until SIGTERM; ``analyse`` answers the one request on its
standard input, for a last try in a process of its own; ``register`` writes the shipped bundles and their routing rules
into the models table, as part of a deployment; ``add`` takes in a bundle; ``evaluate`` runs one on a folder of cases;
``health`` tells whether the worker of this container moves; ``sbom FILE`` writes what is installed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from firstread.environment import ModelsSettings
from firstread.handling import describe
from firstread.messages import AnalyzeRequest
from firstread.records import tables
from firstread.records.models import ModelRepository
from model_service.registry import bundles, registration


def _worker(_arguments: Sequence[str]) -> int:
    from model_service.bootstrap import worker  # engines take time to import

    made = worker()
    made.stop_on_signals()
    return made.run()


def _analyse(_arguments: Sequence[str]) -> int:
    from model_service.bootstrap import analyse
    from model_service.log import logger

    try:
        analyse().request(AnalyzeRequest.model_validate_json(sys.stdin.buffer.read()))
    except Exception as error:
        # A traceback with values could show patient data.
        logger.error("analysis failed", extra=describe(error))
        return 1
    return 0


def _register(_arguments: Sequence[str]) -> int:
    tables.bind(ModelsSettings())
    repository = ModelRepository()
    for folder in bundles().values():
        repository.register(registration(folder))
    return 0


def _add(arguments: Sequence[str]) -> int:
    from model_service.adding.command import main as add

    return add(arguments)


def _evaluate(arguments: Sequence[str]) -> int:
    from model_service.evaluation.command import main as evaluate

    return evaluate(arguments)


def _health(_arguments: Sequence[str]) -> int:
    from model_service.heartbeat import Heartbeat, HeartbeatError

    try:
        Heartbeat().check()
    except HeartbeatError as error:
        sys.stderr.write(f"model_service: {error}\n")
        return 1
    return 0


def _sbom(arguments: Sequence[str]) -> int:
    from model_service.sbom import write

    parser = argparse.ArgumentParser(prog="python -m model_service sbom")
    parser.add_argument("file", type=Path)
    write(parser.parse_args(arguments).file)
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "worker": _worker,
    "analyse": _analyse,
    "register": _register,
    "add": _add,
    "evaluate": _evaluate,
    "health": _health,
    "sbom": _sbom,
}


def main() -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model_service", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS), help="what follows it are its own arguments")
    command, arguments = parser.parse_args(sys.argv[1:2]).command, sys.argv[2:]
    return _COMMANDS[command](arguments)


if __name__ == "__main__":
    raise SystemExit(main())
