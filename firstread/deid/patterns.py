"""What identifies whoever it may be: dates, addresses, telephone and other long numbers, names behind a title."""

import re

from firstread.deid.terms import TERMS, WORDS

GONE = "\0"
"""Stands for text that was removed; no text of DICOM has it inside (PS3.5 6.1.3)."""

_MONTHS = (
    "jan feb mar apr may jun jul aug sep oct nov dec "  # English, and the first letters of many others
    "mär maer mai okt dez fév avr jui aoû aou déc ene abr ago dic gen mag giu lug set ott"
).split()
_MONTH = rf"(?:{'|'.join(_MONTHS)})[^\W\d_]*"
# Without a year: months in full, and abbreviations that are nothing else. "DEC" is decubitus, "MAR" metal artefacts.
_PLAIN_MONTH = (
    "(?:january|february|march|april|june|july|august|september|october|november|december"
    "|jan|feb|apr|aug|sept|oct|nov)"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:19|20)\d{2}"
_YEAR_OR_TWO = rf"(?:{_YEAR}|\d\d(?!th|st|nd|rd|,? \d{{4}}))"  # two digits that are no day themselves
_TH = r"(?:st|nd|rd|th)?"
DATES = re.compile(
    "|".join(
        (
            rf"(?<!\d){_YEAR}[-/.]?(?:0\d|1[0-2])[-/.]?(?:[0-2]\d|3[01])(?!\d)",  # 20040826, 2004-08-26
            rf"(?<!\d){_YEAR}[-/. ]\d{{1,2}}[-/. ]\d{{1,2}}(?!\d)",  # 2004-8-26
            r"(?<!\d)\d{1,2}[-/.] ?\d{1,2}[-/.] ?(?:19|20)?\d{2}(?![\d.])",  # 26.08.2004, 26. 8. 2004, 8/26/04
            # 26 Aug 2004, 26th of August 2004, 26AUG04
            rf"(?<![\w.]){_DAY}{_TH}[-. ]*(?:(?:of|de) )?{_MONTH}[-.,' ]*(?:de )?{_YEAR_OR_TWO}(?!\d)",
            rf"(?<![^\W\d_]){_MONTH}[-. ]+\d{{1,2}}{_TH}[,. ]+{_YEAR}",  # Aug 26, 2004
            rf"(?<![^\W\d_]){_MONTH}[-.,' ]*{_YEAR}(?!\d)",  # August 2004
            rf"(?<![\w/.-])(?:0?[1-9]|1[0-2])[/]{_YEAR}(?![\d/])",  # 08/2004
            rf"(?<![\w.]){_DAY}{_TH} (?:of )?{_PLAIN_MONTH}(?!\w|\.? ?\d)",  # 26th of August
            rf"(?<!\w){_PLAIN_MONTH}\.? {_DAY}{_TH}(?![\w.])",  # August 26
            rf"{_YEAR}\s*年\s*\d{{1,2}}\s*月(?:\s*\d{{1,2}}\s*日)?|\d{{1,2}}\s*月\s*\d{{1,2}}\s*日",
        )
    ),
    re.IGNORECASE,
)
# E-mail addresses, UIDs, addresses in the web and in networks.
ADDRESSES = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.]+|(?<![\d.])\d+(?:\.\d+){5,}(?![\d.])|(?<!\w)(?:https?|ftp)://\S+"
    # In networks: four numbers are a version more often, so only what is announced or of a private range (RFC 1918).
    r"|(?:(?<=\bip )|(?<=\bip:)|(?<=\bip: )|(?<=\bhost ))\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
    r"|(?<![\d.])192\.168(?:\.\d{1,3}){2}(?![\d.])",
    re.IGNORECASE,
)
INTERNATIONAL = re.compile(r"(?<![^\W_])\+\d[\d ()/-]{6,}\d")
"""Telephone numbers with the sign before the country: nothing else looks like them, so no part of them is left."""
TELEPHONES = re.compile(
    r"(?<![\d.])\(?\d{2,5}\)?[ /]\d{3}[ -]?\d{3,4}(?!\d)"
    r"|(?<!\d)\d{3}[.-]\d{3}[.-]\d{4}(?!\d)"
)
NUMBERS = re.compile(r"(?<![\d.])\+?\d[\d ()/-]{6,}\d|(?<!\d)\d{6,}(?!\d)")

# Ages above 89 (45 CFR 164.514(b)(2)(i)(C)). "90Y" and "91Y" are yttrium.
_OLD = r"(?:9\d|1[0-2]\d)"
AGES = re.compile(
    rf"(?<![\d.,]){_OLD}[ -]?(?:(?:years?|yrs?|y\.? ?o|y/o|ans|a[nñ]os|Jahre|anni)\b\.?|jähr\w*)(?:[ -]olds?)?"
    rf"|(?<![\d.,])(?:09\d|9[2-9]|1[0-2]\d)Y(?!\w)"
    rf"|\baged?[ :=]{{1,2}}{_OLD}(?![.,]?\d|\w)",
    re.IGNORECASE,
)

# "MR" and "MS" without a full stop are a modality and a disease.
_TITLES = (
    r"(?:Dr|DR|dr|Prof|PROF|prof|Mrs|MRS)\.?|(?:Mr|MR|Ms|MS|Hr|Fr|Pt|PT|pt)\.|[Nn]urse|NURSE|[Dd]octor|DOCTOR"
    r"|[Dd]aughter|[Ss]on|[Mm]other|[Ff]ather|[Ww]ife|[Hh]usband|[Ss]ister|[Bb]rother|[Pp]atient|PATIENT"
    r"|Herr|Frau|Señora?|Madame|Monsieur"
)
TITLE = rf"(?<!\w)(?:{_TITLES})\s+"
_CUED = re.compile(rf"(?<!\w)({_TITLES})((?:\s+[^\W\d_a-z][\w'\u2019-]+){{1,2}})")


def without_strangers(text: str) -> str:
    """Return a text without names that a title announces, though no attribute of the header knows them.

    Words that reports are made of are no names: "DR CHEST" is a digital radiograph of the chest.
    """
    return _CUED.sub(lambda match: match[1] + _unnamed(match[2]), text)


def _unnamed(words: str) -> str:
    found = list(re.finditer(r"\s+(\S+)", words))
    if is_word(found[0][1]):
        return words
    if len(found) == 1 or is_word(found[1][1]) or found[0][1].isupper() != found[1][1].isupper():
        return " " + GONE + words[found[0].end() :]
    return " " + GONE


def is_word(text: str) -> bool:
    """Tell whether a word is one of those that reports are made of."""
    return text.upper() in TERMS or text.upper() in WORDS
