"""A new key changes no surrogate, and no process under the old one makes a second."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstread.deid.vault import IdentityVault, VaultDamagedError, VaultKeyError
from firstread.deid.vault.aliases import Aliases, PatientKey
from firstread.deid.vault.keys import generation_of
from firstread.deid.vault.rotation import reseal, rotate_file
from firstread.deid.vault.rows import Rows
from firstread.deid.vault.sqlite import SqliteVaultStore
from tests.support.vaults import MemoryStore, world

OLD, NEW = b"o" * 32, b"n" * 32
UIDS = [f"1.2.3.{number}" for number in range(40)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "vault.sqlite"
    with SqliteVaultStore(path) as store:
        Aliases(Rows(store, OLD)).merge(PatientKey("A", "1"), PatientKey("A", "2"), "kim")
        world(IdentityVault(store, OLD), UIDS)
        world(IdentityVault(store, OLD, "other tenant"), UIDS)
    return path


def test_every_surrogate_stays_and_the_old_key_opens_nothing(path: Path) -> None:
    with SqliteVaultStore(path) as store:
        before = [world(IdentityVault(store, OLD, tenant), UIDS) for tenant in ("default", "other tenant")]
        rows = dict(store.rows())
        assert rotate_file(store, OLD, NEW) == len(rows) - 1
        assert [
            world(IdentityVault(store, NEW, tenant), UIDS) for tenant in ("default", "other tenant")
        ] == before
        assert dict(store.rows()).keys() & rows.keys() == {"#check"}
        with pytest.raises(VaultKeyError):
            IdentityVault(store, OLD)
    content = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert not any(value in content for value in rows.values())


def test_a_second_rotation_to_the_same_key_does_nothing(path: Path) -> None:
    with SqliteVaultStore(path) as store:
        assert rotate_file(store, OLD, NEW)
        before = dict(store.rows())
        assert rotate_file(store, OLD, NEW) == 0
        assert dict(store.rows()) == before


@pytest.mark.parametrize(("old", "new"), [(OLD, OLD), (b"x" * 32, NEW)])
def test_the_same_key_or_a_wrong_one_is_refused(path: Path, old: bytes, new: bytes) -> None:
    with SqliteVaultStore(path) as store:
        before = dict(store.rows())
        with pytest.raises(VaultKeyError):
            rotate_file(store, old, new)
        assert dict(store.rows()) == before


def test_a_process_that_has_the_file_open_is_shut_out_of_writing(path: Path) -> None:
    with SqliteVaultStore(path) as stale, SqliteVaultStore(path) as store:
        vault = IdentityVault(stale, OLD)
        known = vault.uids(UIDS)
        rotate_file(store, OLD, NEW)
        assert vault.uids(UIDS) == known  # remembered
        with pytest.raises(VaultKeyError):
            vault.uids(["1.2.4"])
        with pytest.raises(VaultKeyError):
            IdentityVault(stale, NEW).uids(["1.2.4"])  # also with the right key: open it anew
        count = len(dict(store.rows()))
        assert IdentityVault(store, NEW).uids(UIDS) == known
        assert len(dict(store.rows())) == count


def test_a_damaged_row_stops_a_rotation_before_anything_changed(path: Path) -> None:
    with SqliteVaultStore(path) as store:
        lookup = next(lookup for lookup, _ in store.rows() if lookup != "#check")
        store._connection.execute("UPDATE vault SET value = x'0102' WHERE lookup = ?", (lookup,))
        before = dict(store.rows())
        with pytest.raises(VaultDamagedError):
            rotate_file(store, OLD, NEW)
        assert dict(store.rows()) == before


def _die_while_rotating(path: Path, after: int) -> None:
    store = SqliteVaultStore(path)
    rewrite = store.rewrite

    def dying(change: object) -> int:
        def some(rows: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
            for number, row in enumerate(change(rows)):  # type: ignore[operator]
                if number == after:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield row

        return rewrite(some)

    store.rewrite = dying  # type: ignore[method-assign]
    rotate_file(store, OLD, NEW)


@pytest.mark.parametrize("after", [0, 50])
def test_a_kill_in_the_middle_leaves_the_old_key(path: Path, after: int) -> None:
    with SqliteVaultStore(path) as store:
        before = dict(store.rows())
    process = multiprocessing.get_context("spawn").Process(target=_die_while_rotating, args=(path, after))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with SqliteVaultStore(path) as store:
        assert dict(store.rows()) == before
        assert rotate_file(store, OLD, NEW)


class Ring:
    """Keys of all generations, as a table with KMS gives them."""

    def __init__(self) -> None:
        self.keys = OLD

    def __call__(self) -> bytes:
        return self.keys


def test_generations_every_process_gives_the_same_surrogates_at_every_step() -> None:
    store, ring = MemoryStore(), Ring()
    early = IdentityVault(store, ring, remembered=2)
    before = world(early, UIDS)
    ring.keys += NEW
    late = IdentityVault(store, ring, remembered=2)  # knows both
    assert world(late, UIDS) == world(early, UIDS) == before
    # An original that is new during the change, first by the one, then by the other.
    assert early.uids(["1.9.1"]) == late.uids(["1.9.1"])
    assert late.uids(["1.9.2"]) == early.uids(["1.9.2"])  # early meets a newer row, and asks for newer keys
    assert generation_of(store.kept["#check"]) == 1
    early_again = IdentityVault(store, lambda: OLD)
    straggler = early_again.uids(["1.9.3"])  # a process that still writes under the old generation
    count = reseal(Rows(store, ring()), store)
    assert count and {generation_of(value) for value in store.kept.values()} == {2}
    assert reseal(Rows(store, ring()), store) == 0
    assert world(late, UIDS) == world(early, UIDS) == world(IdentityVault(store, ring), UIDS) == before
    assert IdentityVault(store, ring).uids(["1.9.3"]) == straggler
    with pytest.raises(VaultKeyError):
        IdentityVault(store, OLD)  # the first generation alone opens nothing any more


def test_a_straggler_behind_a_reseal_is_sealed_by_the_next_one() -> None:
    store, ring = MemoryStore(), Ring()
    stale = IdentityVault(store, ring)
    ring.keys += NEW
    reseal(Rows(store, ring()), store)
    uid = stale.uids(["1.9.4"])
    assert reseal(Rows(store, ring()), store) == 2  # the row and its way back
    assert IdentityVault(store, ring).uids(["1.9.4"]) == uid


def test_a_reseal_that_was_stopped_goes_on() -> None:
    store, ring = MemoryStore(), Ring()
    before = world(IdentityVault(store, ring), UIDS)
    ring.keys += NEW
    total = len(store.kept)

    class Stopping(MemoryStore):
        def replace(self, lookup: str, old: bytes, new: bytes) -> bool:
            if len([value for value in self.kept.values() if generation_of(value) == 2]) == 10:
                raise KeyboardInterrupt
            return super().replace(lookup, old, new)

    stopping = Stopping()
    stopping.kept = store.kept
    with pytest.raises(KeyboardInterrupt):
        reseal(Rows(stopping, ring()), stopping)
    assert world(IdentityVault(store, ring), UIDS) == before
    assert reseal(Rows(store, ring()), store) == total - 10
