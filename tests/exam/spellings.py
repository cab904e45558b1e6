"""How people type what they should not: names, dates and numbers in free text."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from tests.exam.key import Secret
from tests.exam.people import Name, Patient


@dataclass(frozen=True)
class Spelling:
    """One spelling of an identifier.

    Parameters
    ----------
    kind
        In words.
    text
        As typed.
    fragments
        What may not be left of it.
    day
        YYYYMMDD, if it is a date.
    """

    kind: str
    text: str
    fragments: tuple[str, ...]
    day: str = ""


def plain(text: str) -> str:
    """Return a text without accents, as a keyboard of another country types it."""
    swapped = text.replace("ø", "o").replace("Ø", "O")
    return "".join(
        letter for letter in unicodedata.normalize("NFD", swapped) if not unicodedata.combining(letter)
    )


def names(name: Name, label: str) -> Iterator[Spelling]:
    """Yield a name in many spellings."""
    last, first = name.last, name.first
    typed = {
        "first last": f"{first} {last}",
        "last, first": f"{last}, {first}",
        "LAST^FIRST": f"{last.upper()}^{first.upper()}",
        "LAST FIRST": f"{last.upper()} {first.upper()}",
        "lower case": f"{first.lower()} {last.lower()}",
        "initial last": f"{first[0]}. {last}",
        "last initial": f"{last} {first[0]}",
        "title last": f"Mr. {last}",
        "glued": f"{first}{last}",
        "glued last first": f"{last}{first}",
        "underscores": f"{last}_{first}_axial",
        "possessive": f"{first} {last}'s",
        "hyphens": f"{last}-{first}",
        "dots": f"{first.lower()}.{last.lower()}",
        "slash": f"{last}/{first}",
        "number glued": f"{last}{first}1",
        "(last first)": f"({last} {first})",
    }
    for kind, text in typed.items():
        cores = tuple(core for core in name.cores if core.lower() in text.lower())
        # Where the name is made of words, only the words together name somebody.
        yield Spelling(f"{label}, {kind}", text, cores or (text,))
    yield from _parts(name, label)


def _parts(name: Name, label: str) -> Iterator[Spelling]:
    """Yield parts of a name that still name its bearer."""
    for core in name.cores:
        yield Spelling(f"{label}, one part", core, (core,))
        yield Spelling(f"{label}, one part in capitals", core.upper(), (core,))
        if plain(core) != core:
            yield Spelling(f"{label}, without accents", plain(core), (plain(core),))
    if "'" in name.last:
        for kind, joint in (("no apostrophe", ""), ("curly apostrophe", "`"), ("space", " ")):
            yield Spelling(f"{label}, {kind}", name.last.replace("'", joint), (name.last[2:],))
    if name.native:
        native = name.native.split("=")[0]
        yield Spelling(f"{label}, native", native.replace("^", " "), tuple(native.split("^")))
        if "^" in native and not native.isascii():
            yield Spelling(f"{label}, native glued", native.replace("^", ""), (native.replace("^", ""),))


_DATES = (
    "%Y%m%d",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%d%b%Y",
    "%d %B %Y",
    "%Y.%m.%d",
)


def _day_of(day: date, pattern: str) -> tuple[str, ...]:
    """Return day and month as they stand in a spelling: without the year they are still an element of a date."""
    left = pattern.replace("%Y", "").strip("-/., ")
    return () if left == "%m%d" else (day.strftime(left),)


def dates(day: date, label: str) -> Iterator[Spelling]:
    """Yield a date in twelve spellings with a four-digit year and some others."""
    iso = f"{day:%Y%m%d}"
    for pattern in _DATES:
        text = day.strftime(pattern)
        yield Spelling(f"{label}, {pattern}", text, (text, *_day_of(day, pattern)), iso)
    short = f"{day.month}/{day.day}/{day:%y}"
    yield Spelling(f"{label}, m/d/yy", short, (short,), iso)
    ordinal = f"{day:%b} {day.day}th, {day.year}"
    yield Spelling(f"{label}, Mon dth, Y", ordinal, (ordinal,), iso)


def numbers(patient: Patient, study: int) -> Iterator[Spelling]:
    """Yield identifiers that are no names."""
    accession = patient.accessions[study]
    if patient.patient_id:
        bare = "".join(letter for letter in patient.patient_id if letter.isdigit())
        yield Spelling("patient ID", patient.patient_id, (patient.patient_id,))
        yield Spelling("patient ID, digits only", bare, (bare,))
        yield Spelling("patient ID, labelled", f"ID#{bare}", (bare,))
        yield Spelling("patient ID, glued", f"pt{bare}chest", (bare,))
        yield Spelling("patient ID, lower case", patient.patient_id.lower(), (patient.patient_id,))
    yield Spelling("accession", accession, (accession,))
    yield Spelling("accession, labelled", f"Acc:{accession}", (accession,))
    yield Spelling("other ID", patient.other_id, (patient.other_id,))
    digits = "".join(letter for letter in patient.phone if letter.isdigit())
    yield Spelling("telephone", patient.phone, (patient.phone, patient.phone[6:]))
    yield Spelling("telephone, digits", digits, (digits,))
    dotted = f"{digits[:3]}.{digits[3:6]}.{digits[6:]}"
    yield Spelling("telephone, dots", dotted, (dotted, dotted[4:]))
    yield Spelling("e-mail", patient.email, (patient.email, patient.email.split("@")[1]))
    yield Spelling("street", patient.street, (patient.street, patient.street.split()[1]))
    yield Spelling("town", patient.town, (patient.town,))
    yield Spelling("institution", patient.institution, (patient.institution, patient.institution.split()[0]))
    yield Spelling("department", patient.department, (patient.department.split()[0],))


def strangers(name: Name) -> Iterator[Spelling]:
    """Yield the name of somebody whom no attribute of the header names; a title or a word gives it away."""
    for text in (f"Dr. {name.last}", f"nurse {name.last}", f"daughter {name.first} {name.last}"):
        yield Spelling(f"name in no header, {text.split()[0]}", text, (name.last,))


def everything(patient: Patient, study: int) -> list[Spelling]:
    """Return every spelling of everything that identifies a patient in one study."""
    found = [*names(patient.name, "patient name"), *numbers(patient, study)]
    for person, label in (
        (patient.referring, "referring physician"),
        (patient.performing, "performing physician"),
        (patient.operator, "operator"),
        (patient.mother, "mother's birth name"),
    ):
        found += [spelling for spelling in names(person, label) if "glued" not in spelling.kind]
    found += strangers(patient.stranger)
    found += dates(patient.birth, "birth date")
    found += dates(patient.studies[study], "study date")
    return found


def secrets(patient: Patient) -> Iterator[Secret]:
    """Yield what may stand in no file of a patient, long enough to be found in bytes by nothing but a leak."""
    for study in range(len(patient.studies)):
        for spelling in everything(patient, study):
            texts = (*spelling.fragments, *(() if len(spelling.fragments) > 1 else (spelling.text,)))
            for text in texts:
                if len(text) >= 6 or (len(text) >= 2 and not text.isascii()):
                    yield Secret(text, spelling.kind, spelling.day)
