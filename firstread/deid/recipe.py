"""A site's own rules, written as a recipe of the package `deid`, laid over ours.

The package parses the recipe, once, and is imported only then; for every file its directives are a look-up like any
other rule. What a recipe wants to keep is still swept: it can say more than the profile, never less.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import tag_for_keyword

from firstread.errors import FirstReadError

_TAG = re.compile(r"\(?([0-9a-fA-F]{4}),?([0-9a-fA-F]{4})\)?")
_COMPUTED = ("var:", "func:", "deid_func:")
_SETTABLE = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
# What every object needs, and what we say of it: no recipe takes it away.
_PROTECTED = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID PatientID PatientName "
        "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence "
        "LongitudinalTemporalInformationModified BurnedInAnnotation"
    ).split()
)


class RecipeError(FirstReadError):
    """A recipe that cannot be applied as it is written."""


@dataclass(frozen=True, eq=False)
class Overlay:
    """Directives of a recipe, by attribute.

    Parameters
    ----------
    actions
        tag -> ``REMOVE``, ``BLANK``, ``KEEP`` or ``JITTER``; the last directive for an attribute counts.
    values
        tag -> value of ``ADD`` and ``REPLACE``, set at the top level.
    """

    actions: Mapping[int, str] = field(repr=False)
    values: Mapping[int, str] = field(repr=False)


def read_recipe(path: Path) -> Overlay:
    """Read a recipe.

    Parameters
    ----------
    path
        A file in the format of `deid` 0.4: ``FORMAT dicom``, ``%header`` with ``REMOVE``, ``BLANK``, ``KEEP``,
        ``JITTER``, ``ADD`` and ``REPLACE``; fields by keyword, tag, ``contains:``, ``startswith:``, ``endswith:``,
        ``except:``, ``ALL`` and ``fields:`` groups. ``JITTER`` moves dates by the patient's own number of days, not
        by the recipe's, which would be the same for everybody.

    Raises
    ------
    RecipeError
        If the package ``deid`` is not installed, the recipe cannot be parsed, or it wants what is not supported.
    """
    found = _parsed(path)
    groups = {
        name: [entry["field"] for entry in members] for name, members in (found.get("fields") or {}).items()
    }
    actions: dict[int, str] = {}
    values: dict[int, str] = {}
    for directive in found.get("header") or ():
        action, expression = str(directive["action"]).upper(), str(directive["field"])
        try:
            tags = [tag for tag in _tags(expression, groups) if tag not in _PROTECTED]
        except re.error:
            raise RecipeError("the recipe has an expression that cannot be read") from None
        if action in ("ADD", "REPLACE"):
            if not all(_may_be_set(tag) for tag in tags):
                raise RecipeError("the recipe sets an attribute that is no text of a dataset")
            values |= dict.fromkeys(tags, _literal(directive))
        elif action in ("REMOVE", "BLANK", "KEEP", "JITTER"):
            actions |= dict.fromkeys(tags, action)
            for tag in tags:
                values.pop(tag, None)
        else:
            raise RecipeError(f"the recipe has a directive that is not known here: {action}")
    return Overlay(actions, values)


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        from deid.config import DeidRecipe
    except ImportError:
        raise RecipeError("recipes need the package `deid`: install firstread[recipes]") from None
    try:
        # It prints what it reads, and leaves the process where it does not like it.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = DeidRecipe(str(path), base=False).deid
            written = _directives(path.read_text(encoding="utf-8"))
    except (Exception, SystemExit):
        raise RecipeError("the recipe cannot be read") from None
    # The package passes over lines that it does not understand; a rule that nobody applies is worse than an error.
    if not isinstance(found, Mapping) or written != len(found.get("header") or ()):
        raise RecipeError("the recipe has lines that the package deid does not understand")
    return found


def _directives(text: str) -> int:
    """Return how many directives stand in the header sections of a recipe."""
    count, inside = 0, False
    for line in (line.split("#")[0].strip() for line in text.splitlines()):
        if line.startswith("%"):
            inside = line == "%header"
        elif inside and line:
            count += 1
    return count


def _may_be_set(tag: int) -> bool:
    """Tell whether a text can be the value of an attribute, and stays there."""
    return tag >> 16 >= 0x0008 and tag in DicomDictionary and DicomDictionary[tag][0] in _SETTABLE


def _literal(directive: Mapping[str, str]) -> str:
    value = str(directive.get("value", ""))
    if value.startswith(_COMPUTED):
        raise RecipeError("the recipe computes a value (var: or func:); only fixed values can be set")
    return value


def _tags(expression: str, groups: Mapping[str, Iterable[str]]) -> Iterator[int]:
    """Yield the attributes that a field expression of a recipe means."""
    kind, _, word = expression.partition(":")
    kind, word = kind.lower(), word.lower()
    if expression.upper() == "ALL":
        yield from DicomDictionary
    elif kind == "fields":
        for member in groups.get(expression.partition(":")[2], ()):
            yield from _tags(member, groups)
    elif kind in _TESTS and word:
        yield from (tag for tag, entry in DicomDictionary.items() if _TESTS[kind](entry[4].lower(), word))
    elif (match := _TAG.fullmatch(expression)) is not None:
        yield int(match[1] + match[2], 16)
    elif (tag := tag_for_keyword(expression)) is not None:
        yield tag
    else:
        raise RecipeError("the recipe names a field that is not known")


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda keyword, word: re.search(word, keyword) is not None,
    "startswith": lambda keyword, word: keyword.startswith(word),
    "endswith": lambda keyword, word: keyword.endswith(word),
    "except": lambda keyword, word: re.search(word, keyword) is None,
}
