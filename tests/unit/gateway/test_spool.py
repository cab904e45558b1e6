"""The spool under any order of steps and crashes."""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firstread.gateway import spool as spool_module
from firstread.gateway.items import Identifiers, Item, Kind
from firstread.gateway.landing import Landing
from firstread.gateway.spool import Spool, SpoolError


class Crash(BaseException):
    """The process ends here."""


CRASHES = ("after_finish", "after_folder", "before_commit", "after_commit")


class SpoolMachine(RuleBasedStateMachine):
    """Objects come, go, are refused; the process dies in between and starts again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = Spool(self.folder)
        self.number = 0
        self.acknowledged: dict[str, str] = {}
        """Digest of what was answered for and has not left -> SOP UID."""
        self.maybe: set[str] = set()
        self.refused: set[str] = set()
        self.came: dict[str, dict[str, set[str]]] = {}
        self.batch = "a0"

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    def _landing(self, sop_uid: str) -> Landing:
        landing = Landing(self.spool.objects, ".dcm", lambda _size: False)
        landing.write(sop_uid.encode())
        return landing

    def _restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.folder)
        self.number += 1
        self.batch = f"a{self.number}"

    @rule(study=st.sampled_from(["1.1", "1.2"]), repeated=st.booleans())
    def comes(self, study: str, repeated: bool) -> None:
        self.number += 0 if repeated else 1
        sop_uid = f"{study}.{self.number}"
        landing = self._landing(sop_uid)
        self.spool.add(landing, Kind.OBJECT, "ct1", self.batch, Identifiers("1", sop_uid, study))
        self.acknowledged[landing.path.name] = sop_uid
        self.came.setdefault(self.batch, {}).setdefault(study, set()).add(sop_uid)

    @rule(where=st.sampled_from(CRASHES))
    def dies_while_one_comes(self, where: str) -> None:
        self.number += 1
        sop_uid = f"1.3.{self.number}"
        landing = self._landing(sop_uid)
        if where == "after_finish":
            landing.finish()
        elif where == "after_folder":
            landing.finish()
            spool_module._sync_folder(self.spool.objects)
        elif where == "before_commit":
            # The process dies with the transaction open: SQLite forgets it.
            with patch.object(Spool, "_count", side_effect=Crash), pytest.raises(Crash):
                self.spool.add(landing, Kind.OBJECT, "ct1", self.batch, Identifiers("1", sop_uid, "1.3"))
        else:
            with patch.object(Spool, "notify", side_effect=Crash), pytest.raises(Crash):
                self.spool.add(landing, Kind.OBJECT, "ct1", self.batch, Identifiers("1", sop_uid, "1.3"))
            self.maybe.add(landing.path.name)
        self._restart()

    def _next(self) -> Item | None:
        found = self.spool.waiting(Kind.OBJECT, 1)
        return found[0] if found else None

    @precondition(lambda self: self.acknowledged or self.maybe)
    @rule(dies=st.booleans())
    def goes(self, dies: bool) -> None:
        item = self._next()
        assert item is not None
        assert item.path.read_bytes().decode() == item.about.sop_uid
        if dies:  # after the row, before the file
            with patch.object(Path, "unlink", side_effect=Crash), pytest.raises(Crash):
                self.spool.sent([item])
            self._restart()
        else:
            self.spool.sent([item])
        self.acknowledged.pop(item.path.name, None)
        self.maybe.discard(item.path.name)
        assert not item.path.exists()

    @precondition(lambda self: self.acknowledged or self.maybe)
    @rule()
    def fails(self) -> None:
        item = self._next()
        assert item is not None
        self.spool.failed([item])

    @precondition(lambda self: self.acknowledged or self.maybe)
    @rule(dies=st.booleans())
    def is_refused(self, dies: bool) -> None:
        item = self._next()
        assert item is not None
        if dies:
            with patch.object(Path, "rename", side_effect=Crash), pytest.raises(Crash):
                self.spool.refuse(item, "too_large")
            self._restart()
        else:
            self.spool.refuse(item, "too_large")
        self.acknowledged.pop(item.path.name, None)
        self.maybe.discard(item.path.name)
        self.refused.add(item.path.name)

    @rule()
    def association_ends(self) -> None:
        self.spool.end(self.batch, released=True)
        self.number += 1
        self.batch = f"a{self.number}"

    @rule()
    def ends_are_told(self) -> None:
        waiting = {item.batch for item in self.spool.waiting(Kind.OBJECT, 10_000)}
        for batch in self.spool.ended():
            assert batch.batch not in waiting
            assert batch.studies == {study: len(uids) for study, uids in self.came[batch.batch].items()}
            self.spool.forget(batch.batch)
        self.spool.forget_aborted()

    @invariant()
    def what_was_answered_for_is_there(self) -> None:
        waiting = {item.path.name for item in self.spool.waiting(Kind.OBJECT, 10_000)}
        assert waiting == set(self.acknowledged) | self.maybe
        assert waiting <= {path.name for path in self.spool.objects.iterdir()}
        assert {path.name for path in self.spool.refused.iterdir()} == self.refused

    @invariant()
    def its_size_is_that_of_its_rows(self) -> None:
        assert self.spool.size == self.spool._one("SELECT coalesce(sum(size), 0) FROM items")[0]

    @rule()
    def starts_again(self) -> None:
        self._restart()
        # Nothing is left in the folder that nobody was answered for.
        files = {path.name for path in self.spool.objects.iterdir()}
        assert files == set(self.acknowledged) | self.maybe


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = given_settings(max_examples=20, stateful_step_count=25, deadline=None)


def test_two_gateways_do_not_share_a_spool(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(SpoolError, match="another gateway"):
        Spool(tmp_path)


def test_a_foreign_index_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(SpoolError, match="index"):
        Spool(tmp_path)


def test_an_index_that_cannot_be_written_takes_nothing(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        landing = Landing(spool.objects, ".dcm", lambda _size: False)
        landing.write(b"x")
        full = sqlite3.OperationalError("database or disk is full")
        with patch.object(Spool, "_count", side_effect=full), pytest.raises(OSError, match="index"):
            spool.add(landing, Kind.OBJECT, "ct1", "b", Identifiers("1", "2", "3"))
        assert not list(spool.objects.iterdir())
        assert not spool.waiting(Kind.OBJECT, 1)


def test_what_failed_lets_others_go_first_and_urgent_goes_before(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for number, urgent in enumerate([False, False, True]):
            landing = Landing(spool.objects, ".dcm", lambda _size: False)
            landing.write(b"x")
            about = Identifiers("1", str(number), "s", urgent)
            spool.add(landing, Kind.OBJECT, "ct1", "b", about)
        first = spool.waiting(Kind.OBJECT, 3)
        assert [item.about.sop_uid for item in first] == ["2", "0", "1"]
        spool.failed(first[:1])
        assert [item.about.sop_uid for item in spool.waiting(Kind.OBJECT, 3)] == ["0", "1", "2"]


def test_a_refused_file_that_somebody_removed_is_forgotten(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        landing = Landing(spool.objects, ".dcm", lambda _size: False)
        landing.write(b"x")
        spool.add(landing, Kind.OBJECT, "ct1", "b", Identifiers("1", "2", "3"))
        spool.refuse(spool.waiting(Kind.OBJECT, 1)[0], "too_large")
        (path,) = spool.refused.iterdir()
        assert spool.size == 1
        path.unlink()
    with Spool(tmp_path) as spool:
        assert spool.size == 0
