"""Docstrings of models as descriptions of a schema."""

import re
from inspect import cleandoc

_SECTION = re.compile(r"\n\nParameters\n-+\n")
_NONE = re.compile(r"\bNone\b")
_FIELDS = re.compile(r"^(\S.*)$", re.MULTILINE)


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """Return what a numpydoc docstring says of a model, and of its fields, by name.

    Parameters
    ----------
    docstring
        With or without a section of parameters, which is its last.
    """
    summary, *sections = _SECTION.split(cleandoc(docstring))
    fields: dict[str, str] = {}
    if sections:
        _, *parts = _FIELDS.split(sections[0])
        for names, words in zip(parts[::2], parts[1::2], strict=True):
            fields |= dict.fromkeys(names.split(", "), _flat(words))
    return _flat(summary), fields


def _flat(text: str) -> str:
    return " ".join(_NONE.sub("null", text.replace("``", "`")).split())
