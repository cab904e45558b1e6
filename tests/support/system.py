"""A running system for tests that send to it: the local run by its command, and a gateway process before it."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstread.environment import (
    AlertsSettings,
    InstancesSettings,
    LedgerSettings,
    ResultsSettings,
    StudiesSettings,
)
from firstread.gateway.settings import load
from firstread.gateway.status import gateway_status
from firstread.local.home import Home, activate
from firstread.records import tables
from firstread.sources import PUSH, new_token, token_digest

FIRSTREAD = Path(sys.executable).parent / "firstread"
GATEWAY = "gateway"
STOW = "pacs"
SOURCES = (PUSH, STOW, GATEWAY)
TITLE = "FIRSTREAD"
CALLER = "CT1"


def free_port() -> int:
    """Return a free port that no outgoing connection is given, so that it stays free while a program restarts."""
    below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = secrets.randbelow(below - 10_000) + 10_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 300) -> Any:  # noqa: ANN401
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def _environment() -> dict[str, str]:
    ours = ("AWS_", "FIRSTREAD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@dataclass(frozen=True)
class Run:
    home: Path
    engine_port: int
    portal_port: int
    ingest_port: int
    identity_port: int

    @classmethod
    def at(cls, home: Path) -> "Run":
        """A run on free ports, with a token for each of `SOURCES`."""
        found = cls(home, *(free_port() for _ in range(4)))
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        sources = []
        for name in SOURCES:
            token = new_token()
            path = found.token_file(name)
            path.touch(mode=0o600)
            path.write_text(token)
            sources.append({"name": name, "token_sha256": token_digest(token)})
        Home(home).sources.touch(mode=0o600)
        Home(home).sources.write_text(json.dumps({"sources": sources}))
        return found

    def token_file(self, source: str) -> Path:
        return self.home / f"{source}.token"

    @property
    def ingest_url(self) -> str:
        return f"http://127.0.0.1:{self.ingest_port}"

    def firstread(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(FIRSTREAD), *arguments],
            env={**_environment(), "FIRSTREAD_HOME": str(self.home), "COLUMNS": "160"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode:
            raise AssertionError(
                f"firstread {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def up(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        ports = {
            "engine": self.engine_port,
            "portal": self.portal_port,
            "ingest": self.ingest_port,
            "identity": self.identity_port,
        }
        return self.firstread("up", *(f"--{name}-port={port}" for name, port in ports.items()), check=check)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.firstread("status", "--json", check=False).stdout)
        return found

    def push(self, *paths: Path) -> list[dict[str, Any]]:
        done = self.firstread("push", "--json", *map(str, paths), check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pid(self, component: str) -> int:
        return int(json.loads((self.home / "run" / f"{component}.json").read_text())["pid"])

    @contextmanager
    def records(self) -> Iterator[None]:
        """Point this process at the run for as long as the block lasts."""
        before = dict(os.environ)
        try:
            activate(Home(self.home))
            tables.bind(Settings())
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


class Settings(LedgerSettings, InstancesSettings, StudiesSettings, ResultsSettings, AlertsSettings):
    """Every table that a test looks into."""


@dataclass
class GatewayProcess:
    """`firstread gateway run` as a process of its own, forwarding to a run.

    Parameters
    ----------
    run
        Where it forwards to.
    port
        Its DICOM port; the same after a restart, as modalities know it.
    """

    run: Run
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def config(self) -> Path:
        return self.run.home / "gateway.toml"

    def start(self) -> None:
        self.config.write_text(
            f"""
            [dimse]
            ae_title = "{TITLE}"
            host = "127.0.0.1"
            port = {self.port}
            [[sources]]
            name = "ct1"
            ae_titles = ["{CALLER}"]
            peers = ["127.0.0.1"]
            [spool]
            path = "{self.run.home / "spool"}"
            free_bytes = 0
            free_percent = 0
            [forward]
            url = "{self.run.ingest_url}"
            token_file = "{self.run.token_file(GATEWAY)}"
            longest_pause = 2
            timeout = 20
            """
        )
        with (self.run.home / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(FIRSTREAD), "gateway", "run", "--config", str(self.config)],
                env=_environment(),
                stdout=log,
                stderr=log,
            )
        wait_for("the gateway to listen", self.listens)

    def listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the gateway ended; see gateway.log"
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def waiting(self) -> int:
        """Return how many objects and messages are in its spool."""
        found = gateway_status(load(self.config))
        return found.objects + found.messages
