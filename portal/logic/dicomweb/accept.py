"""What a client accepts: the Accept header (RFC 9110 12.5.1) as DICOMweb clients really write it.

They leave out the quotes around ``type=application/octet-stream``, list several media types, or ask for pixels where
only JSON can be. What cannot be understood is passed over; a header never causes an error by its form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_CHARACTERS = 8192
"""Of a header; the rest is not read."""
_MOST = 32
ANY = "*/*"
MULTIPART = "multipart/related"


@dataclass(frozen=True)
class Wanted:
    """One media range.

    Parameters
    ----------
    media_type
        In lower case, such as ``application/dicom``; of a ``multipart/related`` range, the type of its parts.
    transfer_syntax
        UID, ``*`` for any, or "" where it was not said.
    multipart
        Whether the answer may be ``multipart/related``; None where both will do.
    quality
        Between 0 and 1; a range of 0 is refused.
    """

    media_type: str
    transfer_syntax: str = ""
    multipart: bool | None = None
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)

    def takes(self, media_type: str) -> bool:
        """Tell whether a media type is in the range."""
        if self.media_type in (ANY, media_type):
            return True
        kind, _, subtype = self.media_type.partition("/")
        return subtype == "*" and media_type.startswith(f"{kind}/")


EVERYTHING = (Wanted(ANY),)
"""What a client without an Accept header takes."""


def parse_accept(header: str) -> tuple[Wanted, ...]:
    """Return what a header accepts, the most wanted first; everything, where it says nothing.

    Parameters
    ----------
    header
        Value of the Accept header; several headers joined by commas.

    Examples
    --------
    >>> parse_accept("multipart/related; type=application/octet-stream; transfer-syntax=*")[0].media_type
    'application/octet-stream'
    """
    found = [wanted for part in _split(header[:MAX_CHARACTERS], ",") if (wanted := _wanted(part)) is not None]
    found = [wanted for wanted in found[:_MOST] if wanted.quality > 0]
    return tuple(sorted(found, key=lambda wanted: -wanted.quality)) or EVERYTHING


def _wanted(text: str) -> Wanted | None:
    first, *rest = _split(text, ";")
    media_type = first.strip().lower()
    if media_type == "*":  # what the HTTP client of Java sends
        media_type = ANY
    if "/" not in media_type:
        return None
    parameters = dict(_parameters(rest))
    multipart = None if media_type == ANY else False
    if media_type == MULTIPART:
        multipart, media_type = True, parameters.get("type", ANY).lower() or ANY
    return Wanted(
        media_type,
        parameters.get("transfer-syntax", ""),
        multipart,
        _quality(parameters.get("q", "1")),
        parameters,
    )


def _parameters(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, found, value = text.partition("=")
        if found:
            yield name.strip().lower(), value.strip().strip('"').strip()


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator outside of quotes."""
    parts, quoted, start = [], False, 0
    for index, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
