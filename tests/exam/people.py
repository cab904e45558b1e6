"""Synthetic patients and staff: names that no clinical vocabulary holds, and names that are ordinary words."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_HEADS = "Quor Zhav Vexd Drun Mylk Brax Jorv Tchek Plonv Grisk Wexl Skarv Fjold Krunz Hvelt Yorq".split()
_TAILS = "vath zikov dovar quist myrre xleigh bourk stovik hjelm zonda mirov pfeld".split()
_GIVEN = "Zelv Orph Ysold Theodr Quint Mirab Ludov Evandr Hroswi Clotil Xanth Peregr".split()
_GIVEN_TAILS = "ira inna ette osia ilda iana oric emar".split()
_MIDDLES = ("", "an", "el", "ob", "iz", "um", "ev", "ark", "ost", "und")
_WORD_NAMES = (("Stent", "May"), ("White", "June"), ("Long", "Faith"), ("Head", "Rose"), ("Hand", "Summer"))


@dataclass(frozen=True)
class Name:
    """A person's name.

    Parameters
    ----------
    last, first, middle
        In Latin letters, as typed.
    cores
        Parts that are found nowhere but in this name.
    native
        Ideographic or other second representation, "" where there is none.
    """

    last: str
    first: str
    middle: str
    cores: tuple[str, ...]
    native: str = ""

    @property
    def pn(self) -> str:
        """As Person Name (PS3.5 6.2)."""
        latin = f"{self.last}^{self.first}^{self.middle}".rstrip("^")
        return f"{latin}={self.native}" if self.native else latin


@dataclass(frozen=True)
class Patient:
    """A synthetic patient with everything that identifies him or her."""

    number: int
    sort: str
    name: Name
    charset: str | list[str]
    patient_id: str
    issuer: str
    other_id: str
    birth: date
    age: int
    sex: str
    phone: str
    street: str
    town: str
    email: str
    mother: Name
    referring: Name
    performing: Name
    operator: Name
    stranger: Name
    institution: str
    department: str
    host: str
    studies: tuple[date, ...]
    accessions: tuple[str, ...]


SORTS = (
    "plain",
    "apostrophe",
    "hyphen",
    "word",
    "diacritics",
    "japanese",
    "chinese",
    "cyrillic",
    "short",
    "empty_id",
    "same_id_other_issuer",
    "over_89",
)
_CHARSETS: dict[str, str | list[str]] = {
    "diacritics": "ISO_IR 192",
    "japanese": ["", "ISO 2022 IR 87"],
    "chinese": "GB18030",
    "cyrillic": "ISO_IR 144",
}
_NATIVE = {
    "japanese": ("山田宮", "太郎吉", "やまだみや^たろきち"),
    "chinese": ("王麒", "小东麟", ""),
    "cyrillic": ("Жвачковский", "Эльдарий", ""),
}


class People:
    """Draws people; no name is given twice."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"exam/{seed}")  # noqa: S311 - not a secret
        self._used: set[str] = set()

    def patients(self, count: int) -> Iterator[Patient]:
        """Yield patients; their sorts go round."""
        first: Patient | None = None
        for number in range(count):
            made = self._patient(number, SORTS[number % len(SORTS)], first)
            first = first or made
            yield made

    def _word(self, heads: list[str], tails: list[str]) -> str:
        while True:
            word = self._rng.choice(heads) + self._rng.choice(_MIDDLES) + self._rng.choice(tails)
            if word not in self._used:
                self._used.add(word)
                return word

    def name(self, sort: str = "plain") -> Name:
        """Return a name of a sort."""
        last, first = self._word(_HEADS, _TAILS), self._word(_GIVEN, _GIVEN_TAILS)
        middle = self._word(_GIVEN, _GIVEN_TAILS)
        cores = (last, first, middle)
        if sort == "apostrophe":
            return Name(f"O'{last}", first, middle, cores)
        if sort == "hyphen":
            second = self._word(_HEADS, _TAILS)
            return Name(f"{last}-{second}", first, middle, (*cores, second))
        if sort == "word":
            word, given = self._rng.choice(_WORD_NAMES)
            return Name(word, given, "", ())
        if sort == "short":
            return Name("Vo", "Xi", "", ())
        if sort == "diacritics":
            marked = last.replace("o", "ø").replace("u", "ü").replace("a", "å").replace("e", "é")
            return Name(marked, first, middle, (marked, first, middle))
        if sort in _NATIVE:
            family, given, phonetic = _NATIVE[sort]
            native = f"{family}^{given}" + (f"={phonetic}" if phonetic else "")
            return Name(last, first, middle, cores, native)
        return Name(last, first, middle, cores)

    def _digits(self, count: int) -> str:
        return str(self._rng.randrange(1, 10)) + "".join(self._rng.choices("0123456789", k=count - 1))

    def _patient(self, number: int, sort: str, first: Patient | None) -> Patient:
        rng = self._rng
        name, mother = self.name(sort), self.name()
        begun = date(2003, 1, 1) + timedelta(days=rng.randrange(7000))
        age = rng.randrange(91, 104) if sort == "over_89" else rng.randrange(19, 88)
        patient_id = {
            "empty_id": "",
            "same_id_other_issuer": first.patient_id if first else f"MRN-{self._digits(7)}",
            "hyphen": self._digits(8),
            "word": f"{self._digits(3)}-{self._digits(2)}-{self._digits(4)}",
        }.get(sort, f"MRN-{self._digits(7)}")
        place = self._word(_HEADS, _TAILS)
        cores = name.cores or (self._word(_HEADS, _TAILS),)
        host = self._word(_HEADS, _TAILS).upper()
        return Patient(
            number=number,
            sort=sort,
            name=name,
            charset=_CHARSETS.get(sort, "ISO_IR 100"),
            patient_id=patient_id,
            issuer=f"{place.upper()} HIS {number}" if sort != "empty_id" else "",
            other_id=f"{self._digits(9)}{rng.choice('ABCDEFGH')}",
            birth=begun - timedelta(days=round(age * 365.25) + rng.randrange(20, 200)),
            age=age,
            sex=rng.choice("MF"),
            phone=f"({self._digits(3)}) {self._digits(3)}-{self._digits(4)}",
            street=f"{self._digits(3)} {self._word(_HEADS, _TAILS)} Street",
            town=f"{self._word(_HEADS, _TAILS)}ville",
            email=f"{cores[0].lower()}.{self._digits(3)}@{host.lower()}.example.org",
            mother=mother,
            referring=self.name(),
            performing=self.name("hyphen"),
            operator=self.name("apostrophe"),
            stranger=self.name(),
            institution=f"{place} General Hospital",
            department=f"{self._word(_HEADS, _TAILS)} Radiology Unit",
            host=host,
            studies=(begun, begun + timedelta(days=rng.randrange(20, 200))),
            accessions=(f"ACC{self._digits(7)}", self._digits(8)),
        )
