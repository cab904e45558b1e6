"""Parameters of a search (PS3.18 8.3.4), parsed strictly: a filter that is passed over would show other patients."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from firstread.dicom.metadata import parse_date
from portal.logic.dicomweb.errors import BadQueryError

DEFAULT_STUDIES = 100
"""Studies in an answer where the client does not say."""
MAX_STUDIES = 1000
"""Most studies in one answer."""
MAX_OFFSET = 5000
"""Furthest a client may page into studies; beyond, a narrower search is due."""
MAX_UIDS = 100
"""Most UIDs in a list."""
_UID = re.compile(r"[0-9.]{1,64}")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_PSEUDONYM = re.compile(r"[^*?\\\x00-\x1f\x7f]{1,64}")  # PS3.5 6.2: LO and SH have no control characters
_CODE = re.compile(r"[A-Za-z0-9 _*?]{1,16}")
_NUMBER = re.compile(r"-?[0-9]{1,9}")


class Kind(Enum):
    """How a key is matched (PS3.4 C.2.2.2)."""

    UIDS = "a UID or a list of them"
    EXACT = "one value without wildcards"
    RANGE = "a date YYYYMMDD or a range of dates"
    CODES = "a code, a list of codes, or a pattern with * and ?"
    NUMBER = "a whole number"


STUDY_KEYS: Mapping[str, Kind] = {
    "StudyInstanceUID": Kind.UIDS,
    "PatientID": Kind.EXACT,
    "AccessionNumber": Kind.EXACT,
    "StudyDate": Kind.RANGE,
    "ModalitiesInStudy": Kind.CODES,
    "Modality": Kind.CODES,
}
SERIES_KEYS: Mapping[str, Kind] = {
    "SeriesInstanceUID": Kind.UIDS,
    "Modality": Kind.CODES,
    "SeriesNumber": Kind.NUMBER,
}
INSTANCE_KEYS: Mapping[str, Kind] = {
    "SOPInstanceUID": Kind.UIDS,
    "SOPClassUID": Kind.UIDS,
    "InstanceNumber": Kind.NUMBER,
}


@dataclass(frozen=True)
class Query:
    """A search that was understood.

    Parameters
    ----------
    uids, exact, codes, numbers
        Key -> what it must be. A key with an empty value matches everything (PS3.4 C.2.2.2.3) and is left out.
    first, last
        Bounds of Study Date, both included; "" for none.
    limit
        None where the client did not say.
    """

    uids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    exact: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    limit: int | None = None
    offset: int = 0

    def has_uid(self, key: str, value: str) -> bool:
        """Tell whether a UID matches."""
        return key not in self.uids or value in self.uids[key]

    def has_code(self, key: str, values: Iterable[str]) -> bool:
        """Tell whether one of some codes matches."""
        patterns = self.codes.get(key)
        return patterns is None or any(fnmatchcase(v, p) for v in values for p in patterns)

    def has_number(self, key: str, value: int | None) -> bool:
        """Tell whether a number matches."""
        return key not in self.numbers or value == self.numbers[key]

    def has_date(self, value: str) -> bool:
        """Tell whether a date matches; no date is in no range."""
        if not (self.first or self.last):
            return True
        return bool(value) and self.first <= value <= (self.last or "99999999")


def parse_query(parameters: Iterable[tuple[str, str]], keys: Mapping[str, Kind]) -> Query:
    """Return the search that parameters ask for.

    Parameters
    ----------
    parameters
        Name and value of each, as they came. A name is a keyword or eight hexadecimal digits (PS3.18 8.3.4.1).
    keys
        Which may be matched at this level.

    Raises
    ------
    BadQueryError
        Naming the parameter that is not understood, never its value.
    """
    values: dict[str, str] = {}
    for name, value in parameters:
        if name == "includefield":
            _check_fields(value)
            continue
        key = _key(name, keys)
        if key in values:
            raise BadQueryError(f"{key} is there twice")
        values[key] = value
    if values.pop("fuzzymatching", "false") != "false":
        raise BadQueryError("fuzzymatching can only be false")
    limit = _natural("limit", values.pop("limit")) if "limit" in values else None
    if limit == 0:
        raise BadQueryError("limit is a whole number from 1")
    offset = _natural("offset", values.pop("offset", "0"))
    given = {key: value for key, value in values.items() if value}

    def of(kind: Kind) -> dict[str, str]:
        return {key: value for key, value in given.items() if keys[key] is kind}

    first, last = next((_dates(key, value) for key, value in of(Kind.RANGE).items()), ("", ""))
    return Query(
        uids={key: _uids(key, value) for key, value in of(Kind.UIDS).items()},
        exact={key: _matched(_PSEUDONYM, key, keys, value) for key, value in of(Kind.EXACT).items()},
        codes={key: _codes(key, keys, value) for key, value in of(Kind.CODES).items()},
        numbers={key: int(_matched(_NUMBER, key, keys, value)) for key, value in of(Kind.NUMBER).items()},
        first=first,
        last=last,
        limit=limit,
        offset=offset,
    )


def _key(name: str, keys: Mapping[str, Kind]) -> str:
    if name in ("limit", "offset", "fuzzymatching"):
        return name
    keyword = keyword_for_tag(int(name, 16)) if _TAG.fullmatch(name) else name
    if keyword not in keys:
        known = keyword if tag_for_keyword(keyword) is not None else "a parameter that is no attribute"
        raise BadQueryError(f"{known} is no matching key here; these are: {', '.join(keys)}")
    return keyword


def _check_fields(value: str) -> None:
    """Accept names of attributes; an answer has all that is known of a study in any case."""
    for each in value.split(","):
        for name in each.strip().split("."):
            if name not in ("", "all") and not _TAG.fullmatch(name) and tag_for_keyword(name) is None:
                raise BadQueryError("includefield takes keywords, tags of eight digits, and all")


def _natural(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise BadQueryError(f"{key} is a whole number")
    return int(value)


def _matched(pattern: re.Pattern[str], key: str, keys: Mapping[str, Kind], value: str) -> str:
    value = value.strip()
    if not pattern.fullmatch(value):
        raise BadQueryError(f"{key} is {keys[key].value}")
    return value


def _uids(key: str, value: str) -> frozenset[str]:
    found = [each.strip() for each in re.split(r"[,\\]", value)]
    if len(found) > MAX_UIDS or not all(_UID.fullmatch(each) for each in found):
        raise BadQueryError(f"{key} is {Kind.UIDS.value}, at most {MAX_UIDS}")
    return frozenset(found)


def _codes(key: str, keys: Mapping[str, Kind], value: str) -> tuple[str, ...]:
    return tuple(_matched(_CODE, key, keys, each).upper() for each in re.split(r"[,\\]", value))


def _dates(key: str, value: str) -> tuple[str, str]:
    first, is_range, last = value.strip().partition("-")
    if not is_range:
        last = first
    valid = all(not each or parse_date(each) is not None for each in (first, last))
    if not valid or not (first or last):
        raise BadQueryError(f"{key} is {Kind.RANGE.value}")
    return first, last
