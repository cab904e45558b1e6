"""One plant for every row of Table E.1-1 (PS3.15, edition 2026c; the basic column of `dicom-anonymizer`)."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from dicomanonymizer.dicom_anonymization_databases import (
    dicomfields_2026c as table,
)
from pydicom.datadict import dictionary_VR, keyword_for_tag

from tests.exam.key import Secret
from tests.exam.people import Patient
from tests.exam.planter import Place

_LISTS = {
    "X": table.X_TAGS,
    "Z": table.Z_TAGS,
    "D": table.D_TAGS,
    "U": table.U_TAGS,
    "X/Z": table.X_Z_TAGS,
    "X/D": table.X_D_TAGS,
    "X/Z/D": table.X_Z_D_TAGS,
    "Z/D": table.Z_D_TAGS,
    "X/Z/U*": table.X_Z_U_STAR_TAGS,
}
# Dates that are not of the course of care: birth, and the satellite's clock.
_UNSHIFTED = frozenset({0x00100030, 0x00160077})
# Not text that somebody could have planted into: numbers, times, ages.
_SKIPPED = frozenset({"TM", "AS", "DS", "IS", "US", "UL", "FD", "FL", "SS", "SL", "AT"})


@dataclass(frozen=True)
class Row:
    """One attribute of the table.

    Parameters
    ----------
    tag
        Group and element.
    code
        What the Basic Profile does.
    vr
        Value representation; of rows newer than the dictionary, LT.
    """

    tag: int
    code: str
    vr: str

    @property
    def kind(self) -> str:
        """As it is named in the key."""
        return f"row {self.code}, {self.vr}: {keyword_for_tag(self.tag) or 'newer than the dictionary'}"


def rows() -> Iterator[Row]:
    """Yield the rows that can be planted into a dataset."""
    for code, tags in _LISTS.items():
        for tag in tags:
            if len(tag) != 2:
                continue
            number = tag[0] << 16 | tag[1]
            try:
                vr = dictionary_VR(number).split(" or ")[0]
            except KeyError:
                vr = "LT"
            if tag[0] >= 0x0008 and vr not in _SKIPPED and number < 0x7FE00010:
                yield Row(number, code, vr)


class Deck:
    """Deals the rows over the files of the exam, so that every row has its turn."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._all = list(rows())
        self._left: list[Row] = []

    def deal(self, place: Place, patient: Patient, study: int, count: int) -> None:
        """Plant the next rows that are not in the dataset yet."""
        planted = 0
        passed: list[Row] = []
        while planted < count:
            if not self._left:
                self._left = self._rng.sample(self._all, len(self._all))
            row = self._left.pop()
            if row.tag in place.item:
                passed.append(row)
                if len(passed) > len(self._all):
                    break
                continue
            _plant(place, row, patient, study, self._rng)
            planted += 1
        self._left = passed + self._left


def _plant(place: Place, row: Row, patient: Patient, study: int, rng: random.Random) -> None:
    if row.vr in ("DA", "DT"):
        _date(place, row, patient, study, rng)
    elif row.vr == "UI":
        _uid(place, row, rng)
    elif row.vr == "SQ":
        _sequence(place, row, patient)
    else:
        value, fragments = _text(row, patient, study)
        answer = "" if "Z" in row.code or row.code == "D" else None
        place.hide(row.tag, value, fragments, row.kind, answer=answer, vr=row.vr)


def _date(place: Place, row: Row, patient: Patient, study: int, rng: random.Random) -> None:
    day = patient.studies[study] - timedelta(days=rng.randrange(0, 15))
    time = "101112.5" if row.vr == "DT" else ""
    if row.tag in _UNSHIFTED:
        value = f"{day:%Y%m%d}{time}"
        place.hide(row.tag, value, [value], row.kind)
    else:
        place.day(row.tag, day, time=time)


def _uid(place: Place, row: Row, rng: random.Random) -> None:
    uid = f"1.2.826.0.1.3680043.10.1462.{rng.randrange(10**12, 10**13)}"
    if row.code == "U":
        place.uid(row.tag, uid, row.kind)
    else:
        place.hide(row.tag, uid, [uid], row.kind)
        place.key.secrets.append(Secret(uid, row.kind))


def _sequence(place: Place, row: Row, patient: Patient) -> None:
    item = place.inside(row.tag)
    person, number = patient.referring, patient.accessions[0]
    item.hide("PersonName", person.pn, person.cores[:2], f"{row.kind} > PersonName", answer="")
    item.hide("CodeMeaning", f"{number} of {person.last}", [number, person.last], f"{row.kind} > CodeMeaning")
    item.hide("InstitutionName", patient.institution, [patient.institution], f"{row.kind} > InstitutionName")


def _text(row: Row, patient: Patient, study: int) -> tuple[object, list[str]]:
    """Return a value of the VR, and what of it may not be left."""
    person = patient.name if patient.name.cores else patient.performing
    core, accession = person.cores[0], patient.accessions[study]
    ascii_core = core if core.isascii() else patient.operator.cores[0]
    made: dict[str, Callable[[], tuple[object, list[str]]]] = {
        "PN": lambda: (person.pn, [core, person.cores[1]]),
        "SH": lambda: (ascii_core[:16], [ascii_core[:16]]),
        "CS": lambda: (ascii_core.upper()[:16], [ascii_core[:16]]),
        "AE": lambda: (ascii_core.upper()[:16], [ascii_core[:16]]),
        "UR": lambda: (f"https://{patient.host.lower()}/wado/{accession}", [accession, patient.host]),
        "LO": lambda: (f"{core} {accession}", [core, accession]),
    }
    if row.vr in made:
        return made[row.vr]()
    if row.vr in ("OB", "OW", "UN"):
        return f"{ascii_core}!{accession}!".ljust(40).encode(), [ascii_core, accession]
    return f"Seen {person.first} {core}, {accession}, {patient.phone}", [core, accession, patient.phone]
