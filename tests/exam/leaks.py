"""Look for every planted text in every byte that came out."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache

from tests.exam.evidence import Output, folded
from tests.exam.key import Secret

_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso2022_jp", "gb18030", "iso8859_5")
_DIGITS = re.compile(rb"\d+")


@dataclass(frozen=True)
class Leak:
    """A planted text in an output.

    Parameters
    ----------
    file, group
        Name of the input; its group.
    where
        Path of the first element that holds it; "bytes" where no element does.
    text, kind
        What was found, and what it is.
    """

    file: str
    group: str
    where: str
    text: str
    kind: str

    def row(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def scan(output: Output, allowed_days: frozenset[str]) -> list[Leak]:
    """Return the planted texts in an output.

    Parameters
    ----------
    output
        What a tool has written.
    allowed_days
        Dates that stand in the output because other dates were shifted to them.
    """
    lowered = output.raw.lower()
    found = []
    for secret in output.key.secrets:
        if secret.day not in allowed_days and any(_holds(lowered, needle) for needle in needles(secret.text)):
            places = list(_places(output, secret)) or ["bytes"]
            found += [_leak(output, secret, place) for place in places]
        if folded(secret.text) in folded(output.name):
            found.append(_leak(output, secret, "file name"))
    return [leak for leak in found if not any(_says_less(other, leak) for other in found)]


def _leak(output: Output, secret: Secret, where: str) -> Leak:
    return Leak(output.key.name, output.key.group, where, secret.text, secret.kind)


def _says_less(other: Leak, leak: Leak) -> bool:
    """Tell whether another leak of the same place is a part of this one: it is counted once."""
    shorter = len(other.text) < len(leak.text)
    return shorter and other.where == leak.where and folded(other.text) in folded(leak.text)


@lru_cache(maxsize=50_000)
def needles(text: str) -> frozenset[bytes]:
    """Return a text in the encodings and cases that it may be found in."""
    made = set()
    for form in (text, text.upper(), text.lower()):
        for encoding in _ENCODINGS:
            try:
                raw = form.encode(encoding)
            except UnicodeEncodeError:
                continue
            if encoding == "iso2022_jp" and not text.isascii():
                raw = raw.removeprefix(b"\x1b$B").removesuffix(b"\x1b(B")
            made.add(raw.lower())
    return frozenset(made)


def _holds(data: bytes, needle: bytes) -> bool:
    """Tell whether bytes hold a needle; a short number must stand by itself, not inside a UID."""
    alone = _DIGITS.fullmatch(needle) and len(needle) < 10
    at = data.find(needle)
    while at >= 0:
        stop = at + len(needle)
        if not alone or not (data[at - 1 : at].isdigit() or data[stop : stop + 1].isdigit()):
            return True
        at = data.find(needle, at + 1)
    return False


def _places(output: Output, secret: Secret) -> Iterator[str]:
    wanted = folded(secret.text)
    return (path for path, text in output.texts if wanted in text)
