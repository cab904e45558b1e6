"""Child processes that outlive the command that started them."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from firstread.local.home import Home, LocalError

_STOP_SECONDS = 30.0
# Children of this very process: they must be reaped here, and outlive it otherwise.
_children: dict[str, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True)
class Component:
    """One process of a local run.

    Parameters
    ----------
    name
        Names its process and log file.
    command
        Program and arguments.
    environment
        The whole environment.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


def start(home: Home, component: Component) -> None:
    """Start a component unless it runs already; its output goes to its log."""
    if running(home, component.name):
        return
    log = home.logs / f"{component.name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own programs
            list(component.command),
            env=dict(component.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C in the terminal is for the command, which then stops its components in order.
            start_new_session=True,
        )
    _children[_key(home, component.name)] = child
    # The creation time tells this process from a later one that got the same number.
    created = psutil.Process(child.pid).create_time()
    home.write(f"run/{component.name}.json", {"pid": child.pid, "created": created})


def _key(home: Home, name: str) -> str:
    return f"{home.path}:{name}"


def _reap(home: Home, name: str) -> None:
    child = _children.get(_key(home, name))
    if child is not None and child.poll() is not None:
        del _children[_key(home, name)]


def running(home: Home, name: str) -> psutil.Process | None:
    """Return a component's process while it is alive."""
    _reap(home, name)
    known = home.read(f"run/{name}.json")
    if not known:
        return None
    try:
        process = psutil.Process(int(known["pid"]))
        alive = (
            abs(process.create_time() - float(known["created"])) < 1.0
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def started(home: Home, name: str) -> bool:
    """Return whether the component was started and not stopped by us since."""
    return bool(home.read(f"run/{name}.json"))


def stop(home: Home, name: str, seconds: float = _STOP_SECONDS) -> bool:
    """Stop a component with SIGTERM and wait for it.

    Returns
    -------
    bool
        True where it ended by itself within the time (or did not run); False where it had to be killed.
    """
    process = running(home, name)
    clean = True
    if process is not None:
        process.terminate()
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
            clean = False
    _reap(home, name)
    (home.processes / f"{name}.json").unlink(missing_ok=True)
    return clean


def wait_until_alive(home: Home, name: str, ready: Callable[[], bool], seconds: float) -> None:
    """Wait until ``ready()`` is true.

    Raises
    ------
    LocalError
        If the process ends first or the time is over; names the log.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        if running(home, name) is None:
            raise LocalError(f"{name} ended while starting; see {home.logs / f'{name}.log'}")
        time.sleep(0.05)
    raise LocalError(f"{name} did not become ready in {seconds:.0f} s; see {home.logs / f'{name}.log'}")
