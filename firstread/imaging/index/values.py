"""Values of headers as numbers, dates and words; what is none becomes None and never an error.

Real headers hold ages like ``47``, ``042y`` and ``N-A``, sexes like ``0000`` and dozens of spellings of a chest.
"""

import math
import re
from datetime import date
from functools import lru_cache

_AGE = re.compile(r"0*(\d{1,3})(?:\.\d+)?\s*([DWMY]?)", re.IGNORECASE)
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_OLDEST = 130.0
_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"}
_PADDING = " \0\t\r\n"
_LARGEST = 2**63

_PARTS: tuple[tuple[str, str], ...] = (
    ("WHOLEBODY", "WHOLEBODY"),
    ("CERVICALSPINE", "CSPINE"),
    ("THORACICSPINE", "TSPINE"),
    ("LUMBARSPINE", "LSPINE"),
    ("LUMBOSACRALSPINE", "LSPINE"),
    ("CSPINE", "CSPINE"),
    ("TSPINE", "TSPINE"),
    ("LSPINE", "LSPINE"),
    ("LSSPINE", "LSPINE"),
    ("SPINE", "SPINE"),
    ("EXTREMITY", "EXTREMITY"),
    ("ABDOMINAL", "ABDOMEN"),
    ("ABDOMEN", "ABDOMEN"),
    ("ABDO", "ABDOMEN"),
    ("ABD", "ABDOMEN"),
    ("PELVIC", "PELVIS"),
    ("PELVIS", "PELVIS"),
    ("PELV", "PELVIS"),
    ("PEL", "PELVIS"),
    ("THORAX", "CHEST"),
    ("THORACIC", "CHEST"),
    ("CHEST", "CHEST"),
    ("LUNGS", "LUNG"),
    ("LUNG", "LUNG"),
    ("BRAIN", "BRAIN"),
    ("SKULL", "SKULL"),
    ("HEAD", "HEAD"),
    ("NECK", "NECK"),
    ("BREAST", "BREAST"),
    ("CARDIAC", "HEART"),
    ("HEART", "HEART"),
    ("LIVER", "LIVER"),
    ("KIDNEYS", "KIDNEY"),
    ("KIDNEY", "KIDNEY"),
    ("PROSTATE", "PROSTATE"),
    ("PANCREAS", "PANCREAS"),
    ("BLADDER", "BLADDER"),
    ("UTERUS", "UTERUS"),
    ("OVARY", "OVARY"),
    ("COLON", "COLON"),
    ("STOMACH", "STOMACH"),
    ("ESOPHAGUS", "ESOPHAGUS"),
    ("THYROID", "THYROID"),
    ("SHOULDER", "SHOULDER"),
    ("ELBOW", "ELBOW"),
    ("WRIST", "WRIST"),
    ("HAND", "HAND"),
    ("HIP", "HIP"),
    ("KNEE", "KNEE"),
    ("ANKLE", "ANKLE"),
    ("FOOT", "FOOT"),
    ("LEG", "LEG"),
    ("ARM", "ARM"),
    ("EYE", "EYE"),
    ("CAP", "CAP"),
    ("TAP", "CAP"),
)
_TOGETHER = {"CAP": ("CHEST", "ABDOMEN", "PELVIS")}
_WHOLE = frozenset(spelling for spelling, _ in _PARTS if len(spelling) == 3) - {"ABD", "PEL"}
_JOINING = ("AND", "WITH", "UPPER", "LOWER", "LEFT", "RIGHT")
_WITHOUT = re.compile(r"\b(?:W/?O|WITHOUT|NO)\b.*")


def code(text: str) -> str | None:
    """Return text without its padding, None where nothing is left."""
    return text.strip(_PADDING) or None


def uid(text: str) -> str | None:
    """Return a UID (PS3.5 9.1)."""
    return text.strip(_PADDING) or None


def words(text: str) -> list[str] | None:
    """Return values that backslashes part."""
    stripped = text.strip(_PADDING)
    return [each.strip(_PADDING) for each in stripped.split("\\")] if stripped else None


@lru_cache(maxsize=4096)
def figures(text: str) -> tuple[float, ...]:
    """Return finite numbers; () where one is none."""
    try:
        found = tuple(map(float, text.replace("\0", " ").split("\\")))
    except ValueError:
        return ()
    return found if all(map(math.isfinite, found)) else ()


def number(text: str) -> float | None:
    """Return the first number."""
    return (figures(text) or (None,))[0]


def integer(text: str) -> int | None:
    """Return the first number where it is a whole one of 64 bits."""
    found = number(text)
    return int(found) if found is not None and found.is_integer() and abs(found) < _LARGEST else None


@lru_cache(maxsize=4096)
def day(text: str) -> date | None:
    """Return a date (DA, PS3.5 6.2; with the dots of ACR-NEMA too), never one of another calendar."""
    digits = text.strip(_PADDING).replace(".", "")
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def sex(text: str) -> str | None:
    """Return M, F or O."""
    return _SEXES.get(text.strip(_PADDING).upper())


@lru_cache(maxsize=4096)
def age_years(age: str, born: str, seen: str) -> float | None:
    """Return the age in years: of Patient's Age (years where it has no unit), else of birth and study date."""
    match = _AGE.fullmatch(age.strip(_PADDING))
    if match:
        years = int(match[1]) * _YEARS[match[2].upper()]
        return round(years, 3) if years <= _OLDEST else None
    first, last = day(born), day(seen)
    if first is None or last is None or not 0 <= (last - first).days / 365.25 <= _OLDEST:
        return None
    return round((last - first).days / 365.25, 2)


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[str, ...]:
    told = _WITHOUT.sub("", text.strip(_PADDING).upper())
    rest = re.sub("[^A-Z]", "", told)
    whole = set(re.findall("[A-Z]+", told))
    found: list[str] = []
    while rest:
        joining = next((each for each in _JOINING if rest.startswith(each)), None)
        # What is as short as ARM begins too many other words.
        hit = next(
            (
                (spelling, part)
                for spelling, part in _PARTS
                if rest.startswith(spelling) and (spelling not in _WHOLE or spelling in whole)
            ),
            None,
        )
        if hit is not None:
            found += _TOGETHER.get(hit[1], (hit[1],))
        elif joining is None:
            return tuple(dict.fromkeys(found))
        rest = rest[len(hit[0] if hit else joining or "") :]
    return tuple(dict.fromkeys(found))


def body_parts(text: str) -> list[str] | None:
    """Return regions in capital letters: CHESTABDPELVIS has three; None where none is known."""
    return list(_parts(text)) or None
