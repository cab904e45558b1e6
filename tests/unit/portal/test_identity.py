"""Whose a study is: the newest module, the merges of today, true dates; each look written down, and no error page."""

from collections.abc import Mapping

import pytest
from pydicom.dataset import Dataset

from firstread.deid.vault import IdentityVault, Modules
from firstread.deid.vault.aliases import Aliases, PatientKey
from firstread.deid.vault.errors import VaultKeyError
from firstread.deid.vault.rows import Rows
from firstread.errors import TransientError
from firstread.policy import Actor, Role
from firstread.study import Study, StudyGathering
from portal.logic.identity import Identities, Identity
from tests.support.records import study as make_study
from tests.support.vaults import MemoryStore

KEY = b"k" * 32
UID = "2.25.77"
ANN = Actor("ann", Role.RADIOLOGIST)


class Kept:
    def __init__(self) -> None:
        self.events: list[Mapping[str, str | bool]] = []
        self.down = False

    def record(self, event: Mapping[str, str | bool]) -> None:
        if self.down:
            raise TransientError("out of reach")
        self.events.append(event)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def audit() -> Kept:
    return Kept()


def header(name: str = "Quimby^Theodora", **values: object) -> Dataset:
    made = Dataset()
    made.PatientName = name
    for keyword, value in {
        "PatientBirthDate": "19620503",
        "AccessionNumber": "ACC4711",
        "StudyDate": "20040826",
        **values,
    }.items():
        setattr(made, keyword, value)
    return made


def seen(
    store: MemoryStore, *headers: Dataset, mrn: str = "MRN-1", issuer: str = "HOSP", uid: str = UID
) -> Study:
    """Return a study that the vault has seen under a patient."""
    vault = IdentityVault(store, KEY)
    patient = vault.patient(issuer, mrn, "1.2.3")
    for each in headers:
        vault.keep(Modules.of(each), patient, uid)
    gathering = make_study().gathering
    return Study(
        gathering=StudyGathering.model_validate(
            {**gathering.model_dump(), "study_uid": uid, "patient": patient.code}
        )
    )


def look(store: MemoryStore, audit: Kept, study: Study, actor: Actor = ANN) -> Identity:
    found = Identities(lambda: Rows(store, KEY), audit).shown_to(actor, study)
    assert found is not None
    return found


def test_the_newest_module_and_true_dates(store: MemoryStore, audit: Kept) -> None:
    study = seen(store, header("Qimby^Theodora"), header(ReferringPhysicianName="Ferencz^Attila"))
    found = look(store, audit, study)
    assert found == Identity(
        study_uid=UID,
        available=True,
        name="Quimby, Theodora",
        mrn="MRN-1",
        issuer="HOSP",
        birth_date="1962-05-03",
        accession="ACC4711",
        study_date="2004-08-26",
        referring="Ferencz, Attila",
    )
    (event,) = audit.events
    assert (event["action"], event["subject"], event["patient"], event["purpose"], event["allowed"]) == (
        *("identity.view", UID, study.gathering.patient, "treatment", True),
    )
    assert "Quimby" not in repr(audit.events) and "MRN" not in repr(audit.events)


def test_a_merge_shows_the_survivor_and_what_the_images_say(store: MemoryStore, audit: Kept) -> None:
    study = seen(store, header("Old^Name"))
    Aliases(Rows(store, KEY)).merge(PatientKey("HOSP", "MRN-1"), PatientKey("HOSP", "MRN-2"), "feed")
    found = look(store, audit, study)
    assert (found.name, found.mrn, found.formerly) == ("Old, Name", "MRN-2", "MRN-1")
    seen(store, header("New^Name"), mrn="MRN-2", uid="2.25.78")
    found = look(store, audit, study)
    assert (found.name, found.mrn, found.formerly) == ("New, Name", "MRN-2", "MRN-1")
    Aliases(Rows(store, KEY)).unmerge(PatientKey("HOSP", "MRN-1"), "kim")
    found = look(store, audit, study)
    assert (found.name, found.mrn, found.formerly) == ("Old, Name", "MRN-1", "")


@pytest.mark.parametrize("role", Role)
def test_who_may_know(store: MemoryStore, audit: Kept, role: Role) -> None:
    found = Identities(lambda: Rows(store, KEY), audit).shown_to(Actor("x", role), seen(store, header()))
    may = role in {Role.RADIOLOGIST, Role.RESIDENT, Role.DATA_STEWARD}
    assert (found is not None) is may
    assert len(audit.events) == may
    if role is Role.DATA_STEWARD:
        assert audit.events[0]["purpose"] == "data_quality"


def test_nothing_is_shown_where_it_cannot_be_written_down(store: MemoryStore, audit: Kept) -> None:
    audit.down = True
    assert look(store, audit, seen(store, header())) == Identity(study_uid=UID)


def test_a_vault_that_is_down_or_knows_nothing_is_no_error(store: MemoryStore, audit: Kept) -> None:
    study = seen(store)
    assert look(store, audit, study).available
    stranger = study.model_copy(
        update={"gathering": study.gathering.model_copy(update={"patient": "P" + "0" * 16})}
    )
    assert not look(store, audit, stranger).available
    tries = iter([VaultKeyError("down"), OSError("down")])

    def open_rows() -> Rows:
        for error in tries:
            raise error
        return Rows(store, KEY)

    identities = Identities(open_rows, audit)
    found = [identities.shown_to(ANN, study) for _ in range(3)]
    assert [each.available for each in found if each] == [False, False, True]


def test_what_is_simulated_says_so(store: MemoryStore, audit: Kept) -> None:
    study = seen(store, header("Simulated^Patient"))
    study = study.model_copy(update={"gathering": study.gathering.model_copy(update={"simulated": True})})
    assert look(store, audit, study).simulated
