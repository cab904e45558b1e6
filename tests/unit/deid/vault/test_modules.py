"""The patient and study modules are kept once per version, under the surrogates, encrypted."""

import io
import json
from collections.abc import Mapping

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from firstread.deid.vault import IdentityVault, Modules, PatientPseudonym
from firstread.deid.vault.audit import Guard
from firstread.deid.vault.reader import VaultReader
from firstread.deid.vault.rows import Rows
from firstread.errors import TransientError
from firstread.policy import Actor, Purpose, Role
from tests.support.vaults import MemoryStore

KEY = b"k" * 32
PSEUDONYM = PatientPseudonym("P0123456789ABCDEF", -400)
STUDY = "2.25.77"


class Silent:
    """An audit sink that forgets."""

    def record(self, event: Mapping[str, str | bool]) -> None:
        del event


def versions(store: MemoryStore, surrogate: str) -> list[dict[str, object]]:
    reader = VaultReader(Rows(store, KEY), Guard(Actor("ann", Role.RADIOLOGIST), Silent()))
    return [version.module for version in reader.modules(surrogate, Purpose.TREATMENT)]


def arrived(
    syntax: str = ExplicitVRLittleEndian, charset: str = "ISO_IR 100", **values: object
) -> FileDataset:
    """Return a dataset as the reader gives it: read from bytes, nothing decoded."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = charset
    dataset.PatientName = "Müller^Jörg"
    dataset.PatientID = "MRN-1"
    dataset.IssuerOfPatientID = "Haus A"
    dataset.PatientBirthDate = "19500102"
    dataset.PatientSex = "M"
    dataset.OtherPatientIDsSequence = [Dataset()]
    dataset.OtherPatientIDsSequence[0].PatientID = "OLD-1"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.StudyDate = "20260102"
    dataset.AccessionNumber = "ACC1"
    dataset.ReferringPhysicianName = "Weiß^Eva"
    dataset.Modality = "CT"
    dataset.PixelSpacing = [1, 1]
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    target.seek(0)
    return pydicom.dcmread(target)


def test_both_modules_are_kept_whole_in_dicom_json() -> None:
    store = MemoryStore()
    IdentityVault(store, KEY).keep(Modules.of(arrived()), PSEUDONYM, STUDY)
    (patient,), (study,) = versions(store, PSEUDONYM.code), versions(store, STUDY)
    back = Dataset.from_json(json.dumps(patient))
    assert (back.PatientName, back.PatientID, back.IssuerOfPatientID) == ("Müller^Jörg", "MRN-1", "Haus A")
    assert (back.PatientBirthDate, back.PatientSex) == ("19500102", "M")
    assert back.OtherPatientIDsSequence[0].PatientID == "OLD-1"
    back = Dataset.from_json(json.dumps(study))
    assert (back.StudyInstanceUID, back.StudyDate, back.AccessionNumber) == ("1.2.3", "20260102", "ACC1")
    assert back.ReferringPhysicianName == "Weiß^Eva"
    assert "Modality" not in back and "PixelSpacing" not in back
    assert not any("Müller".encode() in value or b"ACC1" in value for value in store.kept.values())


def test_what_is_kept_already_costs_nothing_in_a_warm_process_and_no_row_in_a_new_one() -> None:
    store = MemoryStore()
    vault = IdentityVault(store, KEY)
    vault.keep(Modules.of(arrived()), PSEUDONYM, STUDY)
    before = dict(store.kept)
    IdentityVault(store, KEY).keep(Modules.of(arrived()), PSEUDONYM, STUDY)
    # The same values in another encoding are the same version.
    IdentityVault(store, KEY).keep(
        Modules.of(arrived(ImplicitVRLittleEndian, "ISO_IR 192")), PSEUDONYM, STUDY
    )
    assert store.kept == before
    store.get_many = None  # type: ignore[assignment, method-assign]
    vault.keep(Modules.of(arrived()), PSEUDONYM, STUDY)


def test_every_version_is_kept_once_in_order_of_arrival() -> None:
    store = MemoryStore()
    for comment in ("a", "b", "a", "c", "d", "e", "b"):
        IdentityVault(store, KEY).keep(Modules.of(arrived(PatientComments=comment)), PSEUDONYM, STUDY)
    comments = [
        Dataset.from_json(json.dumps(each)).PatientComments for each in versions(store, PSEUDONYM.code)
    ]
    assert comments == list("abcde")
    assert len(versions(store, STUDY)) == 1


def test_a_flood_of_versions_ends() -> None:
    store = MemoryStore()
    vault = IdentityVault(store, KEY)
    for number in range(210):
        vault.keep(Modules.of(arrived(PatientComments=str(number))), PSEUDONYM, STUDY)
    assert len(versions(store, PSEUDONYM.code)) == 200


def test_later_changes_of_the_dataset_are_not_seen() -> None:
    dataset = arrived()
    modules = Modules.of(dataset)
    dataset.PatientName = "P1"
    del dataset.AccessionNumber
    assert "Müller" in json.loads(modules.patient)["00100010"]["Value"][0]["Alphabetic"]
    assert json.loads(modules.study)["00080050"]["Value"] == ["ACC1"]


def test_items_are_kept_as_they_arrived() -> None:
    order = Dataset()
    order.RequestedProcedureID = "RP1"
    order.RequestedProcedureCodeSequence = [Dataset()]
    order.RequestedProcedureCodeSequence[0].CodeMeaning = "CT"
    dataset = arrived(RequestAttributesSequence=[order])
    (order,) = dataset.RequestAttributesSequence
    modules = Modules.of(dataset)
    del order.RequestedProcedureID
    order.RequestedProcedureCodeSequence[0].CodeMeaning = ""
    (kept,) = json.loads(modules.study)["00400275"]["Value"]
    assert kept["00401001"]["Value"] == ["RP1"]
    assert kept["00321064"]["Value"][0]["00080104"]["Value"] == ["CT"]


def test_what_is_decoded_already_is_told_apart_too() -> None:
    one, same, other = arrived(), arrived(), arrived(PatientName="Other")
    for dataset in (one, same, other):
        assert dataset.PatientName
    assert Modules.of(one).fingerprint == Modules.of(same).fingerprint != Modules.of(other).fingerprint


def test_a_value_that_cannot_be_said_is_left_out_and_a_huge_one_cuts_the_module() -> None:
    dataset = arrived()
    dataset[0x00101001] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(0x00101001), "DS", 4, b"what", 0, False, True, True
    )
    assert "00100010" in json.loads(Modules.of(dataset).patient)
    with pytest.warns(UserWarning, match="exceeds"):
        huge = arrived(PatientComments="x" * 200_000)
    assert len(Modules.of(huge).patient) < 130_000


class Busy(MemoryStore):
    """A store where somebody else is always first with a log's next entry."""

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        if "#check" not in rows:
            rival = IdentityVault(self.inner, KEY)
            self.turn = getattr(self, "turn", 0) + 1
            rival.keep(Modules.of(arrived(PatientComments=f"rival {self.turn}")), PSEUDONYM, STUDY)
        return super().add_many(rows)

    @property
    def inner(self) -> MemoryStore:
        plain = MemoryStore()
        plain.kept = self.kept
        return plain


def test_who_is_never_first_is_told_to_try_again() -> None:
    store = Busy()
    with pytest.raises(TransientError):
        IdentityVault(store, KEY).keep(Modules.of(arrived()), PSEUDONYM, STUDY)


@pytest.mark.filterwarnings("error")
def test_a_malformed_value_is_kept_and_not_quoted_in_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    dataset = arrived(StudyDescription="CT chest")
    dataset[0x0020000D] = RawDataElement(Tag(0x0020000D), "UI", 9, b"1.2.Quimb", 0, False, True)

    assert "1.2.Quimb" in Modules.of(dataset).study
    assert not recwarn.list
