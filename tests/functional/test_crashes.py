"""A step that dies behind any of its writes, and is asked again, leaves what an undisturbed one leaves."""

import hashlib
import itertools
import pprint
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firstread.deid.burned_in import TextBox
from firstread.deid.vault import identity
from firstread.deid.vault.rows import Name, Payload
from firstread.intake import wiring
from firstread.records.vault_store import DynamoVaultStore
from firstread.refs import References
from functions.alert import logic as alert_logic
from ingest_service import door
from tests.conftest import forget
from tests.support.cloud import account
from tests.support.dicoms import encode, header
from tests.support.hospital import Delivery, Hospital
from tests.support.wire import CrashError, dying_after_write

STEPS = ("deidentify", "gather", "complete_study", "deliver", "analyse", "alert")
FILES = {
    "good": {},
    "pixels": {"BurnedInAnnotation": "YES"},
    "held": {"BurnedInAnnotation": "YES"},
    "conflict": {"SeriesDescription": "another text"},
    "correction": {"PatientName": "Quimby^Theo", "PatientID": "corrected"},
}


class Run:
    """One run of the way in an account of its own, in which one step may die."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, kind: str) -> None:
        self._folder, self._kind = folder, kind
        self._patch = monkeypatch
        numbers = itertools.count()

        def without_chance(kind: str, original: str) -> dict[Name, Payload]:
            made = hashlib.sha256(original.encode()).hexdigest()
            known = {"uid": f"2.25.{int(made[:30], 16)}", "code": f"P{made[:10]}", "shift_days": -1000}
            return {**identity.way_back(kind, original, known), Name(kind, original): known}

        # Nothing random, so that two runs can be compared to the letter.
        monkeypatch.setattr(identity, "new_surrogate", without_chance)
        monkeypatch.setattr("secrets.token_hex", lambda length=32: "ab" * length)
        monkeypatch.setattr(DynamoVaultStore, "master_key", lambda _store, _key_id: b"k" * 32)
        monkeypatch.setattr(wiring, "open_references", lambda _settings: References(b"k" * 32))
        monkeypatch.setattr(door, "incoming_key", lambda _lane: f"in/routine/{next(numbers) % 2:032x}")
        monkeypatch.setattr(alert_logic, "uuid", SimpleNamespace(uuid4=lambda: uuid.UUID(int=1)))

    def state(self, step: str, number: int) -> tuple[dict[str, Any], bool]:
        """Run the way; `step` dies once behind its n-th write. Return what is left, and whether it died."""
        with account() as cloud:
            for name, value in cloud.environment().items():
                self._patch.setenv(name, value)
            _forget()
            hospital = Hospital(cloud, self._patch)
            hospital.detector.where = [TextBox(0, 0, 2, 2)]
            hospital.detector.stubborn = self._kind == "held"
            paths = [self._file("good")] + ([self._file(self._kind)] if self._kind != "good" else [])
            for path in paths:
                hospital.push(path)
                died = self._pump(hospital, step if path is paths[-1] else "none", number)
            left = hospital.state()
            left["messages"] = _said(hospital)
            return left, died

    def _file(self, kind: str) -> Path:
        path = self._folder / f"{kind}.dcm"
        path.write_bytes(encode(header(**FILES[kind])))
        return path

    @staticmethod
    def _pump(hospital: Hospital, step: str, number: int) -> bool:
        deliver = hospital.deliver
        state = {"died": False}

        def once(delivery: Delivery) -> object:
            if delivery.step == step and not state["died"]:
                try:
                    with dying_after_write(hospital.cloud.wire, number):
                        deliver(delivery)
                except CrashError:
                    state["died"] = True
                    _forget()  # a new execution environment gets the event again
                    return deliver(delivery)
                return None
            return deliver(delivery)

        hospital.deliver = once  # type: ignore[method-assign, assignment]
        try:
            hospital.pump()
        finally:
            hospital.deliver = deliver  # type: ignore[method-assign]
        return state["died"]


def _forget() -> None:
    forget()


def _said(hospital: Hospital) -> set[tuple[str, str]]:
    """Return what was sent, each message once: messages may repeat."""
    wire = hospital.cloud.wire
    requests = {("SendMessage", each["MessageBody"]) for each in wire.sent("SendMessage")}
    results = {("PutEvents", entry["Detail"]) for each in wire.sent("PutEvents") for entry in each["Entries"]}
    return requests | results | {("Publish", each["Message"]) for each in wire.sent("Publish")}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    yield lambda kind: Run(monkeypatch, tmp_path, kind)


def comparable(state: dict[str, Any]) -> str:
    """Return a state without times and version ids, which another try may change."""
    text = pprint.pformat(state, width=110)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return re.sub(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "VERSION", text)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        *((step, "good") for step in STEPS),
        *((step, kind) for step in ("deidentify", "clean_pixels") for kind in ("pixels", "held")),
        ("deidentify", "conflict"),
        ("deidentify", "correction"),
        ("gather", "correction"),
    ],
)
def test_dying_behind_any_write_changes_nothing(run: Callable[[str], Run], step: str, kind: str) -> None:
    undisturbed, _ = run(kind).state("none", 1)
    assert len(undisturbed["results"]) == len(undisturbed["alerts"]) == 1
    number, died = 1, True
    while True:
        disturbed, died = run(kind).state(step, number)
        if not died:
            break
        assert comparable(disturbed) == comparable(undisturbed), f"{step} died behind write {number}"
        number += 1
    assert number > 1, "the step makes no writes"
