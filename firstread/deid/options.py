"""Profiles and options of PS3.15 Annex E, as names; what each does stands in Table E.1-1."""

from collections.abc import Mapping
from enum import StrEnum

from firstread.result import Code


class Option(StrEnum):
    """Options of the Basic Profile (PS3.15 E.3); the value is the key in the table's data file."""

    CLEAN_PIXEL_DATA = "clean_pixel_data"
    CLEAN_GRAPHICS = "clean_graphics"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    RETAIN_FULL_DATES = "retain_full_dates"
    RETAIN_MODIFIED_DATES = "retain_modified_dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_DEVICE_IDENTITY = "retain_device_identity"
    RETAIN_UIDS = "retain_uids"
    RETAIN_SAFE_PRIVATE = "retain_safe_private"
    RETAIN_INSTITUTION_IDENTITY = "retain_institution_identity"


class Profile(StrEnum):
    """Ready-made sets of options."""

    SAFE_HARBOR_STRICT = "safe-harbor-strict"
    """No date element but the year, no device identity: made for 45 CFR 164.514(b)(2)."""
    LONGITUDINAL = "longitudinal"
    """Dates moved by one random number of days per patient; the profile of the pipeline."""

    @property
    def options(self) -> frozenset[Option]:
        """The options of the profile."""
        return _PROFILES[self]


_STRICT = frozenset(
    {
        Option.CLEAN_PIXEL_DATA,
        Option.CLEAN_GRAPHICS,
        Option.CLEAN_STRUCTURED_CONTENT,
        Option.CLEAN_DESCRIPTORS,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
    }
)
_PROFILES: Mapping[Profile, frozenset[Option]] = {
    Profile.SAFE_HARBOR_STRICT: _STRICT,
    Profile.LONGITUDINAL: _STRICT | {Option.RETAIN_MODIFIED_DATES, Option.RETAIN_DEVICE_IDENTITY},
}


def _code(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="DCM", meaning=meaning)


METHOD_CODES: Mapping[Option | None, Code] = {
    None: _code("113100", "Basic Application Confidentiality Profile"),
    Option.CLEAN_PIXEL_DATA: _code("113101", "Clean Pixel Data Option"),
    Option.CLEAN_GRAPHICS: _code("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: _code("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: _code("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: _code("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    Option.RETAIN_MODIFIED_DATES: _code(
        "113107", "Retain Longitudinal Temporal Information Modified Dates Option"
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: _code("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: _code("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: _code("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: _code("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: _code("113112", "Retain Institution Identity Option"),
}
"""Codes of CID 7050 (PS3.16) for De-identification Method Code Sequence; None is the Basic Profile."""
