import sys
from pathlib import Path

import pytest

from firstread.local import processes
from firstread.local.home import Home, LocalError, process_environment
from firstread.local.processes import Component
from firstread.local.status import Status, component_states

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.prepare()
    return made


def component(code: str, name: str = "worker") -> Component:
    return Component(name, [sys.executable, "-c", code], process_environment({}))


def wait_ready(home: Home, name: str = "worker") -> None:
    log = home.logs / f"{name}.log"
    processes.wait_until_alive(home, name, lambda: b"ready" in log.read_bytes(), 20)


def test_a_started_component_runs_until_it_is_stopped(home: Home) -> None:
    processes.start(home, component(SLEEP))
    wait_ready(home)
    assert component_states(home)["worker"] == "running"
    assert processes.stop(home, "worker")
    assert component_states(home)["worker"] == "stopped"


def test_starting_twice_starts_once(home: Home) -> None:
    processes.start(home, component(SLEEP))
    first = home.read("run/worker.json")
    processes.start(home, component(SLEEP))
    assert home.read("run/worker.json") == first
    processes.stop(home, "worker")


def test_a_component_that_ended_by_itself_is_dead(home: Home) -> None:
    processes.start(home, component("pass"))
    process = processes.running(home, "worker")
    if process is not None:
        process.wait(120)
    assert component_states(home)["worker"] == "dead"


def test_a_component_that_ends_while_starting_is_named_with_its_log(home: Home) -> None:
    processes.start(home, component("raise SystemExit(3)"))
    with pytest.raises(LocalError, match=r"worker ended while starting; see .*worker\.log"):
        processes.wait_until_alive(home, "worker", lambda: False, 20)


def test_a_component_that_never_answers_is_said_so(home: Home) -> None:
    processes.start(home, component(SLEEP))
    with pytest.raises(LocalError, match="did not become ready"):
        processes.wait_until_alive(home, "worker", lambda: False, 0.2)
    processes.stop(home, "worker")


def test_a_deaf_component_is_killed_and_that_is_reported(home: Home) -> None:
    processes.start(home, component(DEAF))
    wait_ready(home)
    assert not processes.stop(home, "worker", seconds=0.3)
    assert processes.running(home, "worker") is None


def test_another_process_with_the_same_number_is_not_ours(home: Home) -> None:
    home.write("run/worker.json", {"pid": 1, "created": 0.0})
    assert processes.running(home, "worker") is None


def test_problems_name_what_is_dead_stuck_and_lost() -> None:
    status = Status(
        {"engine": "running", "worker": "dead"}, dead_letters={"ingest": 2}, engine_lost_state=True
    )
    worker, letters, lost = status.problems
    assert worker.startswith("worker is dead")
    assert "2 message(s) in the dead-letter queue of ingest" in letters
    assert "reviews and audit" in lost
    assert Status({"engine": "running"}, dead_letters={"ingest": 0}).problems == []
