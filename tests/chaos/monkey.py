"""Kills processes at random moments, and has everything started again."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil

from firstread.local import processes
from firstread.local.home import Home
from firstread.local.run import ENGINE, INGEST, PORTAL, WORKER
from tests.support.system import GATEWAY, GatewayProcess, Run

FUNCTION = "function"
TARGETS = {FUNCTION: 10, INGEST: 4, GATEWAY: 4, WORKER: 3, PORTAL: 1}
"""What is killed between two kills of the engine, and how often each compared with the others."""
_PAUSE = (0.5, 3.0)
_TRIES = 5

Say = Callable[[str], None]


class Monkey:
    """Kills until it is told to stop.

    Parameters
    ----------
    run, gateway
        What it kills.
    engine_kills
        How often the engine dies: once in each of so many equal parts of the time.
    """

    def __init__(
        self,
        run: Run,
        gateway: GatewayProcess,
        chance: random.Random,
        engine_kills: int,
        say: Say,
    ) -> None:
        self.kills: Counter[str] = Counter()
        self.starts = 0
        self._run, self._gateway, self._chance, self._say = run, gateway, chance, say
        self._engine_kills = engine_kills
        self._home = Home(run.home)
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._starter = threading.Thread(target=self._keep_up)

    def rage(self, seconds: float) -> None:
        """Kill for so many seconds; afterwards everything runs."""
        begin = time.monotonic()
        part = seconds / max(1, self._engine_kills)
        moments = [(number + self._chance.random()) * part for number in range(self._engine_kills)]
        self._starter.start()
        while (now := time.monotonic() - begin) < seconds:
            if moments and moments[0] <= now:
                moments.pop(0)
                self.kill(ENGINE)
            else:
                self.kill(self._chance.choices(list(TARGETS), list(TARGETS.values()))[0])
            time.sleep(self._chance.uniform(*_PAUSE))
        self._stopping.set()
        self._starter.join()
        self._start()
        self._start_gateway()

    def kill(self, target: str) -> None:
        """Kill one process, if it runs."""
        if target == GATEWAY:
            if self._gateway_lives():
                self._gateway.kill()
                self._note(target)
            self._wanted.set()
            return
        process = processes.running(self._home, ENGINE if target == FUNCTION else target)
        with suppress(psutil.NoSuchProcess):
            if process is not None and target == FUNCTION:
                workers = process.children(recursive=True)
                process = self._chance.choice(workers) if workers else None
            if process is not None:
                process.kill()
                self._note(target)
        if target != FUNCTION:
            self._wanted.set()

    def _note(self, target: str) -> None:
        self.kills[target] += 1
        self._say(f"killed {target}")

    def _gateway_lives(self) -> bool:
        return self._gateway.process is not None and self._gateway.process.poll() is None

    def _keep_up(self) -> None:
        while not self._stopping.is_set():
            if not self._wanted.wait(0.2):
                continue
            self._wanted.clear()
            time.sleep(self._chance.random())
            self._start_gateway()
            self._start()

    def _start_gateway(self) -> None:
        for _ in range(_TRIES):
            if self._gateway_lives():
                return
            before = self.kills[GATEWAY]
            try:
                self._gateway.start()
            except AssertionError:
                if self.kills[GATEWAY] == before:
                    raise
        self._wanted.set()

    def _start(self) -> None:
        """`firstread up`, again where a component was killed while it started."""
        for _ in range(_TRIES):
            before = sum(self.kills.values())
            self.starts += 1
            done = self._run.up(check=False)
            if done.returncode == 0:
                return
            if sum(self.kills.values()) == before:
                raise AssertionError(
                    f"`firstread up` ended with {done.returncode}: {done.stdout}{done.stderr}"
                )
        self._wanted.set()
