r"""HL7 v2 messages in ER7 (vertical bars), read under limits: bytes -> segments whose fields can be asked for.

Sources: HL7 v2.5.1 chapter 2: 2.5.4 (delimiters), 2.5.3.2 (null), 2.7 (escape sequences), 2.15.9.18 (character sets).
The common libraries write values that they cannot decode to the log; here nothing of a message leaves but by return.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from firstread.errors import Reason
from firstread.feeds.errors import FeedError

MAX_BYTES = 16 * 1024 * 1024
"""A report may carry a document; more than this is no message."""
MAX_SEGMENTS = 20_000
MAX_FIELDS = 128
MAX_VALUE = 250
"""Longest value of a field that is used, in characters; the longest identifier of HL7 v2.5.1 has 250 (CX)."""
_MAX_RAW = 8 * MAX_VALUE

_NULL = '""'
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_HEADER_BYTES = 4096
# HL7 table 0211 -> codec. What names no character set is read as UTF-8, of which ASCII is a part.
_CODECS: Mapping[str, str] = {
    "": "utf-8",
    "ASCII": "utf-8",
    "ISO IR6": "utf-8",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    **{f"8859/{part}": f"iso8859_{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
}


@dataclass(frozen=True)
class Delimiters:
    """The characters of MSH-1 and MSH-2, and the codec of hexadecimal escapes."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    codec: str

    def unescape(self, text: str) -> str:
        r"""Return a value without its escape sequences; formatting is left out, what is unknown stays as it is."""
        if self.escape not in text:
            return text
        mark = re.escape(self.escape)
        return re.sub(f"{mark}([^{mark}]{{1,64}}){mark}", self._character, text)

    def _character(self, found: re.Match[str]) -> str:
        named = {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "E": self.escape,
            "T": self.subcomponent,
            "H": "",
            "N": "",
        }
        name = found[1]
        if name in named:
            return named[name]
        if name.startswith("."):
            return " "
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", name):
            return bytes.fromhex(name[1:]).decode(self.codec, "replace")
        return found[0]


@dataclass(frozen=True)
class Segment:
    """One segment; fields are counted from 1, as in HL7.

    Parameters
    ----------
    name
        Its three letters.
    fields
        Raw fields; the first is field 1.
    delimiters
        Of its message.
    """

    name: str
    fields: tuple[str, ...] = field(repr=False)
    delimiters: Delimiters = field(repr=False)

    def repetitions(self, number: int) -> list[str]:
        """Return the raw repetitions of a field that have a value."""
        raw = self.fields[number - 1] if number <= len(self.fields) else ""
        return [each for each in raw.split(self.delimiters.repetition) if each]

    def said(self, number: int, component: int = 1) -> str | None:
        """Return a component of a field's first repetition; None where nothing is said, "" for the null value.

        Raises
        ------
        FeedError
            If it is too long, or holds a control character or one that its character set does not have.
        """
        repetitions = self.repetitions(number)
        return self.component(repetitions[0], component) if repetitions else None

    def component(self, repetition: str, number: int, subcomponent: int = 1) -> str | None:
        """Return a subcomponent of a raw repetition, as `said` does."""
        parts = repetition.split(self.delimiters.component)
        if parts == [_NULL]:
            return ""
        part = parts[number - 1] if number <= len(parts) else ""
        pieces = part.split(self.delimiters.subcomponent)
        raw = pieces[subcomponent - 1] if subcomponent <= len(pieces) else ""
        if raw == _NULL:
            return ""
        value = self.delimiters.unescape(raw[: _MAX_RAW + 1]).strip(" ")
        if len(raw) > _MAX_RAW or len(value) > MAX_VALUE or not value.isprintable() or _UNREADABLE in value:
            _not_understood()
        return value or None


def segments(data: bytes, wanted: Collection[str]) -> list[Segment]:
    """Return the segments of one message that are wanted, its header (MSH) always first.

    Parameters
    ----------
    data
        The message, with or without the frame of MLLP. Segments end with a carriage return; line feeds and both are
        taken as well.
    wanted
        Names of segments; the others are not looked into.

    Raises
    ------
    FeedError
        ``empty``, ``too_large``, ``feed_not_understood`` if it is no such message, ``feed_not_supported`` if it is a
        batch or in a character set that is not known.
    """
    if len(data) > MAX_BYTES:
        raise FeedError(Reason.TOO_LARGE)
    data = data.removeprefix(b"\xef\xbb\xbf").strip(b"\x0b\x1c\r\n \t\0")
    if not data:
        raise FeedError(Reason.EMPTY)
    if data[:3] in (b"FHS", b"BHS"):
        raise FeedError(Reason.FEED_NOT_SUPPORTED)
    delimiters = _delimiters(data)
    text = data.decode(delimiters.codec, "replace")
    lines = text.split("\r" if "\r" in text else "\n", MAX_SEGMENTS)
    if len(lines) > MAX_SEGMENTS:
        _not_understood()
    found = [_segment(line.strip("\n"), delimiters) for line in lines if _name(line) in {"MSH", *wanted}]
    if sum(segment.name == "MSH" for segment in found) != 1:
        raise FeedError(Reason.FEED_NOT_SUPPORTED)
    return found


def _name(line: str) -> str:
    return line.lstrip("\n")[:3]


def _segment(line: str, delimiters: Delimiters) -> Segment:
    name, *fields = line.split(delimiters.field, MAX_FIELDS)
    if len(name) != 3:
        _not_understood()
    # Field 1 of the header is the separator that all the others were split at.
    first = [delimiters.field] if name == "MSH" else []
    return Segment(name, (*first, *fields), delimiters)


def _delimiters(data: bytes) -> Delimiters:
    # The header names the character set, so it is looked at before anything is decoded.
    header = re.split(rb"[\r\n]", data[:_HEADER_BYTES], maxsplit=1)[0].decode("latin-1")
    separator = header[3:4]
    fields = header.split(separator) if separator else []
    if not header.startswith("MSH") or len(fields) < 9:
        _not_understood()
    component, repetition, escape, subcomponent = list(_encoding_characters(fields[1]))
    used = {separator, component, repetition, escape, subcomponent}
    if len(used) < 5 or any(each.isalnum() or not "!" <= each <= "~" for each in used):
        _not_understood()
    charset = fields[17].split(repetition)[0].strip().upper() if len(fields) > 17 else ""
    if charset not in _CODECS:
        raise FeedError(Reason.FEED_NOT_SUPPORTED)
    return Delimiters(separator, component, repetition, escape, subcomponent, _CODECS[charset])


def _encoding_characters(text: str) -> str:
    """Return component, repetition, escape and subcomponent; what a sender leaves out is as HL7 recommends."""
    if not 1 <= len(text) <= 5:  # the fifth, truncation (HL7 v2.7), is not used here
        _not_understood()
    return text[:4] + "^~\\&"[len(text) :]


def _not_understood() -> NoReturn:
    raise FeedError(Reason.FEED_NOT_UNDERSTOOD)
