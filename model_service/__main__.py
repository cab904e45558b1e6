"""Entry point of the inference container.

``python -m model_service worker`` works on the analyze queue until SIGTERM; ``python -m model_service register`` writes
the shipped bundles and their routing rules into the models table, as part of a deployment.
"""

import argparse

from firstread.environment import ModelsSettings
from firstread.records import tables
from firstread.records.models import ModelRepository
from model_service.registry import bundles, registration


def main() -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model_service", description=__doc__)
    parser.add_argument("command", choices=["worker", "register"])
    command = parser.parse_args().command
    if command == "register":
        tables.bind(ModelsSettings())
        repository = ModelRepository()
        for folder in bundles().values():
            repository.register(registration(folder))
        return 0
    from model_service.bootstrap import worker  # torch and MONAI take seconds to import

    worker().run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
