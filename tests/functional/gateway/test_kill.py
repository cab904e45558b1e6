"""Whatever was acknowledged arrives, however often the gateway is killed."""

import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.gateways import HttpService, associated, instance, until

CONFIG = """
[dimse]
ae_title = "FIRSTREAD"
host = "127.0.0.1"
port = 0
[[sources]]
name = "ct1"
ae_titles = ["CT1"]
peers = ["127.0.0.1"]
[hl7]
host = "127.0.0.1"
port = 0
peers = ["127.0.0.1"]
[spool]
path = "{spool}"
free_bytes = 0
free_percent = 0
[forward]
url = "http://127.0.0.1:1"
token_file = "token"
longest_pause = 0.2
"""


class Process:
    """A gateway in a process of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        (folder / "gateway.toml").write_text(CONFIG.format(spool=folder / "spool"))
        self._ports = folder / "ports"
        self._ports.unlink(missing_ok=True)
        arguments = (str(folder / "gateway.toml"), url, str(self._ports))
        code = f"from tests.support.gateways import serve; serve(*{arguments!r})"
        self._process = subprocess.Popen([sys.executable, "-c", code])
        until(self._ports.exists, 30)
        self.port, self.feed = map(int, self._ports.read_text().split())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def send_until_killed(process: Process, numbers: list[int], study: str) -> set[str]:
    """Send instances; return those that were acknowledged."""
    acknowledged = set()
    try:
        with associated(process.port) as association:
            for number in numbers:
                dataset = instance(number, study)
                if not association.is_established:
                    break
                answer = association.send_c_store(dataset)
                if "Status" in answer and answer.Status == 0:
                    acknowledged.add(str(dataset.SOPInstanceUID))
    except RuntimeError:
        pass  # the association went away between the question and the answer
    return acknowledged


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kill_at_any_moment_loses_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    acknowledged: set[str] = set()
    with HttpService() as service:
        for round_ in range(4):
            process = Process(tmp_path, service.url)

            killer = threading.Timer(chance.uniform(0.05, 1.2), process.kill)
            killer.start()
            acknowledged |= send_until_killed(process, list(range(400)), f"1.2.{seed}.{round_}")
            killer.join()
        assert acknowledged
        process = Process(tmp_path, service.url)
        try:
            last = f"1.2.{seed}.99"
            acknowledged |= send_until_killed(process, [1, 2], last)
            until(lambda: not list((tmp_path / "spool/objects").iterdir()), 60)
            until(lambda: any(last in studies for _, studies in service.fake.ends))
        finally:
            process.kill()
    assert acknowledged <= service.fake.sop_uids
    assert not list((tmp_path / "spool/refused").iterdir())
    # An end that was told says what arrived, and is never told of an association that a kill has cut.
    for _, studies in service.fake.ends:
        for study, count in studies.items():
            arrived = {uid for uid in service.fake.sop_uids if uid.startswith(f"{study}.9.")}
            assert len(arrived) == count


@pytest.mark.slow
def test_a_message_that_was_acknowledged_survives(tmp_path: Path) -> None:

    with HttpService() as service:
        process = Process(tmp_path, "http://127.0.0.1:9")  # nobody listens there
        messages = [f"MSH|^~\\&|A|B|C|D|2026||ADT^A40|{i}|P|2.5.1\rPID|{i}".encode() for i in range(20)]
        with socket.create_connection(("127.0.0.1", process.feed)) as connection:
            for message in messages:
                connection.sendall(b"\x0b" + message + b"\x1c\r")
                assert b"MSA|AA|" in connection.recv(1000)
        process.kill()
        process = Process(tmp_path, service.url)
        try:
            until(lambda: len(service.fake.messages) == 20)
        finally:
            process.kill()
        assert service.fake.messages == messages
