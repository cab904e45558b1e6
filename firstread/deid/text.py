"""Sweep free text for what the header itself says identifies the patient, and for dates and numbers that may."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from pydicom.datadict import tag_for_keyword

from firstread.deid.terms import TERMS
from firstread.dicom.metadata import parse_date

# Attributes whose values identify, at any depth. Codes and numbers first; then words, which may be ordinary ones.
_IDENTIFIERS = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "PatientID",
        "OtherPatientIDs",
        "AccessionNumber",
        "StudyID",
        "AdmissionID",
        "ServiceEpisodeID",
        "PatientTelephoneNumbers",
        "MedicalRecordLocator",
        "ClinicalTrialSubjectID",
        "ClinicalTrialSubjectReadingID",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "PerformedProcedureStepID",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
    )
)
_PLACES = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "IssuerOfPatientID",
        "PatientAddress",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "ReferringPhysicianAddress",
        "MilitaryRank",
        "CountryOfResidence",
        "RegionOfResidence",
    )
)
Hint = tuple[str, str]
"""Kind and text of a value that identifies: see `hint_kind`."""

_BIRTH_DATE = 0x00100030
_NAME_SEPARATORS = re.compile(r"[\^=\s,;.-]+")
_TITLES = frozenset("DR MR MRS MS MD PROF JR SR PHD".split())
_GENERIC = frozenset(
    "STREET ROAD AVENUE LANE DRIVE SQUARE PLACE COURT BOULEVARD HOSPITAL CLINIC CENTER CENTRE MEDICAL HEALTH "
    "UNIVERSITY GENERAL DEPARTMENT RADIOLOGY NORTH SOUTH EASTERN WESTERN COUNTY STATE".split()
)
# Letters that Unicode does not decompose.
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "AE"}
)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
# Before names and numbers are taken out of them: e-mail addresses and UIDs.
_ADDRESSES = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|(?<![\d.])\d+(?:\.\d+){5,}(?![\d.])")
_TELEPHONES = re.compile(
    r"(?<!\w)\+\d[\d ()/-]{6,}\d|(?<![\d.])\(?\d{2,5}\)?[ /]\d{3}[ -]?\d{3,4}(?!\d)|(?<!\d)\d{3}\.\d{3}\.\d{4}(?!\d)"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
# Dates before other numbers: "4000 2011.11.17" is a number and a date, not one long number.
_DATES = re.compile(
    "|".join(
        (
            r"(?<!\d)(?:19|20)\d{2}[-/.]?(?:0\d|1[0-2])[-/.]?(?:[0-2]\d|3[01])(?!\d)",  # 20040826, 2004-08-26
            r"(?<!\d)(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)",  # 2004-8-26
            r"(?<!\d)\d{1,2}[-/.] ?\d{1,2}[-/.] ?(?:19|20)?\d{2}(?![\d.])",  # 26.08.2004, 26. 8. 2004, 8/26/04
            # 26 Aug 2004, 26th of August 2004, 26AUG04
            rf"(?<!\w){_DAY}(?:st|nd|rd|th)?[-. ]*(?:of )?(?:{_MONTHS})[a-z]*[-.,' ]*(?:19|20)?\d{{2}}(?!\d)",
            rf"(?<![a-z])(?:{_MONTHS})[a-z]*[-. ]+\d{{1,2}}(?:st|nd|rd|th)?[,. ]+(?:19|20)\d{{2}}",  # Aug 26, 2004
        )
    ),
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    "|".join(
        (
            r"(?<![\d.])\+?\d[\d ()/-]{6,}\d(?!\d)",  # telephone and other long numbers
            r"(?<!\d)\d{6,}(?!\d)",
        )
    )
)
# Somebody the header does not know, behind a word that says that a name follows. "MR" and "MS" without a full stop
# are a modality and a disease.
_CUED = re.compile(
    r"(?<!\w)((?:Dr|DR|dr|Prof|PROF|Mrs|MRS)\.?|(?:Mr|MR|Ms|MS)\.|[Nn]urse|NURSE|[Dd]octor"
    r"|[Dd]aughter|[Ss]on|[Mm]other|[Ff]ather|[Ww]ife|[Hh]usband|[Ss]ister|[Bb]rother)"
    r"(?:\s+[A-Z][\w'\u2019-]+){1,2}"
)
_LONG = 5  # shorter ones are ages, sizes and defined terms
_ANYWHERE = 6  # identifiers so long that they are looked for inside words as well
_SPACES = re.compile(r"\s{2,}")


@dataclass(frozen=True)
class Sweep:
    """Removes a patient's identifiers from text.

    Parameters
    ----------
    seeds
        One expression that matches any identifier of the header; None where there is none.
    """

    seeds: re.Pattern[str] | None

    def clean(self, value: str, *, prose: bool) -> str:
        """Return the text without identifiers; unchanged to the letter where there is nothing to remove.

        Parameters
        ----------
        value
            One value of an attribute.
        prose
            Whether somebody may have typed it: then dates and long numbers go as well. Codes and serial numbers
            only lose what the header itself names, UIDs, e-mail addresses and telephone numbers.
        """
        swept = _TELEPHONES.sub(" ", _ADDRESSES.sub(" ", value))
        swept = self.seeds.sub(" ", swept) if self.seeds else swept
        if prose:
            swept = _CUED.sub(r"\1 ", swept)
            swept = _NUMBERS.sub(" ", _DATES.sub(" ", swept))
        return value if swept == value else _SPACES.sub(" ", swept).strip(" ^,;:-")

    def is_identifier(self, value: str) -> bool:
        """Return whether a structured value as a whole is a long identifier of the header."""
        stripped = value.strip()
        return len(stripped) >= _LONG and self.seeds is not None and bool(self.seeds.fullmatch(stripped))

    def is_term(self, value: str) -> bool:
        """Return whether a code string is a defined term, or at least names nobody."""
        return value.strip().upper() in TERMS or self.clean(value, prose=True) == value

    def names_in(self, value: bytes) -> bool:
        """Return whether binary data holds an identifier of the header as text."""
        if self.seeds is None:
            return False
        found = self.seeds.finditer(value.decode("latin-1"))
        return any(len(match[0]) >= _LONG for match in found)


def hint_kind(tag: int, vr: str) -> str | None:
    """Return what an attribute says of a patient: a name, birth, date, identifier or place; None if nothing.

    Parameters
    ----------
    tag
        ``group << 16 | element``.
    vr
        Value representation in the dataset or the dictionary.
    """
    if vr == "PN":
        return "name"
    if vr in ("DA", "DT"):
        return "birth" if tag == _BIRTH_DATE else "date"
    if tag in _IDENTIFIERS:
        return "identifier"
    return "place" if tag in _PLACES else None


@lru_cache(maxsize=32)
def sweep_for(hints: frozenset[Hint]) -> Sweep:
    """Build the sweep from what a dataset says of its patient; files of one study mostly say the same."""
    seeds = {form for kind, value in hints for seed in _SEEDS[kind](value) for form in _forms(seed)}
    if not seeds:
        return Sweep(None)
    longest_first = sorted(seeds, key=lambda seed: (-len(seed), seed))
    return Sweep(re.compile("|".join(map(_bounded, longest_first)), re.IGNORECASE))


def _bounded(seed: str) -> str:
    """Return an expression for a seed that is not part of a longer word or number."""
    body = re.escape(seed)
    if len(seed) >= _ANYWHERE:
        return body
    before = r"(?<!\d)" if seed[0].isdigit() else r"(?<![^\W\d_])"
    after = r"(?!\d)" if seed[-1].isdigit() else r"(?![^\W\d_])"
    return before + body + after


def _forms(seed: str) -> Iterable[str]:
    """Return a seed composed, decomposed, without accents and in plain letters."""
    decomposed = unicodedata.normalize("NFD", seed)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return (unicodedata.normalize("NFC", seed), decomposed, plain, plain.translate(_LETTERS))


def _is_rare(word: str, length: int) -> bool:
    return len(word) >= length and word.upper() not in TERMS


def _identifier_parts(value: str) -> Iterator[str]:
    for part in value.split("\\"):
        # A short number is a size or a count more often than it is an identifier: "12" and a nodule of 12 mm.
        if _is_rare(part, 4 if part.isdigit() else 3):
            yield part
        yield from re.findall(r"\d{4,}", part)


def _place_parts(value: str) -> Iterator[str]:
    for place in re.split(r"[\\,;\r\n]", value):
        if _is_rare(place.strip(), 4):
            yield place.strip()
        if "," in value:  # an address: its street and its town stand alone as well
            yield from (
                word
                for word in re.findall(r"[^\W\d_]{5,}", place)
                if _is_rare(word, 5) and not _is_generic(word)
            )


def _is_generic(word: str) -> bool:
    return word.upper() in _GENERIC


def _long_dates(value: str) -> Iterator[str]:
    return (part[:8] for part in value.split("\\") if len(part) >= 8 and part[:8].isdigit())


def _name_parts(name: str) -> Iterator[str]:
    for spelling in re.split(r"[=\\]", name):
        if len(spelling) >= 3:
            yield spelling
        parts = [part for part in _NAME_SEPARATORS.split(spelling) if part]
        if len(parts) > 1:
            yield parts[0] + parts[1]
            yield parts[1] + parts[0]
        yield from (part for part in (*parts, *spelling.split("^")) if _is_name(part.strip()))
        for part in parts:
            yield from _without_apostrophe(part)


def _without_apostrophe(part: str) -> Iterator[str]:
    pieces = re.split(r"['`\u2019]", part)
    if len(pieces) > 1:
        yield from ("".join(pieces), " ".join(pieces))
        yield from (piece for piece in pieces if len(piece) >= 3)


def _is_name(part: str) -> bool:
    # "MR" is a title and a modality.
    return len(part) >= 3 or (len(part) == 2 and part.upper() not in TERMS | _TITLES)


def _spellings(day: date) -> Iterable[str]:
    patterns = "%Y%m%d %d%m%Y %m%d%Y %d%m%y %y%m%d %Y-%m-%d %d.%m.%Y %d/%m/%Y %m/%d/%Y".split()
    return (day.strftime(pattern) for pattern in patterns)


def _birth_dates(value: str) -> Iterator[str]:
    yield from _long_dates(value)
    born = parse_date(value.strip())
    if born is not None:
        yield from _spellings(born)


_SEEDS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "name": _name_parts,
    "birth": _birth_dates,
    "date": _long_dates,
    "identifier": _identifier_parts,
    "place": _place_parts,
}
