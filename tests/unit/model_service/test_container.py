"""What a container needs beside its work: a heartbeat, protection from scale-in, a list of what is in it."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from model_service import __main__ as program
from model_service.heartbeat import LONGEST_SECONDS, Heartbeat, HeartbeatError, default_path
from model_service.manifest import BundleManifest
from model_service.protection import Protection
from model_service.sbom import document, write


class Clock:
    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


def test_a_worker_that_moves_is_healthy_and_one_that_hangs_is_not(tmp_path: Path) -> None:
    clock = Clock()
    heartbeat = Heartbeat(tmp_path / "beat", clock)
    with pytest.raises(HeartbeatError, match="not started"):
        heartbeat.check()
    heartbeat.beat()
    clock.now += 100
    assert Heartbeat(tmp_path / "beat", clock).check() == 100
    heartbeat.beat()
    assert heartbeat.check() == 0
    clock.now += LONGEST_SECONDS + 1
    with pytest.raises(HeartbeatError, match="not moved"):
        heartbeat.check()


def test_the_file_is_touched_once_a_second_at_most(tmp_path: Path) -> None:
    clock = Clock()
    heartbeat = Heartbeat(tmp_path / "beat", clock)
    heartbeat.beat()
    (tmp_path / "beat").unlink()
    clock.now += 0.5
    heartbeat.beat()
    assert not (tmp_path / "beat").exists()
    clock.now += 0.6
    heartbeat.beat()
    assert (tmp_path / "beat").stat().st_mode & 0o777 == 0o600


def test_no_analysis_that_is_allowed_looks_like_a_hang() -> None:
    (longest,) = [
        each.le for each in BundleManifest.model_fields["timeout_seconds"].metadata if hasattr(each, "le")
    ]
    assert longest < LONGEST_SECONDS


def test_the_command_tells_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("sys.argv", ["model_service", "health"])
    assert program.main() == 1
    assert "has not started" in capsys.readouterr().err
    Heartbeat().beat()
    assert program.main() == 0
    os.utime(default_path(), (0, 0))
    assert program.main() == 1


class Agent(ThreadingHTTPServer):
    """The ECS agent: remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), AgentHandler)
        self.asked: list[dict[str, Any]] = []
        self.answer: tuple[int, bytes] = (200, b'{"protection": {"ProtectionEnabled": true}}')

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/a1"


class AgentHandler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        assert isinstance(self.server, Agent)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert (self.path, self.headers["Content-Type"]) == (
            "/api/a1/task-protection/v1/state",
            "application/json",
        )
        self.server.asked.append(json.loads(body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


ON, OFF = {"ProtectionEnabled": True, "ExpiresInMinutes": 120}, {"ProtectionEnabled": False}


def test_a_task_is_protected_while_a_message_is_in_hand(agent: Agent) -> None:
    clock = Clock()
    protection = Protection(agent.uri, clock)
    for busy in (False, False, True, True, True, False, False, True):
        protection.hold(busy=busy)
        clock.now += 1
    assert agent.asked == [ON, OFF, ON]


def test_a_long_analysis_stays_protected(agent: Agent) -> None:
    clock = Clock()
    protection = Protection(agent.uri, clock)
    for _ in range(5):
        protection.hold(busy=True)
        clock.now += 59 * 60
    assert agent.asked == [ON, ON, ON]


@pytest.mark.parametrize(
    "answer",
    [(500, b"{}"), (200, b'{"failure": {"Reason": "TASK_NOT_VALID"}}'), (200, b"<html>"), (200, b"[]")],
)
def test_an_agent_that_refuses_is_asked_again_later(agent: Agent, answer: tuple[int, bytes]) -> None:
    clock = Clock()
    protection = Protection(agent.uri, clock)
    right, agent.answer = agent.answer, answer
    for _ in range(3):
        protection.hold(busy=True)
        clock.now += 1
    assert agent.asked == [ON]
    agent.answer = right
    clock.now += 60
    protection.hold(busy=True)
    protection.hold(busy=False)
    assert agent.asked == [ON, ON, OFF]


def test_an_agent_that_is_not_there_stops_nobody(agent: Agent) -> None:
    uri = agent.uri
    agent.server_close()
    Protection(uri).hold(busy=True)


def test_outside_ecs_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, agent: Agent) -> None:
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)
    Protection.of_environment().hold(busy=True)
    monkeypatch.setenv("ECS_AGENT_URI", agent.uri)
    Protection.of_environment().hold(busy=True)
    assert agent.asked == [ON]


def test_the_bill_of_materials_lists_what_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "sbom.cdx.json"
    write(path)
    found = json.loads(path.read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    listed = {each["name"]: each for each in found["components"]}
    numpy = listed["numpy"]
    assert numpy["purl"] == numpy["bom-ref"] == f"pkg:pypi/numpy@{numpy['version']}"
    assert set(listed) == {each.name for each in distributions()}
    refs = [each["bom-ref"] for each in found["components"]]
    assert len(refs) == len(set(refs))
    licences = [licence for each in found["components"] for licence in each.get("licenses", [])]
    assert all(set(each) in ({"expression"}, {"license"}) for each in licences) and licences


def test_the_bill_of_materials_depends_on_the_packages_only() -> None:
    installed = list(distributions())
    one, other = document(installed), document(reversed(installed))
    assert one == other
    assert document(installed[1:])["serialNumber"] != one["serialNumber"]


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["model_service", "sbom", str(tmp_path / "a.json")])
    assert program.main() == 0
    assert json.loads((tmp_path / "a.json").read_text())["components"]
