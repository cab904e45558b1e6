"""The way back is for those who may, and is written down before it is answered."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from firstread.deid.vault import IdentityVault, RefusedError
from firstread.deid.vault.aliases import PatientKey
from firstread.deid.vault.audit import AuditFile, Guard
from firstread.deid.vault.reader import Original, VaultReader
from firstread.deid.vault.rows import Rows
from firstread.deid.vault.steward import VaultSteward
from firstread.errors import NotFoundError
from firstread.policy import Actor, Purpose, Role
from tests.support.vaults import MemoryStore

KEY = b"k" * 32
WHY = Purpose.TREATMENT


class Kept:
    """An audit sink in memory."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, str | bool]] = []

    def record(self, event: Mapping[str, str | bool]) -> None:
        self.events.append(event)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def audit() -> Kept:
    return Kept()


def reader(store: MemoryStore, audit: Kept, role: Role = Role.RADIOLOGIST) -> VaultReader:
    return VaultReader(Rows(store, KEY), Guard(Actor("ann", role), audit))


def test_every_surrogate_leads_back(store: MemoryStore, audit: Kept) -> None:
    vault = IdentityVault(store, KEY)
    uids = vault.uids(["1.2.3", "1.2.4"])
    patient, nobody = vault.patient("A", "1", "1.2.3"), vault.patient("A", "", "1.2.4")
    want = {
        *(Original(new, "uid", uid=old) for old, new in uids.items()),
        Original(patient.code, "patient", issuer="A", patient_id="1", shift_days=patient.shift_days),
        Original(nobody.code, "patient", uid="1.2.4", shift_days=nobody.shift_days),
    }
    IdentityVault(store, KEY, "another tenant").uids(["1.2.5"])
    back = reader(store, audit)
    assert {back.identify(each.surrogate, WHY) for each in want} == want
    assert set(back.originals(store, WHY)) == want


def test_each_use_is_written_down_without_naming_the_patient(store: MemoryStore, audit: Kept) -> None:
    code = IdentityVault(store, KEY).patient("Issuer-7", "MRN-9988776655", "1.2.3").code
    back = reader(store, audit)
    back.identify(code, WHY)
    back.modules(code, Purpose.RETURN)
    back.originals(store, Purpose.INCIDENT)  # also where nobody looks at the answer
    assert [(e["what"], e["subject"], e["purpose"]) for e in audit.events] == [
        ("identify", code, "treatment"),
        ("modules", code, "return"),
        ("list", "", "incident"),
    ]
    assert all(e["actor"] == "ann" and e["role"] == "radiologist" and e["allowed"] for e in audit.events)
    assert "9988776655" not in str(audit.events) and "Issuer-7" not in str(audit.events)


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.DATA_STEWARD, Role.FEED)])
def test_only_a_data_steward_and_a_feed_merge_and_refusals_are_written_down(
    role: Role, store: MemoryStore, audit: Kept
) -> None:
    ann, ben = PatientKey("A", "1"), PatientKey("A", "2")
    steward = VaultSteward(Rows(store, KEY), Guard(Actor("x", role), audit))
    for call in (lambda: steward.merge(ann, ben), lambda: steward.unmerge(ann), lambda: steward.history(ann)):
        with pytest.raises(RefusedError):
            call()
    assert [event["allowed"] for event in audit.events] == [False] * 3
    allowed = VaultSteward(Rows(store, KEY), Guard(Actor("kim", Role.DATA_STEWARD), audit))
    allowed.merge(ann, ben)
    assert [event.into for event in allowed.history(ann)] == [ben]
    assert audit.events[3]["what"] == f"merge into {IdentityVault(store, KEY).patient('A', '2', 's').code}"


@pytest.mark.parametrize(
    "role", [Role.STUDENT, Role.TECHNOLOGIST, Role.REFERRING_CLINICIAN, Role.ADMIN, Role.SERVICE]
)
def test_others_are_refused_and_it_is_written_down(role: Role, store: MemoryStore, audit: Kept) -> None:
    code = IdentityVault(store, KEY).patient("A", "1", "1.2.3").code
    back = reader(store, audit, role)
    for call in (
        lambda: back.identify(code, WHY),
        lambda: back.modules(code, WHY),
        lambda: back.originals(store, WHY),
    ):
        with pytest.raises(RefusedError):
            call()
    assert [event["allowed"] for event in audit.events] == [False] * 3


@pytest.mark.parametrize("typed", ["DOE^JANE", "P0123", "1.2.840.1", "", "P0123456789ABCDEF "])
def test_what_is_no_surrogate_reaches_neither_vault_nor_audit(
    typed: str, store: MemoryStore, audit: Kept
) -> None:
    back = reader(store, audit)
    for call in (back.identify, back.modules):
        with pytest.raises(NotFoundError) as caught:
            call(typed, WHY)
        assert not typed or typed not in str(caught.value)
    assert audit.events == []


def test_a_surrogate_of_another_vault_is_not_found(store: MemoryStore, audit: Kept) -> None:
    with pytest.raises(NotFoundError):
        reader(store, audit).identify("P0123456789ABCDEF", WHY)
    assert len(audit.events) == 1


def test_nothing_is_answered_where_the_audit_fails(store: MemoryStore) -> None:
    code = IdentityVault(store, KEY).patient("A", "1", "1.2.3").code

    class Broken(Kept):
        def record(self, event: Mapping[str, str | bool]) -> None:
            raise OSError(str(len(event)))

    with pytest.raises(OSError):
        reader(store, Broken()).identify(code, WHY)


def test_the_audit_file_is_appended_to_and_is_its_owner_s(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(3):
        AuditFile(path).record({"number": str(number), "allowed": True})
    assert [json.loads(line)["number"] for line in path.read_text("utf-8").splitlines()] == ["0", "1", "2"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
