"""The table is the standard's, and every kind of row does what it says."""

import json
from importlib import import_module, resources

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

from firstread.deid.options import Option, Profile
from firstread.deid.rules import Action, rules

published = import_module("dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c")
LISTS = {
    "X_TAGS": "X",
    "Z_TAGS": "Z",
    "D_TAGS": "D",
    "U_TAGS": "U",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "Z_D_TAGS": "Z/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}


def table() -> dict[str, dict[str, object]]:
    source = resources.files("firstread.deid").joinpath("data/table_e1_1.json").read_text()
    rows: dict[str, dict[str, object]] = json.loads(source)["rows"]
    return rows


def action(keyword: str, vr: str = "") -> Action:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return rules(Profile.LONGITUDINAL.options).action(tag, vr or dictionary_VR(tag))


def test_the_basic_column_is_that_of_edition_2026c() -> None:
    expected = {
        f"{tag[0]:04x}{tag[1]:04x}": code
        for name, code in LISTS.items()
        for tag in getattr(published, name)
        if len(tag) == 2
    }
    assert {tag: row["basic"] for tag, row in table().items()} == expected


def test_without_options_every_row_of_the_table_loses_its_value() -> None:
    basic = rules(frozenset())
    losing = {Action.REMOVE, Action.EMPTY, Action.DUMMY, Action.UID, Action.RECURSE}
    for tag in table():
        number = int(tag, 16)
        try:
            vr = dictionary_VR(number)
        except KeyError:
            vr = ""
        assert basic.action(number, vr) in losing, tag


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("PatientName", Action.EMPTY),
        ("PatientAddress", Action.REMOVE),
        ("InstitutionName", Action.DUMMY),
        ("SOPInstanceUID", Action.UID),
        ("StudyDate", Action.SHIFT),
        ("AcquisitionDateTime", Action.SHIFT),
        ("StudyTime", Action.SWEEP),
        ("StudyDescription", Action.SWEEP),
        ("PatientSex", Action.SCREEN),
        ("PatientAge", Action.SCREEN),
        ("StationName", Action.SCREEN),
        ("RequestAttributesSequence", Action.RECURSE),
        ("OtherPatientIDsSequence", Action.REMOVE),
        ("PatientBirthDateInAlternativeCalendar", Action.REMOVE),
        ("PlacerOrderNumberImagingServiceRequestRetired", Action.REMOVE),
        ("RetrieveURL", Action.REMOVE),
        ("ICCProfile", Action.KEEP),
        ("Rows", Action.KEEP),
        ("ImagePositionPatient", Action.SWEEP),
        ("MakerNote", Action.REMOVE),
    ],
)
def test_each_kind_of_row_has_its_action(keyword: str, expected: Action) -> None:
    assert action(keyword) is expected


@pytest.mark.parametrize(
    ("keyword", "vr"),
    [("StudyDescription", "OB"), ("Manufacturer", "OW"), ("BodyPartExamined", "UN "), ("Manufacturer", "US")],
)
def test_binary_where_text_belongs_is_removed(keyword: str, vr: str) -> None:
    assert action(keyword, vr) is Action.REMOVE


def test_text_where_a_number_belongs_is_swept() -> None:
    assert action("Rows", "LO") is Action.SWEEP
    assert action("StudyDescription", "PN") is Action.EMPTY


@pytest.mark.parametrize(
    "tag",
    [0x00091001, 0x00090010, 0x50000010, 0x60003000, 0x00020016, 0x00001000, 0x00041500, 0x00081111 - 0x1111],
)
def test_private_curves_overlays_and_foreign_groups_go(tag: int) -> None:
    assert rules(Profile.LONGITUDINAL.options).action(tag, "LO") is Action.REMOVE


def test_what_nobody_knows_goes() -> None:
    assert rules(Profile.LONGITUDINAL.options).action(0x00080003, "LO") is Action.REMOVE
    assert rules(Profile.LONGITUDINAL.options).action(0x00080003, "") is Action.REMOVE


def test_pixels_inside_a_sequence_go() -> None:
    assert action("PixelData", "OW") is Action.REMOVE


def test_the_pipeline_applies_the_options_of_the_design() -> None:
    assert {
        Option.CLEAN_DESCRIPTORS,
        Option.RETAIN_MODIFIED_DATES,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
        Option.RETAIN_DEVICE_IDENTITY,
    } < Profile.LONGITUDINAL.options


@pytest.mark.parametrize("keyword", ["SecondaryReviewTime", "TimeOfGainCalibration"])
def test_times_of_day_that_the_table_does_not_name_go_with_the_dates(keyword: str) -> None:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    assert rules(Profile.SAFE_HARBOR_STRICT.options).action(tag, "TM") is Action.EMPTY
    assert rules(Profile.LONGITUDINAL.options).action(tag, "TM") is Action.SWEEP
