"""Entry point of the inference container.

``python -m model_service worker`` works on the analyze queues until SIGTERM; ``analyse`` answers the one request on its
standard input, for a last try in a process of its own; ``register`` writes the shipped bundles and their routing rules
into the models table, as part of a deployment; ``evaluate`` runs a bundle on a folder of cases and reports.
"""

import argparse
import sys

from firstread.environment import ModelsSettings
from firstread.messages import AnalyzeRequest
from firstread.records import tables
from firstread.records.models import ModelRepository
from model_service.registry import bundles, registration


def _worker() -> int:
    from model_service.bootstrap import worker  # engines take time to import

    made = worker()
    made.stop_on_signals()
    return made.run()


def _analyse() -> int:
    from model_service.bootstrap import analyse

    analyse().request(AnalyzeRequest.model_validate_json(sys.stdin.buffer.read()))
    return 0


def _register() -> int:
    tables.bind(ModelsSettings())
    repository = ModelRepository()
    for folder in bundles().values():
        repository.register(registration(folder))
    return 0


_COMMANDS = {"worker": _worker, "analyse": _analyse, "register": _register}


def main() -> int:
    """Run a command; returns the exit code."""
    if sys.argv[1:2] == ["evaluate"]:  # it has arguments of its own, and needs no record
        from model_service.evaluation.command import main as evaluate

        return evaluate(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m model_service", description=__doc__)
    parser.add_argument("command", choices=[*_COMMANDS, "evaluate"])
    return _COMMANDS[parser.parse_args().command]()


if __name__ == "__main__":
    raise SystemExit(main())
