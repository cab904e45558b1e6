"""The vault gives one surrogate for one original, to everybody who has the key."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstread.deid.vault import IdentityVault, VaultDamagedError, VaultKeyError
from firstread.deid.vault.keys import Keys
from firstread.deid.vault.recent import Recent
from tests.support.vaults import MemoryStore, memory_vault

KEY = b"k" * 32
UIDS = [f"1.2.3.{number}" for number in range(40)]


class CountingStore(MemoryStore):
    """A memory store that counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.writes = 0

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        self.reads += 1
        return super().get_many(lookups)

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        self.writes += 1
        return super().add_many(rows)


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


@pytest.mark.parametrize("other", ["key", "tenant"])
def test_another_key_or_tenant_is_another_world(other: str) -> None:
    mine = memory_vault()
    theirs = memory_vault(key=b"K" * 32) if other == "key" else IdentityVault(mine._rows.store, KEY, "other")
    assert not set(mine.uids(UIDS).values()) & set(theirs.uids(UIDS).values())
    assert mine.patient("A", "1", "s") != theirs.patient("A", "1", "s")
    assert mine.keyed_digest("d") != theirs.keyed_digest("d")


def test_another_key_makes_no_second_world_in_the_same_store() -> None:
    store = MemoryStore()
    IdentityVault(store, KEY).uids(UIDS)
    before = dict(store.kept)
    with pytest.raises(VaultKeyError):
        IdentityVault(store, b"K" * 32)
    assert store.kept == before


def test_rows_say_nothing_without_the_key() -> None:
    store = MemoryStore()
    vault = IdentityVault(store, KEY)
    pseudonym = vault.patient("Issuer", "MRN-998877", "1.2.3.4")
    uid = vault.uids(["1.2.3.4"])["1.2.3.4"]
    secrets = [
        b"MRN-998877",
        b"Issuer",
        b"1.2.3.4",
        uid.encode(),
        pseudonym.code.encode(),
        b"patient",
        b"default",
    ]
    for key, value in store.kept.items():
        for secret in secrets:
            assert secret not in key.encode() and secret not in value


def test_where_a_row_is_cannot_be_computed_without_the_key() -> None:
    ours, theirs = MemoryStore(), MemoryStore()
    IdentityVault(ours, KEY).uids(UIDS)
    IdentityVault(theirs, b"K" * 32).uids(UIDS)
    assert ours.kept.keys() & theirs.kept.keys() == {"#check"}


@pytest.mark.parametrize("change", ["moved", "turned", "cut", "emptied", "of generation 0"])
def test_a_row_that_is_not_what_was_written_is_not_believed(change: str) -> None:
    store = MemoryStore()
    IdentityVault(store, KEY).uids(["1.2.3.4", "1.2.3.5"])
    values = dict(store.kept)
    rows = [lookup for lookup in values if lookup != "#check"]
    for lookup, following in zip(rows, [*rows[1:], rows[0]], strict=True):
        value = values[lookup]
        store.kept[lookup] = {
            "moved": values[following],
            "turned": value[:-1] + bytes([value[-1] ^ 1]),
            "cut": value[:9],
            "emptied": b"",
            "of generation 0": b"\0" + value[1:],
        }[change]
    with pytest.raises(VaultDamagedError) as caught:
        IdentityVault(store, KEY).uids(["1.2.3.4"])
    assert caught.value.__cause__ is None and "1.2.3" not in str(caught.value)


@settings(max_examples=40)
@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_two_patients_are_two_pseudonyms_however_their_numbers_are_cut(
    a: str, b: str, c: str, d: str
) -> None:
    vault = memory_vault()
    one, other = vault.patient(a, b + "x", "s"), vault.patient(c, d + "x", "s")
    assert (one.code == other.code) == ((a, b) == (c, d))


def test_an_empty_patient_id_links_no_studies() -> None:
    vault = memory_vault()
    codes = {vault.patient(issuer, "", study).code for issuer in ("", "A") for study in ("1.2", "1.3")}
    assert len(codes) == 2


def test_the_shift_is_between_one_and_ten_years_into_the_past() -> None:
    vault = memory_vault()
    shifts = {vault.patient("", str(number), "").shift_days for number in range(200)}
    assert min(shifts) >= -3650 and max(shifts) <= -365 and len(shifts) > 100


@pytest.mark.parametrize("length", [0, 16, 31, 33, 256 * 32])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        Keys(bytes(length))


def test_a_known_series_costs_no_read_and_a_new_instance_one_read_and_one_write() -> None:
    store = CountingStore()
    vault = IdentityVault(store, KEY)
    vault.uids(UIDS)
    vault.patient("A", "1", "1.2.3.0")
    store.reads = store.writes = 0
    vault.uids(UIDS)
    vault.patient("A", "1", "1.2.3.0")
    assert (store.reads, store.writes) == (0, 0)
    vault.uids([*UIDS, "1.2.4"])
    assert (store.reads, store.writes) == (1, 1)
    store.reads = store.writes = 0
    vault.patient("A", "1", "a new study")
    assert (store.reads, store.writes) == (1, 1)
    vault.patient("A", "a new patient", "another study")
    assert (store.reads, store.writes) == (2, 2)
    fresh = IdentityVault(store, KEY)
    store.reads = store.writes = 0
    fresh.patient("A", "1", "a new study")
    assert (store.reads, store.writes) == (1, 0)


def test_what_is_forgotten_is_found_again() -> None:
    vault = IdentityVault(MemoryStore(), KEY, remembered=4)
    first = [vault.uids([uid]) for uid in UIDS]
    patients = [vault.patient("A", str(number), "s") for number in range(40)]
    assert len(vault._uids) <= 4 and len(vault._patients) <= 4
    assert [vault.uids([uid]) for uid in UIDS] == first
    assert [vault.patient("A", str(number), "s") for number in range(40)] == patients


def test_what_is_used_stays_remembered() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("used", 1)
    for number in range(100):
        recent.put(str(number), number)
        assert recent.get("used") == 1
    assert len(recent) <= 10 and recent.get("0") is None


def test_digests_keep_their_key_when_the_master_key_changes() -> None:
    store = MemoryStore()
    vault = IdentityVault(store, KEY)
    digest = vault.keyed_digest("d")
    other = memory_vault(key=b"K" * 32)
    assert other.keyed_digest("d") != digest
    moved = MemoryStore()
    there = vault._rows.under(b"K" * 32)
    moved.add_many(dict(there.sealed(row) for row in vault._rows.walk(store.rows())))
    assert IdentityVault(moved, b"K" * 32).keyed_digest("d") == digest
