"""One local run, started by the command as a user would, shared by the tests of this folder."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FIRSTREAD = Path(sys.executable).parent / "firstread"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(frozen=True)
class Run:
    home: Path
    engine_port: int
    portal_port: int
    ingest_port: int

    def firstread(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [str(FIRSTREAD), *arguments],
            env={**environment, "FIRSTREAD_HOME": str(self.home), "COLUMNS": "160"},
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        if check and done.returncode:
            raise AssertionError(
                f"firstread {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def up(self) -> None:
        ports = {"engine": self.engine_port, "portal": self.portal_port, "ingest": self.ingest_port}
        self.firstread("up", *(f"--{name}-port={port}" for name, port in ports.items()))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.firstread("status", "--json", check=False).stdout)
        return found

    def push(self, *paths: Path) -> list[dict[str, Any]]:
        done = self.firstread("push", "--json", *map(str, paths), check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pid(self, component: str) -> int:
        return int(json.loads((self.home / "run" / f"{component}.json").read_text())["pid"])


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 90) -> Any:  # noqa: ANN401
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    started = Run(tmp_path_factory.mktemp("home"), free_port(), free_port(), free_port())
    started.up()
    yield started
    started.firstread("down")
