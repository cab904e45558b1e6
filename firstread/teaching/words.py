"""The words of titles and names of collections: a fixed list, so that neither can name a patient."""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from firstread.deid.terms import TERMS
from firstread.vocabulary import FINDINGS, SITES

MAX_TITLE = 60
_WORD = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9 ]")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SIGNS = frozenset(",.:;()/-+?")
_ORDINARY = """
a abdominal acute adult after all an and angiography basic bone bones brain cardiac case cases chest child
children chronic cine classic common contrast course day difficult easy echo ed elderly emergency exam
exercise eye follow fracture from hard head heart in infant intermediate introduction joint junior lateral
left level limb lower lung many module mri musculoskeletal neonate neuro night no normal of old on one or
paediatric pediatric pitfall pitfalls practice preterm projection quiz radiograph radiographs radiology rare
repeat resident review right round second senior series shift simulated single skeletal small spot standard
student subtle supine teaching test the training trauma two ultrasound up upper upright variant view views
week weeks with withdrawn without year years
"""


@lru_cache(maxsize=1)
def _words() -> frozenset[str]:
    coded = " ".join(code.meaning for code in (*FINDINGS, *SITES))
    return frozenset(" ".join((*TERMS, coded, _ORDINARY)).lower().split())


def unknown_words(title: str) -> tuple[str, ...]:
    """Return what a title may not hold: words off the list, numbers above 99, odd signs; "…" where it is too long."""
    if len(title) > MAX_TITLE:
        return ("…",)
    return tuple(part for part in _WORD.findall(title) if not _is_allowed(part))


def is_name(name: str) -> bool:
    """Return whether something may name a collection: words of the list in lower case, joined by hyphens."""
    parts = name.split("-")
    return bool(_NAME.fullmatch(name)) and len(name) <= MAX_TITLE and all(_is_allowed(part) for part in parts)


def _named(name: str) -> str:
    if not is_name(name):
        raise ValueError("not a name of a collection")
    return name


CollectionName = Annotated[str, Field(max_length=MAX_TITLE), AfterValidator(_named)]
"""The name of a collection, by `is_name`."""


def _is_allowed(part: str) -> bool:
    if part.isdecimal():
        return len(part) <= 2  # an age, a number of the course; no date and no identifier
    return part in _SIGNS or part.lower() in _words()
