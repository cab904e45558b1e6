"""An export opens with its key only, whole or not at all, and an import overwrites nothing."""

import base64
import json
import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from firstread.deid.vault import IdentityVault, Modules, VaultDamagedError, VaultKeyError
from firstread.deid.vault.aliases import Aliases, PatientKey
from firstread.deid.vault.audit import AuditFile, Guard
from firstread.deid.vault.identity import SURROGATE, UID, way_back
from firstread.deid.vault.reader import VaultReader
from firstread.deid.vault.rows import Rows
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.deid.vault.transfer import export_rows, import_rows
from firstread.policy import Actor, Purpose, Role
from tests.support.vaults import MemoryStore, world
from tests.unit.deid.vault.test_modules import arrived

ONE, OTHER, TRANSFER = b"1" * 32, b"2" * 32, b"t" * 32
UIDS = [f"1.2.3.{number}" for number in range(600)]


@pytest.fixture
def source() -> MemoryStore:
    store = MemoryStore()
    Aliases(Rows(store, ONE)).merge(PatientKey("A", "1"), PatientKey("A", "2"), "kim")
    vault = IdentityVault(store, ONE)
    world(vault, UIDS)
    vault.keep(Modules.of(arrived()), vault.patient("A", "1", "s"), vault.uids(["s"])["s"])
    IdentityVault(store, ONE, "other tenant").uids(["1.2.3"])
    store.kept = dict(sorted(store.kept.items()))  # in no order that means anything, as in a file or a table
    return store


@pytest.fixture
def export(source: MemoryStore, tmp_path: Path) -> Path:
    path = tmp_path / "export"
    assert export_rows(Rows(source, ONE), source, path, TRANSFER) == len(source.kept) - 1
    return path


def test_another_vault_under_another_key_is_the_same_world(
    source: MemoryStore, export: Path, tmp_path: Path
) -> None:
    with SqliteVaultStore(tmp_path / "vault.sqlite") as store:
        told = import_rows(Rows(store, OTHER), export, TRANSFER)
        rows = Rows(source, ONE)
        assert told.added == Counter(
            row.name.kind for row in rows.walk(source.rows()) if row.name.kind != SURROGATE
        )
        assert not told.conflicting and not told.present
        vault = IdentityVault(store, OTHER)
        assert world(vault, UIDS) == world(IdentityVault(source, ONE), UIDS)
        tenants = [IdentityVault(each, key, "other tenant") for each, key in ((store, OTHER), (source, ONE))]
        assert tenants[0].uids(["1.2.3"]) == tenants[1].uids(["1.2.3"])
        assert Aliases(Rows(store, OTHER)).survivor(PatientKey("A", "1")) == PatientKey("A", "2")
        guard = Guard(Actor("ann", Role.RADIOLOGIST), AuditFile(tmp_path / "audit"))
        assert (
            len(VaultReader(Rows(store, OTHER), guard).modules(vault.uids(["s"])["s"], Purpose.RETURN)) == 1
        )


def test_a_second_import_adds_nothing(export: Path) -> None:
    store = MemoryStore()
    first = import_rows(Rows(store, OTHER), export, TRANSFER)
    before = dict(store.kept)
    again = import_rows(Rows(store, OTHER), export, TRANSFER)
    assert again.present == first.added and not again.added and not again.conflicting
    assert store.kept == before


def test_what_differs_is_told_and_stays_and_both_ways_back_are_true(
    source: MemoryStore, export: Path, tmp_path: Path
) -> None:
    store = MemoryStore()
    mine = IdentityVault(store, OTHER).uids(["1.2.3.0"])["1.2.3.0"]
    theirs = IdentityVault(source, ONE).uids(["1.2.3.0"])["1.2.3.0"]
    told = import_rows(Rows(store, OTHER), export, TRANSFER)
    assert told.conflicting == {"uid": 1}
    assert IdentityVault(store, OTHER).uids(["1.2.3.0"])["1.2.3.0"] == mine
    reader = VaultReader(
        Rows(store, OTHER), Guard(Actor("ann", Role.RADIOLOGIST), AuditFile(tmp_path / "audit"))
    )
    assert {reader.identify(each, Purpose.RETURN).uid for each in (mine, theirs)} == {"1.2.3.0"}


def test_an_import_that_is_broken_off_leaves_no_surrogate_without_its_way_back(export: Path) -> None:
    class Breaking(MemoryStore):
        def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
            if len(self.kept) > 600:
                raise KeyboardInterrupt
            return super().add_many(rows)

    store = Breaking()
    rows = Rows(store, OTHER)
    with pytest.raises(KeyboardInterrupt):
        import_rows(rows, export, TRANSFER)
    found = [row for row in rows.walk(store.rows()) if row.name.kind == UID]
    assert found
    there = {(row.tenant, row.name) for row in rows.walk(store.rows())}
    assert all((row.tenant, name) in there for row in found for name in way_back(*row.name, row.payload))


def test_the_file_says_nothing_and_is_its_owner_s(export: Path) -> None:
    content = export.read_bytes()
    content += b"".join(base64.b64decode(line) for line in content.splitlines()[1:])
    assert not any(secret in content for secret in (b"1.2.3", b"2.25.", b"patient", b"default"))
    assert stat.S_IMODE(export.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_written_over(source: MemoryStore, export: Path) -> None:
    before = export.read_bytes()
    with pytest.raises(FileExistsError):
        export_rows(Rows(source, ONE), source, export, TRANSFER)
    assert export.read_bytes() == before


def test_an_export_that_fails_leaves_no_file(source: MemoryStore, tmp_path: Path) -> None:
    source.kept["x"] = b"\1"
    with pytest.raises(VaultDamagedError):
        export_rows(Rows(source, ONE), source, tmp_path / "broken", TRANSFER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", ["cut", "cut at the end", "swapped", "doubled", "changed", "no end", "other's end"]
)
def test_a_line_that_is_not_in_its_place_stops_the_import_before_the_first_row(
    damage: str, source: MemoryStore, export: Path, tmp_path: Path
) -> None:
    lines = export.read_text("ascii").splitlines()
    if damage == "cut":
        del lines[10]
    elif damage == "cut at the end":
        del lines[-2]
    elif damage == "swapped":
        lines[10], lines[11] = lines[11], lines[10]
    elif damage == "doubled":
        lines.insert(10, lines[10])
    elif damage == "changed":
        lines[10] = lines[10][:50] + ("A" if lines[10][50] != "A" else "B") + lines[10][51:]
    elif damage == "no end":
        del lines[-1]
    else:
        other = tmp_path / "other"
        export_rows(Rows(source, ONE), source, other, TRANSFER)
        lines[-1] = other.read_text("ascii").splitlines()[-1]
    export.write_text("\n".join(lines) + "\n", "ascii")
    store = MemoryStore()
    rows = Rows(store, OTHER)
    with pytest.raises(VaultDamagedError):
        import_rows(rows, export, TRANSFER)
    assert store.kept.keys() == {"#check"}


@pytest.mark.parametrize(
    "head", ["", "[]", "no json", json.dumps({"format": "else"}), json.dumps({"version": 1})]
)
def test_what_is_no_export_is_refused(head: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(head + "\nline\n", "ascii")
    with pytest.raises(VaultKeyError, match="no export"):
        import_rows(Rows(MemoryStore(), OTHER), path, TRANSFER)


def test_another_transfer_key_is_refused(export: Path) -> None:
    with pytest.raises(VaultKeyError, match="key"):
        import_rows(Rows(MemoryStore(), OTHER), export, b"u" * 32)
