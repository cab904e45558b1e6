"""What becomes of one value of an element."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firstread.deid.rules import Action
from firstread.deid.survey import is_well_known
from firstread.deid.text import Sweep
from firstread.dicom.metadata import OLDEST_YEARS

_DUMMIES: Mapping[str, object] = {
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "AS": "000Y",
    "IS": "0",
    "DS": "0",
    "UR": "urn:removed",
    "UI": "2.25.0",
}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|")
_SHAPES: Mapping[str, re.Pattern[str]] = {  # PS3.5 6.2
    "AS": re.compile(r"\d{3}[DWMY]|"),
    "DS": _NUMBER,
    "IS": _NUMBER,
    "TM": re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?|"),
    "DA": re.compile(r"\d{8}|"),
    "DT": re.compile(r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:[-+]\d{4})?|"),
}
_DATE_TIME = re.compile(r"(\d{8})((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[-+]\d{4})?)")
_REMEMBERED = 20_000  # texts of a warm process
_UID = re.compile(r"[0-9.]{1,64}")
_YEAR = re.compile(r"(?:1[89]|20)\d{2}(?=\d{4}|$)")


@dataclass(frozen=True)
class Values:
    """Changes single values by the rules' actions.

    Parameters
    ----------
    sweep
        What identifies the patient.
    shift_days
        Added to dates.
    """

    sweep: Sweep
    shift_days: int
    _known: dict[tuple[Action, str, str], str] = field(default_factory=dict, repr=False, compare=False)

    def changed(self, value: str, vr: str, action: Action) -> str:
        """Return what stands in the place of a value; the value itself where it may stay.

        Parameters
        ----------
        value
            One value of a text-like VR.
        vr
            Its VR.
        action
            KEEP, SHIFT, SWEEP or SCREEN.
        """
        asked = (action, vr, value)
        result = self._known.get(asked)
        if result is None:
            result = self._changed(value, vr, action)
            if len(self._known) < _REMEMBERED:
                self._known[asked] = result
        return result

    def _changed(self, value: str, vr: str, action: Action) -> str:
        if action is Action.SHIFT:
            return self._shifted(value)
        if vr == "CS":
            return value if self.sweep.is_term(value) else ""
        if vr == "UI":
            return value if _UID.fullmatch(value) else ""
        if vr in _SHAPES:
            good = bool(_SHAPES[vr].fullmatch(value.strip()))
            if vr not in ("DA", "DT"):  # a date that is kept is one that the sweep looks for
                good = good and not self.sweep.is_identifier(value)
            return capped_age(value) if good else ""
        return self.sweep.clean(value, prose=action is Action.SWEEP)

    def _shifted(self, value: str) -> str:
        """Shift the date part of a DA or DT value (PS3.5 6.2); what is no full date becomes empty."""
        parts = _DATE_TIME.fullmatch(value.strip())
        if parts is None:
            return ""
        try:
            day = datetime.strptime(parts[1], "%Y%m%d") + timedelta(days=self.shift_days)
        except (ValueError, OverflowError):
            return ""
        return f"{day:%Y%m%d}{parts[2]}" if day.year >= 1000 else ""


def new_uid(value: str, uids: Mapping[str, str]) -> str:
    """Return the UID that stands for another one; those of the standard stay."""
    return value if is_well_known(value) else uids.get(value, "")


def dummy(vr: str, original: str = "") -> object:
    """Return a value that is valid for a VR and says nothing; of a date at most its year (45 CFR 164.514(b)(2)(i)(C)).

    Parameters
    ----------
    vr
        Value representation.
    original
        The value that it replaces.
    """
    if vr in ("UL", "US", "SL", "SS", "FL", "FD", "SV", "UV"):
        return 0
    if vr in ("OB", "OW", "OF", "OD", "OL", "OV", "UN"):
        return b"\0\0"
    if vr in ("DA", "DT") and (year := _YEAR.match(original)):
        return f"{year[0]}0101" if vr == "DA" else year[0]
    return _DUMMIES.get(vr, "REMOVED")


def capped_age(value: str) -> str:
    """Return an age of 90 years or more as 90: older people are few (45 CFR 164.514(b)(2)(i)(C))."""
    years = re.fullmatch(r"(\d{3})Y", value.strip())
    return f"{OLDEST_YEARS:03d}Y" if years and int(years[1]) > OLDEST_YEARS else value
