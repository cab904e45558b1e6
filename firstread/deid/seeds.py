"""What a header says of its patient, as expressions that find it again in free text."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date

from pydicom.datadict import tag_for_keyword

from firstread.deid.patterns import TITLE, is_word
from firstread.deid.terms import TERMS
from firstread.dicom.metadata import parse_date

Hint = tuple[str, str]
"""Kind and text of a value that identifies: see `hint_kind`."""

# Attributes whose values identify, at any depth.
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
        "ReferringPhysicianTelephoneNumbers",
        "PersonTelephoneNumbers",
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
        "PersonAddress",
        "MilitaryRank",
        "CountryOfResidence",
        "RegionOfResidence",
    )
)
INSTITUTION = frozenset({0x00080080, 0x00080081, 0x00081040})
"""Name, address and department of the institution, which an option may keep."""

_BIRTH_DATE = 0x00100030
_NAME_SEPARATORS = re.compile(r"[\^=\s,;.-]+")
_TITLES = frozenset("DR MR MRS MS MD PROF JR SR PHD".split())
_GENERIC = frozenset(
    "STREET ROAD AVENUE LANE DRIVE SQUARE PLACE COURT BOULEVARD HOSPITAL CLINIC CENTER CENTRE MEDICAL HEALTH "
    "UNIVERSITY GENERAL DEPARTMENT RADIOLOGY NORTH SOUTH EASTERN WESTERN COUNTY STATE IMAGING CARDIOLOGY ASSOCIATES "
    "MEMORIAL COMMUNITY REGIONAL CHILDREN CHILDRENS WOMENS CANCER HEART INSTITUTE FOUNDATION SERVICES GROUP DIAGNOSTIC "
    "DIAGNOSTICS OUTPATIENT INPATIENT EMERGENCY TRAUMA PEDIATRIC PEDIATRICS ORTHOPEDIC ORTHOPEDICS NEUROLOGY ONCOLOGY "
    "SURGERY SURGICAL INTERVENTIONAL NUCLEAR MEDICINE ULTRASOUND NATIONAL VASCULAR CARDIAC INTENSIVE PHYSICIANS "
    "ABDOMINAL THORACIC BREAST SPINE KLINIKUM KRANKENHAUS CLINICS HOSPITALS PRACTICE PRIVATE STREET FLOOR "
    "BUILDING CLINICAL RESEARCH SCIENCE SCIENCES SYSTEM SYSTEMS TEACHING REFERENCE LABORATORY".split()
)
# Letters that Unicode does not decompose.
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "AE"}
)
_SPELT_OUT = re.compile("([aou])e", re.IGNORECASE)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_ANYWHERE = 6  # identifiers so long that they are looked for inside words as well
_JOINT = r"[\s,^._/\\'\u2019-]*"  # between the parts of a name
# Scripts that put no space between words: Thai and Lao, Han, kana, Hangul (with particles behind a name).
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]+"
)


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


def expression(hints: frozenset[Hint]) -> re.Pattern[str] | None:
    """Return one expression that finds everything the hints say; None where they say nothing."""
    found = {each for kind, value in hints for each in _EXPRESSIONS[kind](value)}
    if not found:
        return None
    return re.compile("|".join(sorted(found, key=lambda each: (-len(each), each))), re.IGNORECASE)


def numbers(hints: frozenset[Hint]) -> frozenset[int]:
    """Return the identifiers that a binary number may hold."""
    found = (
        re.sub(r"\D", "", part) for kind, value in hints if kind == "identifier" for part in value.split("\\")
    )
    return frozenset(int(digits) for digits in found if len(digits) >= _ANYWHERE)


def _plain(seeds: Iterable[str]) -> Iterator[str]:
    """Yield expressions for seeds in all their forms."""
    for seed in seeds:
        for form in _forms(seed):
            yield _bounded(re.escape(form), form)


def _bounded(body: str, seed: str) -> str:
    """Return an expression for a seed that is not part of a longer word or number."""
    if len(seed) >= _ANYWHERE or _UNSPACED.fullmatch(seed):
        return body
    before = r"(?<!\d)" if seed[0].isdigit() else r"(?<![^\W\d_])"
    after = r"(?!\d)" if seed[-1].isdigit() else r"(?![^\W\d_])"
    return before + body + after


def _forms(seed: str) -> set[str]:
    """Return a seed composed, decomposed, without accents, in plain letters, with umlauts spelt out and not.

    Also as UTF-8, where the file says that it has another character set and has not.
    """
    with suppress(UnicodeError):
        if not seed.isascii() and (meant := seed.encode("latin-1").decode("utf-8")) != seed:
            return _forms(meant) | {seed}
    decomposed = unicodedata.normalize("NFD", seed)
    composed = unicodedata.normalize("NFC", seed)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    spelt_out = composed.translate(_LETTERS), decomposed.translate(_LETTERS), composed.translate(_UMLAUTS)
    umlauts = _SPELT_OUT.sub(lambda match: unicodedata.normalize("NFC", match[1] + "\u0308"), composed)
    return {composed, decomposed, plain, plain.translate(_LETTERS), *spelt_out, umlauts}


def _is_rare(word: str, length: int) -> bool:
    return len(word) >= length and word.upper() not in TERMS


# --- names ---


def _names(value: str) -> Iterator[str]:
    for spelling in re.split(r"[=\\]", value):
        if len(spelling) >= 3 and not is_word(spelling.strip(" ^")):
            yield from _plain([spelling])
        parts = [part for part in _NAME_SEPARATORS.split(spelling) if part]
        yield from _together(parts)
        if len(parts) > 1 and all(
            _UNSPACED.fullmatch(part) for part in parts
        ):  # a family name may be one letter
            yield from (_JOINT.join(map(_any_of_group, order)) for order in (parts, parts[::-1]))
        pieces = {part.strip() for part in (*parts, *spelling.split("^"))}
        yield from _plain(piece for piece in pieces if _is_name(piece) and not is_word(piece))
        for part in parts:
            yield from _plain(_without_apostrophe(part))
        for component in spelling.split("^"):  # "van der Berg" in one word
            words = component.split()
            if len(words) > 1:
                yield from _plain(["".join(words)])


def _together(parts: list[str]) -> Iterator[str]:
    """Yield expressions for parts of one name beside each other, initials included, and behind a title.

    They find names that are words as well: "June White" and "Mr. White", but not white matter in June.
    """
    for part in {part for part in parts if len(part) > 1}:
        bodies = _any_of(part)
        others = "|".join(_any_of(other) for other in parts if other != part and len(other) > 1)
        initials = "|".join(sorted({re.escape(other[0]) for other in parts if other != part}))
        if others:
            yield rf"(?<![^\W\d_])(?:{others}){_JOINT}(?:{bodies})(?![^\W\d_])"
            yield rf"(?<![^\W\d_])(?:{bodies}){_JOINT}(?:{others})(?![^\W\d_])"
        if initials:
            yield rf"(?<!\w)(?:{initials})\.?[ ^]*(?<=[ .^])(?:{bodies})(?![^\W\d_])"
            yield rf"(?<![^\W\d_])(?:{bodies})[ ,^]+(?:{initials})(?![\w'/+=-])\.?"
        if initials and len(part) >= 4 and not is_word(part):
            yield rf"(?<![^\W\d_])(?:(?:{initials})(?:{bodies})|(?:{bodies})(?:{initials}))(?![^\W\d_])"
        if len(part) >= 4 and part.isascii():
            yield rf"(?<![^\W_]){r'[ .]{1,2}'.join(map(re.escape, part))}(?![^\W_])"  # S M I T H
        if is_word(part):
            yield rf"{TITLE}(?:{bodies})(?![^\W\d_])"
            yield rf"(?<![^\W\d_])(?:{bodies})['\u2019]s(?!\w)"


def _any_of_group(part: str) -> str:
    return f"(?:{_any_of(part)})"


def _any_of(part: str) -> str:
    return "|".join(sorted(re.escape(form) for form in _forms(part)))


def _without_apostrophe(part: str) -> Iterator[str]:
    pieces = re.split(r"['`\u2019]", part)
    if len(pieces) > 1:
        yield from ("".join(pieces), " ".join(pieces))
        yield from (piece for piece in pieces if len(piece) >= 3 and not is_word(piece))


def _is_name(part: str) -> bool:
    # "MR" is a title and a modality.
    return len(part) >= 3 or (len(part) == 2 and part.upper() not in TERMS | _TITLES)


# --- numbers ---


def _identifiers(value: str) -> Iterator[str]:
    for part in value.split("\\"):
        # A short number is a size or a count more often than it is an identifier: "12" and a nodule of 12 mm.
        if _is_rare(part, 4 if part.isdigit() else 3):
            yield from _plain([part])
        for number in re.findall(r"\d{4,}", part):
            yield from _plain({number, number.lstrip("0")} if len(number.lstrip("0")) >= 4 else [number])
        digits = re.sub(r"\D", "", part)
        if len(digits) >= _ANYWHERE:  # grouped in another way than in the header
            yield rf"(?<!\d){r'[ ().+/-]{0,2}'.join(digits)}(?!\d)"
        signs = re.sub(r"[\W_]", "", part)
        if len(signs) >= _ANYWHERE and digits and digits != signs:
            yield rf"(?<![^\W_]){r'[ ./_-]?'.join(signs)}(?![^\W_])"


# --- places ---


def _places(value: str) -> Iterator[str]:
    for place in re.split(r"[\\,;\r\n]", value):
        if _is_rare(place.strip(), 4) and not is_word(place.strip()):
            yield from _plain([place.strip()])
        if re.search(
            r"[\s,]", value.strip()
        ):  # the street, the town, what a hospital is called by stand alone as well
            words = re.findall(r"[^\W\d_]{5,}", place)
            yield from _plain(word for word in words if word.upper() not in _GENERIC and not is_word(word))


# --- dates ---


def _dates(value: str) -> Iterator[str]:
    return _plain(part[:8] for part in value.split("\\") if len(part) >= 8 and part[:8].isdigit())


def _birth_dates(value: str) -> Iterator[str]:
    yield from _dates(value)
    born = parse_date(value.strip())
    if born is not None:
        yield from _plain(_spellings(born))


def _spellings(day: date) -> Iterable[str]:
    patterns = "%Y%m%d %d%m%Y %m%d%Y %d%m%y %y%m%d %Y-%m-%d %d.%m.%Y %d/%m/%Y %m/%d/%Y".split()
    return (day.strftime(pattern) for pattern in patterns)


_EXPRESSIONS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "name": _names,
    "birth": _birth_dates,
    "date": _dates,
    "identifier": _identifiers,
    "place": _places,
}
