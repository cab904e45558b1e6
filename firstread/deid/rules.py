"""PS3.15 Table E.1-1 and its options, resolved to one action per attribute.

The table is data (`data/table_e1_1.json`, written by `scripts/build_deid_table.py`). What the table does not name is
decided by value representation; what is not understood is removed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources

from pydicom.datadict import dictionary_VR

from firstread.dicom.pixels import PIXEL_TAGS
from firstread.study import Code


class Action(StrEnum):
    """What is done with an element."""

    KEEP = "keep"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    UID = "uid"
    SHIFT = "shift"
    SWEEP = "sweep"
    RECURSE = "recurse"


class Option(StrEnum):
    """Options of the Basic Profile (PS3.15 E.3); the value is the key in the table."""

    CLEAN_DESCRIPTORS = "clean_descriptors"
    RETAIN_MODIFIED_DATES = "retain_modified_dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_DEVICE_IDENTITY = "retain_device_identity"


METHOD_CODES: Mapping[Option | None, Code] = {
    None: Code(value="113100", scheme="DCM", meaning="Basic Application Confidentiality Profile"),
    Option.CLEAN_DESCRIPTORS: Code(value="113105", scheme="DCM", meaning="Clean Descriptors Option"),
    Option.RETAIN_MODIFIED_DATES: Code(
        value="113107",
        scheme="DCM",
        meaning="Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: Code(
        value="113108", scheme="DCM", meaning="Retain Patient Characteristics Option"
    ),
    Option.RETAIN_DEVICE_IDENTITY: Code(
        value="113109", scheme="DCM", meaning="Retain Device Identity Option"
    ),
}
"""Codes of CID 7050 (PS3.16) for De-identification Method Code Sequence; None is the Basic Profile."""

PIPELINE_OPTIONS = frozenset(Option)

# Combined codes leave the choice to the IOD's type of the attribute. The least destructive member keeps every
# IOD valid (type 1 needs a value, type 2 may be empty); an IOD-aware choice removes more.
_COMBINED = {"X/Z": "Z", "X/D": "D", "X/Z/D": "D", "Z/D": "D", "X/Z/U*": "U*"}
_BASIC = {
    "X": Action.REMOVE,
    "Z": Action.EMPTY,
    "D": Action.DUMMY,
    "U": Action.UID,
    "U*": Action.RECURSE,
}

_TEXT = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR", "CS", "AE", "AS", "DS", "IS", "TM"})
_NUMBERS = frozenset({"AT", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV"})
_BULK = frozenset({"OW", "OF", "OD", "OL", "OV"})
_BY_VR = {"SQ": Action.RECURSE, "UI": Action.UID, "DA": Action.SHIFT, "DT": Action.SHIFT, "PN": Action.EMPTY}
_ICC_PROFILE = 0x00282000  # OB, and colours are wrong without it
_CODING = frozenset({0x0008010E, 0x00080120})  # URLs and URNs of coding schemes

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
        or tag & 0xFFFF == 0  # group length, retired
        or tag in PIXEL_TAGS  # within a sequence: pixels that no gate has judged
        or tag in _IDENTIFYING
    )


@dataclass(frozen=True)
class Rules:
    """One action per tag.

    Parameters
    ----------
    table
        Tag -> action, for the rows of Table E.1-1.
    options
        The options that were applied.
    """

    table: Mapping[int, Action]
    options: frozenset[Option]

    def action(self, tag: int, vr: str) -> Action:
        """Return what to do with an element.

        Parameters
        ----------
        tag
            ``group << 16 | element``.
        vr
            Value representation in the dataset or the dictionary; "" where neither knows one.
        """
        if _by_mask(tag):
            return Action.REMOVE
        known = _dictionary_vr(tag) or ""
        if tag == _ICC_PROFILE:
            return Action.KEEP if vr in ("", "UN", "OB") else Action.REMOVE
        found = self.table.get(tag) or _beyond_the_table(tag, known)
        if found in (Action.REMOVE, Action.EMPTY, Action.DUMMY):
            return found
        return _possible(found, known if vr in ("", "UN") else vr, known)


def _beyond_the_table(tag: int, known: str) -> Action:
    if known in _BY_VR:
        return _BY_VR[known]
    if known in ("AE", "UR") and tag not in _CODING:
        return Action.REMOVE  # addresses of somebody's network
    if known in _TEXT:
        return Action.SWEEP
    alternatives = frozenset(known.split(" or "))
    return Action.KEEP if alternatives & (_NUMBERS | _BULK) else Action.REMOVE


def _possible(wanted: Action, vr: str, known: str) -> Action:
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
    if wanted in (Action.SHIFT, Action.UID) and (vr in _TEXT or vr in _BY_VR) and vr != "SQ":
        return wanted
    if vr in _BY_VR:
        return _BY_VR[vr]
    if vr in _TEXT:
        return Action.SWEEP
    # Binary values cannot be swept: they stay only where the standard wants such a value.
    alternatives = frozenset(known.split(" or "))
    if vr in _NUMBERS and alternatives & (_NUMBERS | {"DS", "IS"}):
        return Action.KEEP
    of_the_standard = vr in alternatives & _BULK or (vr == known and " or " in vr)
    return Action.KEEP if of_the_standard else Action.REMOVE


def _dictionary_vr(tag: int) -> str | None:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


@lru_cache(maxsize=8)
def rules(options: frozenset[Option]) -> Rules:
    """Resolve the table for a set of options."""
    source = resources.files("firstread.deid").joinpath("data/table_e1_1.json").read_text()
    rows: dict[str, dict[str, object]] = json.loads(source)["rows"]
    return Rules({int(tag, 16): _resolve(int(tag, 16), row, options) for tag, row in rows.items()}, options)


def pipeline_rules() -> Rules:
    """Return the rules of the pipeline's default profile (design.md §2.3)."""
    return rules(PIPELINE_OPTIONS)


def _resolve(tag: int, row: dict[str, object], options: frozenset[Option]) -> Action:
    basic = _basic(tag, str(row["basic"]))
    columns = row.get("options", {})
    chosen = {option: columns[option.value] for option in options if option.value in columns}  # type: ignore[operator, index]
    vr = _dictionary_vr(tag) or ""
    # Where one option keeps and another cleans, cleaning is the safer reading.
    if chosen.get(Option.CLEAN_DESCRIPTORS) == "C":
        return Action.RECURSE if vr == "SQ" else Action.SWEEP
    if chosen.get(Option.RETAIN_MODIFIED_DATES) == "C":
        return {"DA": Action.SHIFT, "DT": Action.SHIFT, "TM": Action.KEEP}.get(vr, basic)
    if chosen.get(Option.RETAIN_PATIENT_CHARACTERISTICS) == "C":
        return Action.SWEEP
    if "K" in chosen.values():
        return Action.RECURSE if vr == "SQ" else Action.SWEEP if vr in _TEXT else Action.KEEP
    return basic


def _basic(tag: int, code: str) -> Action:
    action = _BASIC[_COMBINED.get(code, code)]
    # A dummy for a sequence is the sequence itself with its items cleaned.
    return Action.RECURSE if action is Action.DUMMY and _dictionary_vr(tag) == "SQ" else action
