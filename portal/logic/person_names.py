"""Person names as people read them (DICOM PS3.5 6.2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


@dataclass(frozen=True)
class PersonName:
    """A name in the forms in which it was sent, each "" where it was not.

    Parameters
    ----------
    alphabetic
        Family name first, as worklists sort: ``Adams, John Robert Quincy (Rev., B.A. M.Div.)``.
    ideographic, phonetic
        In their own script and order.
    """

    alphabetic: str = ""
    ideographic: str = ""
    phonetic: str = ""

    @classmethod
    def of(cls, value: object) -> "PersonName":
        """Return the name that a PN of the DICOM JSON model holds (PS3.18 F.2.2); empty for anything else."""
        if not isinstance(value, Mapping):
            return cls()
        alphabetic, ideographic, phonetic = (_components(value.get(group)) for group in _GROUPS)
        return cls(_family_first(alphabetic), " ".join(_full(ideographic)), " ".join(_full(phonetic)))

    def __str__(self) -> str:
        said = [self.alphabetic, self.ideographic, f"({self.phonetic})" if self.phonetic else ""]
        return " ".join(each for each in said if each)


def _components(group: object) -> list[str]:
    """Return family, given and middle name, prefix and suffix; what is missing at the end is empty."""
    text = "".join(each if each.isprintable() else " " for each in str(group or ""))
    parts = [" ".join(part.split()) for part in text.split("^")]
    return (parts + [""] * 5)[:5]


def _full(components: list[str]) -> list[str]:
    family, given, middle, prefix, suffix = components
    return [each for each in (prefix, family, given, middle, suffix) if each]


def _family_first(components: list[str]) -> str:
    family, given, middle, prefix, suffix = components
    first = " ".join(each for each in (given, middle) if each)
    honours = ", ".join(each for each in (prefix, suffix) if each)
    name = ", ".join(each for each in (family, first) if each)
    return f"{name} ({honours})" if name and honours else name or honours
