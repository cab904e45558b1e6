"""Sweep free text for what the header itself says identifies the patient, and for dates and numbers that may."""

import re
import struct
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from firstread.deid import patterns
from firstread.deid.patterns import GONE
from firstread.deid.seeds import Hint, expression, numbers
from firstread.deid.terms import TERMS

_LONG = 5  # shorter ones are ages, sizes and defined terms
_NUMBER_CODES = {"UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FD": "d"}  # of struct
_SPACES = re.compile(r"\s{2,}")
# What nobody sees, and full-width letters: a name written with them is the same name.
_READ_AS = {ord(sign): None for sign in "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"} | {
    letter + 0xFEE0: letter for letter in range(0x21, 0x7F)
}


@dataclass(frozen=True)
class Sweep:
    """Removes a patient's identifiers from text.

    Parameters
    ----------
    seeds
        One expression that matches any identifier of the header; None where there is none.
    numbers
        Identifiers of the header as numbers.
    """

    seeds: re.Pattern[str] | None = field(repr=False)
    numbers: frozenset[int] = field(default=frozenset(), repr=False)

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
        # All on the text as it is, for one may be part of another; then what is told from numbers that stay.
        seen = value if value.isascii() else value.translate(_READ_AS)
        typed = (patterns.DATES, patterns.AGES) if prose else ()
        swept = _without(seen, self.seeds, patterns.ADDRESSES, patterns.INTERNATIONAL, *typed)
        swept = patterns.TELEPHONES.sub(GONE, swept)
        if prose:
            swept = patterns.NUMBERS.sub(GONE, patterns.without_strangers(swept))
        return value if swept == seen else _SPACES.sub(" ", swept.replace(GONE, " ")).strip(" ^,;:-")

    def is_identifier(self, value: str) -> bool:
        """Return whether a structured value as a whole is a long identifier of the header."""
        stripped = value.strip()
        return len(stripped) >= _LONG and self.seeds is not None and bool(self.seeds.fullmatch(stripped))

    def is_term(self, value: str) -> bool:
        """Return whether a code string is a defined term, or at least names nobody."""
        return value.strip().upper() in TERMS or self.clean(value, prose=True) == value

    def counts_in(self, value: bytes, vr: str, *, little: bool) -> bool:
        """Return whether binary numbers are an identifier of the header.

        Parameters
        ----------
        value
            As the file holds it.
        vr
            UL, SL, UV, SV or FD; others are too short to hold one.
        little
            Byte order.
        """
        code = ("<" if little else ">") + _NUMBER_CODES.get(vr, "")
        if len(code) == 1 or not self.numbers or len(value) % struct.calcsize(code):
            return False
        return any(number in self.numbers for (number,) in struct.iter_unpack(code, value))

    def names_in(self, value: bytes) -> bool:
        """Return whether binary data holds an identifier of the header as text."""
        if self.seeds is None or len(value) < _LONG:
            return False
        # Without zeros UTF-16 is what it spells (PS3.5 has no such character set; private tools do).
        spelt = {value, value.replace(b"\0", b"")} if b"\0" in value else {value}
        texts = {each.decode(code, "ignore") for each in spelt for code in ("latin-1", "utf-8")}
        return any(len(match[0]) >= _LONG for text in texts for match in self.seeds.finditer(text))


@lru_cache(maxsize=32)
def sweep_for(hints: frozenset[Hint]) -> Sweep:
    """Build the sweep from what a dataset says of its patient; files of one study mostly say the same."""
    return Sweep(expression(hints), numbers(hints))


def _unaccented(text: str) -> str:
    """Return a text of the same length without accents: a header in plain letters names who is spelt right in it."""
    bases = ((letter, unicodedata.normalize("NFD", letter)[0]) for letter in text)
    return "".join(base if base.isascii() else letter for letter, base in bases)


def _without(text: str, *searches: re.Pattern[str] | None) -> str:
    """Return a text with the union of all matches gone."""
    spellings = {text} if text.isascii() else {text, _unaccented(text)}
    found = (search.finditer(each) for search in searches if search for each in spellings)
    spans = sorted(match.span() for matches in found for match in matches)
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            parts += (text[end:start], GONE)
        end = max(end, stop)
    return "".join((*parts, text[end:])) if spans else text
