"""Profiles and options: each switch does what PS3.15 E.3 says of it, and says so in the output."""

import io
from collections.abc import Set

import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset, FileDataset

from firstread.deid import METHOD_CODES, Option, Profile, rules
from firstread.deid.engine import clean_header, write
from firstread.deid.rules import Action
from firstread.dicom import read
from firstread.dicom.silence import quiet
from tests.support.dicoms import encode, header
from tests.support.vaults import memory_vault

DATES = {
    "StudyDate": "20240318",
    "StudyTime": "101200",
    "AcquisitionDateTime": "20240318101200",
    "PatientBirthDate": "19300101",
}


def cleaned(dataset: Dataset, options: Set[Option]) -> FileDataset:
    target = io.BytesIO()
    with read(io.BytesIO(encode(dataset))) as file:
        write(clean_header(file, memory_vault(), rules(frozenset(options))), file, target)
    target.seek(0)
    return pydicom.dcmread(target)


def codes(dataset: Dataset) -> set[str]:
    return {item.CodeValue for item in dataset.DeidentificationMethodCodeSequence}


def test_safe_harbor_leaves_no_date_and_no_device() -> None:
    before = header(
        **DATES,
        PatientAge="094Y",
        DeviceSerialNumber="SN123456",
        StationName="CT1",
        StudyDescription="CT 18.03.2024 thorax",
    )
    after = cleaned(before, Profile.SAFE_HARBOR_STRICT.options)
    for element in after.iterall():
        if element.VR in ("DA", "DT", "TM"):
            assert not element.value, element.keyword
    assert after.PatientAge == "090Y"
    assert after.LongitudinalTemporalInformationModified == "REMOVED"
    assert "DeviceSerialNumber" not in after and "StationName" not in after
    assert after.StudyDescription == "CT thorax"
    assert {"113100", "113105", "113108"} <= codes(after) and not codes(after) & {
        "113106",
        "113107",
        "113109",
    }


def test_safe_harbor_leaves_no_time_of_day_in_any_attribute() -> None:
    strict = rules(Profile.SAFE_HARBOR_STRICT.options)
    gone = {Action.REMOVE, Action.EMPTY, Action.DUMMY}
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        assert vr not in ("DA", "DT", "TM") or strict.action(tag, vr) in gone, keyword


def test_a_date_that_an_object_needs_is_reduced_to_its_year() -> None:
    """Content Date is type 1 in an enhanced object; a year is allowed by 45 CFR 164.514(b)(2)(i)(C)."""
    angiography = "1.2.840.10008.5.1.4.1.1.12.1"  # Content Date is type 2C there
    assert rules(Profile.SAFE_HARBOR_STRICT.options, angiography).action(0x00080023, "DA") is Action.EMPTY
    enhanced = "1.2.840.10008.5.1.4.1.1.2.1"
    after = cleaned(header(SOPClassUID=enhanced, ContentDate="20240318"), Profile.SAFE_HARBOR_STRICT.options)
    assert after.ContentDate == "20240101"


def test_full_dates_stay_where_the_option_says_so() -> None:
    options = Profile.SAFE_HARBOR_STRICT.options | {Option.RETAIN_FULL_DATES}
    after = cleaned(header(**DATES), options)
    assert (after.StudyDate, after.StudyTime) == ("20240318", "101200")
    assert after.PatientBirthDate == ""
    assert "LongitudinalTemporalInformationModified" not in after
    assert "113106" in codes(after)


def test_uids_stay_where_the_option_says_so() -> None:
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = "1.2.3.4"
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    before = header(ReferencedImageSequence=[reference], DeviceUID="1.2.3.5")
    after = cleaned(before, {Option.RETAIN_UIDS})
    assert after.StudyInstanceUID == before.StudyInstanceUID
    assert after.SOPInstanceUID == before.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
    assert after.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert after.DeviceUID == "1.2.3.5"


def test_a_device_keeps_its_serial_number_and_gets_another_uid() -> None:
    before = header(DeviceSerialNumber="20240318-007", DeviceUID="1.2.3.5", StationName="CTAWP12")
    after = cleaned(before, {Option.RETAIN_DEVICE_IDENTITY})
    assert (after.DeviceSerialNumber, after.StationName) == ("20240318-007", "CTAWP12")
    assert after.DeviceUID.startswith("2.25.")


def test_the_institution_stays_where_the_option_says_so() -> None:
    before = header(
        InstitutionName="St. Elsewhere", InstitutionalDepartmentName="Radiology", InstitutionAddress="Boston"
    )
    assert cleaned(before, {Option.RETAIN_INSTITUTION_IDENTITY}).InstitutionName == "St. Elsewhere"
    assert "InstitutionName" not in cleaned(before, frozenset())


def test_safe_private_elements_stay_and_others_go() -> None:
    before = header()
    pet = before.private_block(0x7053, "Philips PET Private Group", create=True)
    pet.add_new(0x00, "DS", "0.000551")
    pet.add_new(0x03, "ST", "Quimby.img")
    before.private_block(0x0009, "Quimby Inc", create=True).add_new(0x01, "LO", "secret")
    after = cleaned(before, {Option.RETAIN_SAFE_PRIVATE})
    assert after.private_block(0x7053, "Philips PET Private Group")[0x00].value == 0.000551
    assert {element.tag.group for element in after if element.tag.is_private} == {0x7053}
    assert len([element for element in after if element.tag.is_private]) == 2
    assert not [element for element in cleaned(before, frozenset()) if element.tag.is_private]


@pytest.mark.parametrize("value", ["0.5 Quimby", "MRN998877"])
def test_a_safe_private_element_is_safe_only_with_the_value_it_should_have(value: str) -> None:
    before = header(PatientID="MRN998877", PatientName="Quimby")
    with quiet():
        before.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "LO", value)
    after = cleaned(before, {Option.RETAIN_SAFE_PRIVATE})
    assert 0x70531000 not in after


def test_descriptors_go_unless_they_are_cleaned() -> None:
    before = header(StudyDescription="CT thorax", SeriesDescription="AX THIN")
    bare = cleaned(before, frozenset())
    assert "StudyDescription" not in bare and "SeriesDescription" not in bare
    assert cleaned(before, {Option.CLEAN_DESCRIPTORS}).SeriesDescription == "AX THIN"


def test_patient_characteristics_go_unless_they_are_kept() -> None:
    before = header(PatientAge="044Y", PatientSize="1.70")
    bare = cleaned(before, frozenset())
    assert "PatientAge" not in bare and "PatientSize" not in bare
    kept = cleaned(before, {Option.RETAIN_PATIENT_CHARACTERISTICS})
    assert (kept.PatientAge, kept.PatientSize) == ("044Y", 1.7)


@pytest.mark.parametrize("option", [option for option in Option if option is not Option.CLEAN_PIXEL_DATA])
def test_every_option_is_claimed_by_its_code(option: Option) -> None:
    assert codes(cleaned(header(), {option})) == {"113100", METHOD_CODES[option].value}


def test_cleaned_pixels_are_not_claimed_by_a_header() -> None:
    assert codes(cleaned(header(), {Option.CLEAN_PIXEL_DATA})) == {"113100"}
    assert "BurnedInAnnotation" not in cleaned(header(BurnedInAnnotation="NO"), frozenset())


def test_uids_that_say_what_something_is_stay() -> None:
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeUID = "RADLEX", "2.16.840.1.113883.6.256"
    after = cleaned(header(CodingSchemeIdentificationSequence=[scheme]), frozenset())
    assert after.CodingSchemeIdentificationSequence[0].CodingSchemeUID == "2.16.840.1.113883.6.256"
