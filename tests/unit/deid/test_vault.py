"""The vault gives one surrogate for one original, to everybody who has the key."""

import multiprocessing
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st

from firstread.deid import IdentityVault
from firstread.deid.sqlite_store import SqliteVaultStore, master_key_from_file
from tests.support.vaults import MemoryStore, memory_vault

KEY = b"k" * 32
UIDS = [f"1.2.3.{number}" for number in range(40)]


def test_the_same_original_meets_the_same_surrogate_in_every_instance() -> None:
    store = MemoryStore()
    first, second = IdentityVault(store, KEY), IdentityVault(store, KEY)
    assert first.uids(UIDS) == second.uids(reversed(UIDS))
    assert first.patient("A", "1", "s") == second.patient("A", "1", "other study")
    assert first.keyed_digest("d") == second.keyed_digest("d")


def test_surrogates_are_random_and_all_different() -> None:
    one, other = memory_vault().uids(UIDS), memory_vault().uids(UIDS)
    assert len(set(one.values())) == len(UIDS)
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize(
    "other",
    [lambda store: IdentityVault(store, b"K" * 32), lambda store: IdentityVault(store, KEY, "other tenant")],
    ids=["another key", "another tenant"],
)
def test_another_key_or_tenant_is_another_world(other: object) -> None:
    store = MemoryStore()
    mine, theirs = IdentityVault(store, KEY), other(store)  # type: ignore[operator]
    assert mine.uids(UIDS)["1.2.3.1"] != theirs.uids(UIDS)["1.2.3.1"]
    assert mine.patient("A", "1", "s") != theirs.patient("A", "1", "s")
    assert mine.keyed_digest("d") != theirs.keyed_digest("d")


def test_rows_say_nothing_without_the_key() -> None:
    store = MemoryStore()
    vault = IdentityVault(store, KEY)
    vault.patient("Issuer", "MRN-998877", "1.2.3.4")
    uid = vault.uids(["1.2.3.4"])["1.2.3.4"]
    for key, value in store.rows.items():
        for secret in (b"MRN-998877", b"Issuer", b"1.2.3.4", uid.encode()):
            assert secret not in key.encode() and secret not in value


def test_a_row_moved_under_another_key_is_not_believed() -> None:
    store = MemoryStore()
    vault = IdentityVault(store, KEY)
    vault.uids(["1.2.3.4", "1.2.3.5"])
    first, second = store.rows
    store.rows[first] = store.rows[second]
    with pytest.raises(InvalidTag):
        vault.uids(["1.2.3.4", "1.2.3.5"])


@settings(max_examples=40)
@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_two_patients_are_two_pseudonyms_however_their_numbers_are_cut(
    a: str, b: str, c: str, d: str
) -> None:
    vault = memory_vault()
    one, other = vault.patient(a, b + "x", "s"), vault.patient(c, d + "x", "s")
    assert (one.code == other.code) == ((a, b) == (c, d))


def test_the_shift_is_between_one_and_ten_years_into_the_past() -> None:
    vault = memory_vault()
    shifts = {vault.patient("", str(number), "").shift_days for number in range(200)}
    assert min(shifts) >= -3650 and max(shifts) <= -365 and len(shifts) > 100


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32"):
        IdentityVault(MemoryStore(), bytes(length))
    file = tmp_path / "key"
    file.write_bytes(bytes(length))
    with pytest.raises(ValueError, match="32"):
        master_key_from_file(file)


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: master_key_from_file(file), range(16)))
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_rows_survive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    made = IdentityVault(SqliteVaultStore(path), KEY).uids(UIDS)
    again = IdentityVault(SqliteVaultStore(path), KEY).uids(UIDS)
    assert made == again
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as plain:
        assert plain.execute("SELECT count(*) FROM vault").fetchone() == (len(UIDS),)


def test_the_first_row_stays(tmp_path: Path) -> None:
    store = SqliteVaultStore(tmp_path / "vault.sqlite")
    store.add_many({"a": b"1"})
    store.add_many({"a": b"2", "b": b"3"})
    assert store.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"3"}


def test_more_rows_than_one_query_takes_are_found(tmp_path: Path) -> None:
    store = SqliteVaultStore(tmp_path / "vault.sqlite")
    rows = {str(number): b"x" for number in range(1700)}
    store.add_many(rows)
    assert store.get_many(rows) == rows


def test_a_failed_write_leaves_nothing_and_the_store_works_on(tmp_path: Path) -> None:
    store = SqliteVaultStore(tmp_path / "vault.sqlite")
    with pytest.raises(sqlite3.Error):
        store.add_many({"a": b"1", "b": None})  # type: ignore[dict-item]
    assert store.get_many(["a", "b"]) == {}
    store.add_many({"a": b"2"})
    assert store.get_many(["a"]) == {"a": b"2"}


def test_threads_that_ask_first_at_once_agree(tmp_path: Path) -> None:
    vault = IdentityVault(SqliteVaultStore(tmp_path / "vault.sqlite"), KEY)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: vault.uids(UIDS), range(24)))
    assert all(each == found[0] for each in found)


def _ask(path: Path) -> dict[str, str]:
    return IdentityVault(SqliteVaultStore(path), KEY).uids(UIDS)


def test_processes_that_ask_first_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_ask, [tmp_path / "vault.sqlite"] * 8, chunksize=1)
    assert all(each == found[0] for each in found)
