"""Facts are typed, and what is unknown stays unknown."""

import io
from datetime import date

import pytest
from pydicom.dataset import Dataset

from firstread.deid import Profile, rules
from firstread.deid.engine import clean_header
from firstread.deid.vault import IdentityVault
from firstread.dicom import Timing, facts, read
from firstread.dicom.metadata import age_years, number, parse_date, study_date, text
from firstread.study import InstanceFacts
from tests.support.dicoms import encode, header
from tests.support.vaults import MemoryStore

RECEIVED = date(2004, 8, 26)


@pytest.mark.parametrize(
    ("age", "years"),
    [("042Y", 42.0), ("018M", 1.5), ("026W", 0.4982888), ("010D", 0.0273785), ("000D", 0.0), ("000Y", 0.0)],
)
def test_an_age_is_read_in_its_unit(age: str, years: float) -> None:
    assert age_years(header(PatientAge=age)) == pytest.approx(years, abs=1e-6)


@pytest.mark.parametrize("age", [None, "", "42", "42Y", "042y", "Y042", "0042Y", "-42Y", "042Y\\043Y"])
def test_an_age_that_is_none_comes_from_the_dates(age: str | None) -> None:
    assert age_years(header(PatientAge=age)) == pytest.approx(42.31, abs=0.01)


@pytest.mark.parametrize(
    ("born", "seen"),
    [
        (None, "20040826"),
        ("", "20040826"),
        ("1962", "20040826"),
        ("20050101", "20040826"),
        ("19620503", None),
    ],
)
def test_an_age_without_good_dates_is_unknown(born: str | None, seen: str | None) -> None:
    assert age_years(header(PatientAge=None, PatientBirthDate=born, StudyDate=seen)) is None


@pytest.mark.parametrize(
    "value", ["", "2004", "2004-08-26", "20041301", "20040230", "2004.08.26", "        "]
)
def test_what_is_no_date_is_none(value: str) -> None:
    assert parse_date(value) is None


def test_the_study_date_falls_back_to_the_first_date_there_is() -> None:
    dataset = header(StudyDate="", SeriesDate="bad", AcquisitionDate="20040827", ContentDate="20040828")
    assert study_date(dataset) == date(2004, 8, 27)


@pytest.mark.parametrize(
    ("seen", "recent"),
    [
        ("20040828", False),
        ("20040827", True),
        ("20040826", True),
        ("20040819", True),
        ("20040818", False),
        ("", False),
        ("2004", False),
        (None, False),
    ],
    ids=["two days ahead", "a day ahead", "today", "a week", "eight days", "empty", "no date", "absent"],
)
def test_only_studies_of_the_last_week_are_recent(seen: str | None, recent: bool) -> None:
    assert Timing.of(header(StudyDate=seen), received=RECEIVED).is_recent is recent


def test_undecodable_and_multiple_values_are_text_or_unknown() -> None:
    dataset = Dataset()
    dataset.ImageType = ["ORIGINAL", " PRIMARY "]
    assert text(dataset, "ImageType") == "ORIGINAL\\PRIMARY"
    assert text(dataset, "Modality") == ""
    assert number(dataset, "ImageType") is None
    assert number(dataset, "Rows") is None


def facts_of(**values: object) -> InstanceFacts:
    """Return the facts of a header that has gone the whole way."""
    with read(io.BytesIO(encode(header(**values)))) as file:
        timing = Timing.of(file.dataset, received=RECEIVED)
        result = clean_header(
            file, IdentityVault(MemoryStore(), bytes(32)), rules(Profile.LONGITUDINAL.options)
        )
        return facts(result.dataset, timing)


def test_facts_say_what_the_header_says() -> None:
    found = facts_of()
    assert (found.modality, found.body_part, found.view_position) == ("CR", "CHEST", "PA")
    assert (found.rows, found.columns, found.frames, found.photometric) == (8, 8, 1, "MONOCHROME2")
    assert (found.age_years, found.sex, found.is_recent, found.simulated) == (42.0, "F", True, False)
    assert (found.series_number, found.instance_number) == (1, 1)
    assert found.study_description == "Chest PA"


@pytest.mark.parametrize(
    ("sex", "expected"), [("m", "M"), ("O", "O"), ("U", ""), ("", ""), ("W", ""), (None, "")]
)
def test_a_sex_that_is_not_defined_is_unknown(sex: str | None, expected: str) -> None:
    assert facts_of(PatientSex=sex).sex == expected


def test_absent_attributes_are_unknown_and_not_guessed() -> None:
    names = ("Modality", "BodyPartExamined", "ViewPosition", "PatientAge", "PatientBirthDate", "StudyDate")
    found = facts_of(**dict.fromkeys((*names, "SeriesNumber", "InstanceNumber")))
    assert (found.modality, found.body_part, found.view_position) == ("", "", "")
    assert (found.age_years, found.series_number, found.instance_number) == (None, None, None)
    assert not found.is_recent


def test_only_yes_is_simulated() -> None:
    assert facts_of(SyntheticData="YES").simulated
    assert not facts_of(SyntheticData="NO").simulated


def test_what_a_header_does_not_tell_is_named_and_never_guessed() -> None:
    known = InstanceFacts(
        series_uid="1",
        sop_class_uid="2",
        modality="CR",
        body_part="CHEST",
        view_position="PA",
        age_years=0.0,
        sex="F",
        rows=8,
        columns=8,
        photometric="MONOCHROME2",
    )
    assert known.unknown == ()
    assert InstanceFacts(series_uid="1", sop_class_uid="2", modality="SR").unknown == (
        "body_part",
        "view_position",
        "age_years",
        "sex",
        "rows",
        "columns",
        "photometric",
    )
