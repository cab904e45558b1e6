"""Parameters of a search: understood, or refused by name."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from portal.logic.dicomweb.errors import BadQueryError
from portal.logic.dicomweb.query import (
    INSTANCE_KEYS,
    MAX_UIDS,
    SERIES_KEYS,
    STUDY_KEYS,
    Kind,
    Query,
    parse_query,
)

PATIENT = "Wolfeschlegel"
LEVELS = (STUDY_KEYS, SERIES_KEYS, INSTANCE_KEYS)


def parse(*parameters: tuple[str, str], keys: Mapping[str, Kind] = STUDY_KEYS) -> Query:
    return parse_query(parameters, keys)


def test_names_are_keywords_or_tags() -> None:
    for name in ("StudyInstanceUID", "0020000D", "0020000d"):
        assert parse((name, "1.2,1.3")).uids == {"StudyInstanceUID": {"1.2", "1.3"}}
    assert parse(("StudyInstanceUID", r"1.2\1.3")).uids == {"StudyInstanceUID": {"1.2", "1.3"}}


def test_what_ohif_asks() -> None:
    found = parse(
        ("limit", "101"),
        ("offset", "0"),
        ("fuzzymatching", "false"),
        ("includefield", "00081030,00080060,00080090,00100030"),
        ("StudyInstanceUID", ""),
    )
    assert found == Query(limit=101)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("20260102", ("20260102", "20260102")),
        ("20260102-20260203", ("20260102", "20260203")),
        ("20260102-", ("20260102", "")),
        ("-20260203", ("", "20260203")),
    ],
)
def test_dates(text: str, bounds: tuple[str, str]) -> None:
    found = parse(("StudyDate", text))
    assert (found.first, found.last) == bounds
    assert not found.has_date("")


def test_a_range_includes_both_ends() -> None:
    found = parse(("StudyDate", "20260102-20260203"))
    assert [found.has_date(each) for each in ("20260101", "20260102", "20260203", "20260204")] == [
        False,
        True,
        True,
        False,
    ]


def test_codes_have_wildcards_and_lists() -> None:
    assert parse(("ModalitiesInStudy", "M*")).has_code("ModalitiesInStudy", ["CT", "MR"])
    assert not parse(("ModalitiesInStudy", "M?")).has_code("ModalitiesInStudy", ["CT", "MRA"])
    assert parse(("Modality", "ct,us")).has_code("Modality", ["US"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientName", PATIENT),
        ("00100010", PATIENT),
        ("PatientName", ""),
        ("PatientBirthDate", "19500101"),
        ("ReferringPhysicianName", PATIENT),
        (PATIENT, "x"),
        ("patientid", "x"),
        ("0020000", "1"),
        ("accept", "application/json"),
        ("PatientID", "FR*"),
        ("PatientID", "FR?"),
        ("PatientID", r"a\b"),
        ("AccessionNumber", "*"),
        ("StudyInstanceUID", "1.2.*"),
        ("StudyInstanceUID", PATIENT),
        ("StudyInstanceUID", ",".join(["1.2"] * (MAX_UIDS + 1))),
        ("StudyDate", "2026"),
        ("StudyDate", "20260230"),
        ("StudyDate", "-"),
        ("StudyDate", "20260101-20260102-20260103"),
        ("ModalitiesInStudy", PATIENT + PATIENT),
        ("Modality", "[A-Z]"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "many"),
        ("limit", "\u0663"),
        ("offset", "-1"),
        ("fuzzymatching", "true"),
        ("includefield", PATIENT),
    ],
)
def test_what_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadQueryError) as error:
        parse((name, value))
    assert PATIENT not in str(error.value)
    assert value not in str(error.value) or value in ("", "-", "*", "true", "0")


def test_the_parameter_is_named() -> None:
    with pytest.raises(BadQueryError, match="PatientName is no matching key"):
        parse(("00100010", "x"))


def test_twice_is_refused() -> None:
    with pytest.raises(BadQueryError, match="StudyDate is there twice"):
        parse(("StudyDate", "20260101"), ("00080020", "20260102"))


@given(st.sampled_from([each[4] for each in DicomDictionary.values() if each[4]]), st.sampled_from(LEVELS))
def test_no_attribute_is_passed_over(keyword: str, keys: Mapping[str, Kind]) -> None:
    """Either a declared key, or an error: never a search that is wider than it was asked for."""
    try:
        found = parse((keyword, "1"), keys=keys)
    except BadQueryError:
        return
    assert keyword in keys
    assert found != Query()


@given(st.text(max_size=20), st.text(max_size=40), st.sampled_from(LEVELS))
def test_no_other_parameter_is_passed_over(name: str, value: str, keys: Mapping[str, Kind]) -> None:
    try:
        found = parse((name, value), keys=keys)
    except BadQueryError:
        return
    assert name in {*keys, "limit", "offset", "fuzzymatching", "includefield"} or len(name) == 8
    assert found == Query() or value


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*STUDY_KEYS, "limit", "offset", "includefield", "fuzzymatching"]),
            st.text("0123456789.,-*?\\CTMR", max_size=24),
        ),
        max_size=6,
    )
)
def test_a_search_is_what_was_asked_or_an_error(parameters: list[tuple[str, str]]) -> None:
    try:
        found = parse(*parameters)
    except BadQueryError:
        return
    asked = {name for name, value in parameters if value and name in STUDY_KEYS}
    applied = {*found.uids, *found.exact, *found.codes, *found.numbers}
    assert applied | ({"StudyDate"} if found.first or found.last else set()) == asked
