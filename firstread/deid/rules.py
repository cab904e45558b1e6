"""PS3.15 Table E.1-1 and its options, resolved to one action per attribute.

The table is data (`data/table_e1_1.json`, written by `scripts/build_deid_table.py`). What the table does not name is
decided by value representation; what is not understood is removed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

from firstread.deid.iods import Iod, iod
from firstread.deid.options import Option
from firstread.deid.recipe import Overlay
from firstread.dicom.pixels import PIXEL_TAGS


class Action(StrEnum):
    """What is done with an element."""

    KEEP = "keep"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    UID = "uid"
    SHIFT = "shift"
    SWEEP = "sweep"
    SCREEN = "screen"
    RECURSE = "recurse"


class Row(NamedTuple):
    """A row of the table.

    Parameters
    ----------
    basic
        Code of the Basic Profile, such as ``X/Z``.
    options
        Column of an option -> K or C.
    """

    basic: str
    options: Mapping[str, str]


_BASIC = {
    "X": Action.REMOVE,
    "Z": Action.EMPTY,
    "D": Action.DUMMY,
    "U": Action.UID,
    "U*": Action.RECURSE,
}
# Sequences whose dummy has no content: their IODs want them only where there is some (PS3.3 C.17.3, C.10.5).
_DUMMY_IS_NONE = frozenset({0x0040A730, 0x00700001})

_TEXT = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR", "CS", "AE", "AS", "DS", "IS", "TM"})
_NUMBERS = frozenset({"AT", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV"})
_BULK = frozenset({"OW", "OF", "OD", "OL", "OV"})
_BY_VR = {"SQ": Action.RECURSE, "UI": Action.UID, "DA": Action.SHIFT, "DT": Action.SHIFT, "PN": Action.EMPTY}
TEXTUAL = _TEXT | frozenset(_BY_VR)
"""Value representations whose values are read as text, and sequences."""

_DATE_OPTIONS = frozenset({Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES})
# UIDs that say what something is, not which: classes, transfer syntaxes, coding schemes, mapping resources.
_MEANINGS = frozenset(
    {0x00080016, 0x00081150, 0x0008010C, 0x00080117, 0x00080118, 0x00080062, 0x0008001A, 0x0008001B}
)
_REMEMBERED = 50_000  # a hostile file must not fill the memory of a warm process
# Kept as OB too: the ICC profile, without which colours are wrong, and waveform data of 8 bits.
_OCTETS = frozenset({0x00282000, 0x54000110, 0x54000112, 0x5400100A, 0x54001010})
_UNFORMATTED_TEXT = 0x00700006  # its row has no option, though the sequences that it is in have
_CODING = frozenset({0x0008010E, 0x00080120})  # URLs and URNs of coding schemes

# Code values are long numbers in SNOMED CT, and versions of coding schemes are dates (PS3.3 8.8).
_CODES = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080119, 0x00080120, 0x0008010D, 0x0008010F})

# Beyond the table, because retired or newer than it, but naming a patient, an order, a person or a network.
_IDENTIFYING = frozenset(
    {
        0x00100033,  # Patient's Birth Date in Alternative Calendar
        0x00100034,  # Patient's Death Date in Alternative Calendar
        0x00102295,  # Breed Registration Number
        0x00181803,  # NTP Source Address
        0x00201070,  # Other Study Numbers
        0x00400031,  # Local Namespace Entity ID
        0x00400032,  # Universal Entity ID
        0x00401006,  # Placer Order Number / Procedure
        0x00401007,  # Filler Order Number / Procedure
        0x00402006,  # Placer Order Number / Imaging Service Request (Retired)
        0x00402007,  # Filler Order Number / Imaging Service Request (Retired)
        0x0040E001,  # HL7 Instance Identifier
        0x0074100C,  # Contact Display Name
        0x00880130,  # Storage Media File-set ID
        0x21000160,  # Owner ID
    }
)


def _by_mask(tag: int) -> bool:
    """Return whether an element goes whatever the table says of its tag."""
    group = tag >> 16
    return bool(
        group % 2  # private
        or group < 0x0008  # commands, file meta information, directories: not part of a dataset
        or group & 0xFF00 in (0x5000, 0x6000)  # curves and overlays
        or group == 0x4010  # security inspection of travellers
        or group == 0x4FFE  # parameters of digital signatures, which do not survive
        or tag & 0xFFFF == 0  # group length, retired
        or tag in PIXEL_TAGS  # within a sequence: pixels that no gate has judged
        or tag in _IDENTIFYING
    )


@dataclass(frozen=True)
class Rules:
    """One action per attribute.

    Parameters
    ----------
    options
        The options that are applied.
    rows
        The table: tag -> row.
    iod
        What the object's definition wants of the attributes whose row leaves a choice; None where it is not known.
    overlay
        A site's own directives.
    """

    options: frozenset[Option]
    rows: Mapping[int, Row] = field(repr=False)
    iod: Iod | None = None
    overlay: Overlay | None = None
    _known: dict[tuple[int, str, int], Action] = field(default_factory=dict, repr=False, compare=False)

    def action(self, tag: int, vr: str, parent: int = 0) -> Action:
        """Return what to do with an element.

        Parameters
        ----------
        tag
            ``group << 16 | element``.
        vr
            Value representation in the dataset or the dictionary; "" where neither knows one.
        parent
            Tag of the sequence whose item the element is in; 0 at the top level.
        """
        asked = (tag, vr, parent)
        action = self._known.get(asked)
        if action is None:
            action = self._decide(tag, vr, parent)
            if len(self._known) < _REMEMBERED:
                self._known[asked] = action
        return action

    def for_class(self, sop_class: str) -> "Rules":
        """Return the rules for objects of a SOP class: they know what its IOD wants."""
        return rules(self.options, sop_class, self.overlay)

    def _decide(self, tag: int, vr: str, parent: int) -> Action:
        if _by_mask(tag):
            return Action.REMOVE
        known = dictionary_vr(tag)
        if self.overlay is not None and (directive := self.overlay.actions.get(tag)) is not None:
            return self._directed(directive, known if vr in ("", "UN") else vr, known)
        if tag in _OCTETS:
            return Action.KEEP if vr in ("", "UN", *known.split(" or ")) else Action.REMOVE
        if tag in _MEANINGS and vr in ("", "UN", "UI"):
            return Action.KEEP
        row = self.rows.get(tag)
        vr = known if vr in ("", "UN") else vr
        if row is None:
            found = self._beyond_the_table(tag, known)
        else:
            found, kept = self._resolve(tag, row, parent, known)
            if kept and found is Action.KEEP and vr == known:
                return Action.KEEP
        if found in (Action.REMOVE, Action.EMPTY, Action.DUMMY):
            return found
        return self._possible(found, vr, known)

    def _directed(self, directive: str, vr: str, known: str) -> Action:
        """Return the action of a recipe's directive; what it keeps is swept like any text."""
        if directive == "REMOVE":
            return Action.REMOVE
        if directive == "BLANK":
            return Action.EMPTY
        if directive == "JITTER" and vr in ("DA", "DT") and self.options & _DATE_OPTIONS:
            return Action.SHIFT
        return self._possible(Action.KEEP, vr, known)

    def _resolve(self, tag: int, row: Row, parent: int, known: str) -> tuple[Action, bool]:
        """Return the action of a row, and whether an option keeps the value as it is."""
        columns = row.options
        chosen = {option: columns[option.value] for option in self.options if option.value in columns}
        if tag == _UNFORMATTED_TEXT and self.options & {Option.CLEAN_GRAPHICS, Option.CLEAN_DESCRIPTORS}:
            return Action.SWEEP, False
        # Where one option keeps and another cleans, cleaning is the safer reading.
        if chosen.get(Option.CLEAN_DESCRIPTORS) == "C":
            return (Action.RECURSE if known == "SQ" else Action.SWEEP), False
        dates = {"DA": Action.SHIFT, "DT": Action.SHIFT, "TM": Action.KEEP}
        if chosen.get(Option.RETAIN_MODIFIED_DATES) == "C" and known in dates:
            return dates[known], False
        cleaned = [option for option, code in chosen.items() if code == "C" and option not in _DATE_OPTIONS]
        if cleaned:
            return (Action.RECURSE if known == "SQ" else Action.SWEEP), False
        kept = [option for option, code in chosen.items() if code == "K"]
        if not kept:
            return self._basic(tag, row.basic, parent, known), False
        if known == "SQ":
            return Action.RECURSE, False
        if known == "UI" and Option.RETAIN_UIDS not in kept:
            # A device stays the same device under a new UID: an original UID leads back to who made it.
            return Action.UID, False
        if known in ("DA", "DT") and Option.RETAIN_FULL_DATES not in kept:
            return self._date, False
        return (Action.SCREEN if known in _TEXT else Action.KEEP), True

    def _basic(self, tag: int, code: str, parent: int, known: str) -> Action:
        choices = code.split("/")
        if "U*" in choices:
            code = "U*"  # references to other images, by new UIDs: they say nothing, and an image is worth less without
        elif len(choices) > 1:
            # The IOD's type of the attribute decides (PS3.15 E.1.1); where it is not known, what keeps every IOD valid.
            wanted = self.iod.type_of(tag, parent) if self.iod else 1
            by_type = {1: ("D", "Z"), 2: ("Z", "D"), 3: ("X", "Z", "D")}[wanted]
            code = next(choice for choice in by_type if choice in choices)
        action = _BASIC[code]
        if action is Action.DUMMY and known == "SQ":
            # A dummy for a sequence is the sequence itself with its items cleaned.
            return Action.REMOVE if tag in _DUMMY_IS_NONE else Action.RECURSE
        return action

    def _beyond_the_table(self, tag: int, known: str) -> Action:
        if tag in _CODES:
            return Action.SCREEN
        if known in _BY_VR:
            return self._by_vr(known)
        if known == "TM" and not self.options & _DATE_OPTIONS:
            return Action.EMPTY  # a time of day is an element of a date
        if known in ("AE", "UR") and tag not in _CODING:
            return Action.REMOVE  # addresses of somebody's network
        if known in _TEXT:
            return Action.SWEEP
        alternatives = frozenset(known.split(" or "))
        return Action.KEEP if alternatives & (_NUMBERS | _BULK) else Action.REMOVE

    def _by_vr(self, vr: str) -> Action:
        action = _BY_VR[vr]
        if action is Action.SHIFT:
            return self._date
        return Action.KEEP if action is Action.UID and Option.RETAIN_UIDS in self.options else action

    @property
    def _date(self) -> Action:
        if Option.RETAIN_MODIFIED_DATES in self.options:
            return Action.SHIFT
        return Action.KEEP if Option.RETAIN_FULL_DATES in self.options else Action.EMPTY

    def _possible(self, wanted: Action, vr: str, known: str) -> Action:
        """Return what can be done with the value that is there: its VR may not be the dictionary's.

        Parameters
        ----------
        wanted
            What the rules say of the attribute.
        vr
            Value representation of the value.
        known
            Value representation of the attribute in PS3.6.
        """
        if wanted in (Action.SHIFT, Action.UID) and vr in TEXTUAL and vr != "SQ":
            return wanted
        if vr in _BY_VR:
            return self._by_vr(vr)
        if vr in _TEXT:
            return Action.SCREEN if wanted is Action.SCREEN else Action.SWEEP
        # Binary values cannot be swept: they stay only where the standard wants such a value.
        alternatives = frozenset(known.split(" or "))
        if vr in _NUMBERS and alternatives & (_NUMBERS | {"DS", "IS"}):
            return Action.KEEP
        of_the_standard = vr in alternatives & _BULK or (vr == known and " or " in vr)
        return Action.KEEP if of_the_standard else Action.REMOVE


@lru_cache(maxsize=16384)
def dictionary_vr(tag: int) -> str:
    """Return the value representation of an attribute (PS3.6), "" where there is none; may be "US or SS"."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


@lru_cache(maxsize=1)
def _table() -> Mapping[int, Row]:
    source = resources.files("firstread.deid").joinpath("data/table_e1_1.json").read_text()
    rows = json.loads(source)["rows"]
    return {int(tag, 16): Row(row["basic"], row.get("options", {})) for tag, row in rows.items()}


@lru_cache(maxsize=256)
def rules(options: frozenset[Option], sop_class: str = "", overlay: Overlay | None = None) -> Rules:
    """Resolve the table for a set of options.

    Parameters
    ----------
    options
        The options that are applied.
    sop_class
        Choices that the table leaves are made for its IOD.
    overlay
        A site's own directives (`firstread.deid.recipe`).
    """
    return Rules(options, _table(), iod(sop_class) if sop_class else None, overlay)
