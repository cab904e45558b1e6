"""The stream of changes, over a portal that listens: what it says, when it ends, that nothing is left behind."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from firstread.policy import Role
from firstread.records.studies import StudyRepository
from portal.app import create_app
from portal.logic.live import Live
from portal.services import Services
from tests.functional.portal.conftest import Clock
from tests.functional.portal.seeding import Hospital, open_session, settings


@pytest.fixture
def portal(hospital: Hospital, tmp_path: Path, clock: Clock) -> FastAPI:
    assert hospital.moment == clock()
    app = create_app(settings(tmp_path), clock)
    services: Services = app.state.services
    services.live._poll_seconds, services.live._check_seconds = 0.05, 0.2
    return app


@pytest.fixture
def url(portal: FastAPI) -> Iterator[str]:
    config = uvicorn.Config(
        portal, host="127.0.0.1", port=0, proxy_headers=False, log_level="warning", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(120)
    assert not thread.is_alive()


@contextmanager
def reader(portal: FastAPI, url: str, role: Role = Role.RADIOLOGIST) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=120) as client:
        client.cookies.set(*open_session(portal, role))
        yield client


def events(client: httpx.Client) -> Iterator[tuple[str, dict[str, object]]]:
    with client.stream("GET", "/api/worklist/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data:"):
                data = line.removeprefix("data:").strip()
                yield kind, json.loads(data) if data else {}


def live_of(portal: FastAPI) -> Live:
    services: Services = portal.state.services
    return services.live


def wait_until(true: object, seconds: float = 120) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_stream_tells_the_page_and_then_what_changes(
    url: str, portal: FastAPI, hospital: Hospital, morning: dict[str, str]
) -> None:
    with reader(portal, url) as client:
        page = client.get("/api/worklist").json()["rows"]
        stream = events(client)
        kind, first = next(stream)
        assert (kind, first["whole"]) == ("change", True)
        marks = [(mark["study_uid"], mark["fingerprint"]) for mark in first["rows"]]  # type: ignore[attr-defined]
        assert marks == [(row["study_uid"], row["fingerprint"]) for row in page]
        hospital.analysed(morning["analysing"], 0.97)
        seen: dict[str, bool] = {}
        while not seen.get(morning["analysing"]):
            _, change = next(stream)
            assert not change["whole"]
            seen |= {mark["study_uid"]: mark["urgent"] for mark in change["rows"]}  # type: ignore[attr-defined]
        assert set(seen) == {morning["analysing"]}
        hospital.change(morning["unflagged"], signed_version=1, signed_at=hospital.minutes_ago(0))
        _, change = next(stream)
        assert (change["rows"], change["gone"]) == ([], [morning["unflagged"]])
        stream.close()  # type: ignore[attr-defined]
    wait_until(lambda: not live_of(portal).is_running)
    assert live_of(portal)._watches == {}


def test_many_readers_are_one_poll(
    url: str, portal: FastAPI, morning: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    polls: list[Role] = []
    real = live_of(portal)._read

    def read(role: Role) -> object:
        polls.append(role)
        time.sleep(0.05)
        return real(role)

    monkeypatch.setattr(live_of(portal), "_read", read)
    with reader(portal, url) as one, reader(portal, url) as two, reader(portal, url, Role.STUDENT) as student:
        streams = [events(client) for client in (one, two, student)]
        firsts = [next(stream)[1]["rows"] for stream in streams]
        assert firsts[0] == firsts[1]
        assert [mark["study_uid"] for mark in firsts[2]] == [morning["simulated"]]  # type: ignore[attr-defined]
        polls.clear()
        wait_until(lambda: polls.count(Role.RADIOLOGIST) >= 8)
        # The two radiologists cost no more than the one student.
        assert abs(polls.count(Role.RADIOLOGIST) - polls.count(Role.STUDENT)) <= 1
        for stream in streams:
            stream.close()  # type: ignore[attr-defined]


def test_a_stream_ends_with_its_session_and_does_not_keep_it(
    url: str, portal: FastAPI, clock: Clock, morning: dict[str, str]
) -> None:
    assert morning
    with reader(portal, url) as client:
        stream = events(client)
        next(stream)
        for _ in range(3):
            clock.forward(minutes=4)
            time.sleep(0.5)
        clock.forward(minutes=4)
        said = [kind for kind, _ in stream]
        assert said[-1] == "end"
        assert client.get("/api/worklist").status_code == 401
    wait_until(lambda: not live_of(portal).is_running)


def test_a_stream_ends_with_signing_out(portal: FastAPI, url: str, morning: dict[str, str]) -> None:
    assert morning
    with reader(portal, url) as client:
        stream = events(client)
        next(stream)
        cookies = dict(client.cookies)
        headers = {"Sec-Fetch-Site": "same-origin"}
        with httpx.Client(base_url=url, headers=headers, cookies=cookies, timeout=120) as other:
            other.post("/sign-out")
        assert [kind for kind, _ in stream] == ["end"]


def test_trouble_is_said_once_and_its_end_is_the_whole_page(
    portal: FastAPI,
    url: str,
    morning: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = StudyRepository.waiting

    failed: list[object] = []

    def fail(*_: object, **__: object) -> None:
        failed.append(_)
        raise RuntimeError("Doe^John")

    with reader(portal, url) as client, caplog.at_level(logging.WARNING):
        stream = events(client)
        next(stream)
        monkeypatch.setattr(StudyRepository, "waiting", fail)
        assert next(stream) == ("trouble", {})
        wait_until(lambda: len(failed) > 3)
        monkeypatch.setattr(StudyRepository, "waiting", real)
        kind, whole = next(stream)
        assert (kind, whole["whole"], len(whole["rows"])) == ("change", True, len(morning))  # type: ignore[arg-type]
        stream.close()  # type: ignore[attr-defined]
    assert "RuntimeError" in caplog.text and "Doe" not in caplog.text


def test_who_may_not_see_the_list_is_not_told_of_it(
    portal: FastAPI, url: str, morning: dict[str, str]
) -> None:
    assert morning
    with reader(portal, url, Role.REFERRING_CLINICIAN) as client:
        assert client.get("/api/worklist/events").status_code == 403
    assert httpx.get(f"{url}/api/worklist/events", timeout=120).status_code == 401
