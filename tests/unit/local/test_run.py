"""`up` after a kill of the engine: what arrived is sent again, however often the start fails in between."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from firstread.local import processes, run
from firstread.local.home import Home, LocalError, Ports


class Machine:
    """A machine on which everything starts, unless `fails` says otherwise."""

    def __init__(self, home: Home, patch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.engine = True
        self.fails: set[str] = set()
        self.reconciled = 0
        for name in (
            "prepare_sources",
            "prepare_identity",
            "_refuse_taken_ports",
            "_register_models",
            "activate",
        ):
            patch.setattr(run, name, lambda *_arguments: None)
        patch.setattr(run, "templates", lambda *_arguments: [])
        patch.setattr(run, "Deployer", lambda: SimpleNamespace(deploy=lambda _found: {}, changed=False))
        patch.setattr(run, "_settings", lambda *_arguments: {"set": "tings"})
        patch.setattr(run, "_start_engine", self.start_engine)
        patch.setattr(run, "_reconcile", self.reconcile)
        patch.setattr(processes, "running", lambda _home, name: self.engine and name == run.ENGINE)
        patch.setattr(processes, "stop", lambda _home, _name: True)
        patch.setattr(processes, "start", lambda _home, _component: None)
        patch.setattr(processes, "wait_until_alive", self.wait)

    def start_engine(self, home: Home, _ports: Ports) -> None:
        self.engine = True
        home.unclean.touch()

    def wait(self, _home: Home, name: str, *_arguments: object) -> None:
        if name in self.fails:
            raise LocalError(f"{name} ended while starting")

    def reconcile(self, _say: run.Say) -> None:
        if "reconcile" in self.fails:
            raise LocalError("the engine went")
        self.reconciled += 1

    def up(self) -> None:
        run.up(self.home, Ports(), lambda _text: None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(Home(tmp_path), monkeypatch)
    found.up()
    return found


def test_nothing_is_reconciled_where_nothing_was_lost(machine: Machine) -> None:
    machine.up()
    assert machine.reconciled == 0


@pytest.mark.parametrize("failing", [run.IDENTITY, run.PORTAL, run.INGEST, "reconcile"])
def test_a_start_that_fails_half_way_after_a_kill_is_made_up_for(machine: Machine, failing: str) -> None:
    machine.engine = False
    machine.fails = {failing}
    with pytest.raises(LocalError):
        machine.up()
    machine.fails = set()
    machine.up()  # the engine runs already
    assert machine.reconciled == 1
    machine.up()
    assert machine.reconciled == 1
