"""The vault in a file: durable, for several processes and threads, and closed to what is no vault."""

import multiprocessing
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firstread.deid.vault import IdentityVault, PatientPseudonym, VaultKeyError, open_vault
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore

KEY = b"k" * 32
UIDS = [f"1.2.3.{number}" for number in range(40)]


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: master_key_from_file(file), range(16)))
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_file_of_another_length_is_refused(length: int, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(bytes(length))
    with pytest.raises(VaultKeyError, match="32"):
        master_key_from_file(file)


def test_rows_survive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    with SqliteVaultStore(path) as store:
        made = IdentityVault(store, KEY).uids(UIDS)
    with SqliteVaultStore(path) as store:
        assert IdentityVault(store, KEY).uids(UIDS) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_wrong_key_is_told_at_once_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    with SqliteVaultStore(path) as store:
        IdentityVault(store, KEY).uids(UIDS)
        before = dict(store.rows())
        with pytest.raises(VaultKeyError):
            IdentityVault(store, b"K" * 32)
        assert dict(store.rows()) == before


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to have a header of one" * 20, b"k" * 32, b"x", "sql"]
)
def test_a_file_that_is_no_vault_is_refused_and_left_alone(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "else"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE vault (lookup TEXT PRIMARY KEY, value BLOB NOT NULL)")
        other.close()
    before = path.read_bytes()
    with pytest.raises(VaultKeyError):
        SqliteVaultStore(path)
    assert path.read_bytes() == before


def test_the_first_row_stays_and_is_told(tmp_path: Path) -> None:
    with SqliteVaultStore(tmp_path / "vault.sqlite") as store:
        assert store.add_many({"a": b"1"}) == {"a": b"1"}
        assert store.add_many({"a": b"2", "b": b"3"}) == {"a": b"1", "b": b"3"}
        assert store.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"3"}


def test_more_rows_than_one_query_takes_are_found(tmp_path: Path) -> None:
    with SqliteVaultStore(tmp_path / "vault.sqlite") as store:
        rows = {str(number): b"x" for number in range(1700)}
        assert store.add_many(rows) == rows
        assert store.get_many(rows) == dict(store.rows()) == rows


def test_a_failed_write_leaves_nothing_and_the_store_works_on(tmp_path: Path) -> None:
    with SqliteVaultStore(tmp_path / "vault.sqlite") as store:
        with pytest.raises(sqlite3.Error):
            store.add_many({"a": b"1", "b": None})  # type: ignore[dict-item]
        assert store.get_many(["a", "b"]) == {}
        store.add_many({"a": b"2"})
        assert store.get_many(["a"]) == {"a": b"2"}


def test_threads_that_ask_first_at_once_agree(tmp_path: Path) -> None:
    with SqliteVaultStore(tmp_path / "vault.sqlite") as store, ThreadPoolExecutor(8) as pool:
        vaults = [IdentityVault(store, KEY) for _ in range(8)]
        found = list(pool.map(lambda number: vaults[number % 8].uids(UIDS), range(24)))
    assert all(each == found[0] for each in found)


def _ask(path: Path) -> tuple[dict[str, str], list[PatientPseudonym]]:
    """Open a vault with its key file, as a process of its own does, and ask for everything in small parts."""
    vault = IdentityVault(SqliteVaultStore(path), master_key_from_file(path.with_name("key")))
    patients = [vault.patient("A", str(number), f"1.2.{number % 7}") for number in range(20)]
    return {uid: vault.uids([uid])[uid] for uid in UIDS}, patients


def test_processes_that_start_at_once_on_nothing_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_ask, [tmp_path / "vault.sqlite"] * 8, chunksize=1)
    assert all(each == found[0] for each in found)
    assert len(set(found[0][0].values())) == len(UIDS)


def test_a_link_file_and_its_key_are_made_together_and_belong_together(tmp_path: Path) -> None:
    link, key, other = tmp_path / "link", tmp_path / "key", tmp_path / "other"
    made = open_vault(link, key).uids(UIDS)
    assert open_vault(link, key).uids(UIDS) == made
    with pytest.raises(VaultKeyError):
        open_vault(link, other)
    with pytest.raises(VaultKeyError):
        open_vault(key, other)  # taken for a link file by mistake
    assert open_vault(link, key).uids(UIDS) == made


def test_a_group_is_seen_by_others_at_once_and_written_through_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    with SqliteVaultStore(path) as store, SqliteVaultStore(path) as other:
        with store.group():
            store.add_many({"a": b"1"})
            assert store._pragma("synchronous") == 1
            assert other.get_many(["a"]) == {"a": b"1"}
            log = path.with_name("vault.sqlite-wal").stat().st_size
        assert store._pragma("synchronous") == 2
        assert (
            path.with_name("vault.sqlite-wal").stat().st_size > log
        )  # a commit under FULL, which waits for the disk
        other.add_many({"b": b"2"})
        assert store.add_many({"b": b"3"}) == {"b": b"2"}
