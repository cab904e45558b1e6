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

_TEXT = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR", "CS", "AE", "AS", "DS", "IS"})
_PLAIN = frozenset(
    {"AT", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV", "OW", "OF", "OD", "OL", "OV", "TM", "US or SS"}
    | {"US or OW", "US or SS or OW", "OB or OW"}
)
_BY_VR = {"SQ": Action.RECURSE, "UI": Action.UID, "DA": Action.SHIFT, "DT": Action.SHIFT, "PN": Action.EMPTY}
_ICC_PROFILE = 0x00282000  # OB, and colours are wrong without it


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
        group = tag >> 16
        # Private attributes, curves (50xx) and overlays (60xx): PS3.15 Table E.1-1, by mask.
        if group % 2 or group & 0xFF00 in (0x5000, 0x6000):
            return Action.REMOVE
        found = self.table.get(tag)
        if found is not None:
            return found
        if tag & 0xFFFF == 0:  # group length, retired
            return Action.REMOVE
        return self._beyond_the_table(tag, vr)

    def _beyond_the_table(self, tag: int, vr: str) -> Action:
        known = _dictionary_vr(tag)
        if known is None:
            return Action.REMOVE
        vr = known if vr in ("", "UN") else vr
        if vr in _BY_VR:
            return _BY_VR[vr]
        if vr in _TEXT:
            return Action.SWEEP
        return Action.KEEP if vr in _PLAIN or tag == _ICC_PROFILE else Action.REMOVE


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
