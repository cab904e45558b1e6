"""Standardised uptake values of PET, by the rules of QIBA for each vendor; refused where an input is missing.

The rules are those of the QIBA FDG-PET/CT profile (vendor-neutral computation of SUV), on PS3.3 C.8.9.1 (PET Series),
C.8.9.2 (PET Isotope) and C.8.9.4 (PET Image).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from firstread.dicom.silence import quiet
from firstread.imaging.body import Suv, SuvError, SuvReason, body_size
from firstread.imaging.lookup import numbers
from firstread.imaging.suv_enhanced import ACTIVITY, is_corrected, is_enhanced, real_world
from firstread.imaging.volume import Volume

_PHILIPS = "Philips PET Private Group"
_GE = "GEMS_PETD_01"
_DOSE_BQ = (1e5, 1e11)  # megabecquerels in place of becquerels lie outside
_HALF_LIVES = 10.0  # after more of them a thousandth is left: dates were shifted apart
_STORED = {"GML": (Suv.BODY_WEIGHT, Suv.LEAN_JANMAHASATIAN, Suv.LEAN_JAMES), "CM2ML": (Suv.BODY_SURFACE,)}


@dataclass(frozen=True)
class SuvScale:
    """What makes a standardised uptake of the values of a PET series.

    Parameters
    ----------
    kind
        By what it is standardised.
    factor
        By which values, after their own rescale, are multiplied.
    rule
        Which rule was taken: ``stored``, ``philips_suv``, ``philips_activity``, ``activity``, ``real_world_suv`` or
        ``enhanced_activity``.
    formula
        The rule, written out in the names of `inputs`, and that of the size of the patient.
    inputs
        All that went into it: ``weight_kg``, ``height_m``, ``sex``, ``dose_bq``, ``half_life_s``, ``decay_s``,
        ``scan_time`` (the element that it is from), private factors.
    """

    kind: Suv
    factor: float
    rule: str
    formula: str
    inputs: dict[str, float | str]

    def to_json(self) -> dict[str, object]:
        """Return it as a sidecar has it."""
        return {
            "suv_type": self.kind.value,
            "code": f"DCM {self.kind.code}",
            "units": self.kind.units,
            "factor": self.factor,
            "rule": self.rule,
            "formula": self.formula,
            "inputs": dict(self.inputs),
        }


def suv(volume: Volume, headers: Sequence[Dataset], kind: Suv = Suv.BODY_WEIGHT) -> Volume:
    """Return a PET volume in standardised uptake values.

    Parameters
    ----------
    volume
        Of a PET series, as `firstread.imaging.load` made it: each slice with its own Rescale Slope.
    headers
        Of all images of the series; pixels are not needed.
    kind
        By what it is standardised.

    Returns
    -------
    Volume
        float32, `units` those of `kind`; `suv_scale` says how.

    Raises
    ------
    SuvError
        If an input is missing, contradicts another or cannot be true.
    """
    if volume.modality != "PT" or volume.units:
        raise SuvError(SuvReason.NOT_PET)
    known = {str(each.get("SOPInstanceUID", "")) for each in headers}
    if any(each.sop_uid not in known for each in volume.frames):
        raise SuvError(SuvReason.MIXED)
    scale = suv_scale(headers, kind)
    values = (volume.values.astype(np.float64) * scale.factor).astype(np.float32)
    return replace(volume, values=values, units=kind.units)


def suv_scale(headers: Sequence[Dataset], kind: Suv = Suv.BODY_WEIGHT) -> SuvScale:
    """Return what makes standardised uptake values of a series.

    Parameters
    ----------
    headers
        Of all its images; the earliest acquisition among them counts where the time of the series came later.
    kind
        By what it is standardised.

    Raises
    ------
    SuvError
        As `suv`.
    """
    with quiet():
        if not headers or any(_word(each, "Modality") != "PT" for each in headers):
            raise SuvError(SuvReason.NOT_PET)
        if is_enhanced(headers):
            return _of_enhanced(headers, kind)
        units = _common(headers, "Units")
        if not units:
            raise SuvError(SuvReason.NO_UNITS)
        if units in _STORED:
            return _of_stored(headers, units, kind)
        if units == "CNTS":
            return _of_counts(headers, kind)
        if units != "BQML":
            raise SuvError(SuvReason.UNKNOWN_UNITS)
        return _of_activity(headers, kind, 1.0)


def _of_stored(headers: Sequence[Dataset], units: str, kind: Suv) -> SuvScale:
    """Return the scale of what is standardised already; by another size where both sizes are known."""
    told = _common(headers, "SUVType") or _STORED[units][0].value  # BW where it is absent (C.8.9.1.1.3)
    stored = next((each for each in _STORED[units] if each.value == told), None)
    if stored is None:
        raise SuvError(SuvReason.UNKNOWN_UNITS)  # LBM and IBW do not say by which formula
    return _converted(headers, stored, kind, 1.0, "stored", {})


def _of_counts(headers: Sequence[Dataset], kind: Suv) -> SuvScale:
    """Return the scale of counts of Philips: their factor to SUV, else that to activity."""
    factor = _private(headers, _PHILIPS, 0x00)
    if factor:
        return _converted(headers, Suv.BODY_WEIGHT, kind, factor, "philips_suv", {"suv_factor": factor})
    activity = _private(headers, _PHILIPS, 0x09)
    if not activity:
        raise SuvError(SuvReason.NO_FACTOR)
    return _of_activity(headers, kind, activity)


def _converted(
    headers: Sequence[Dataset], of: Suv, kind: Suv, factor: float, rule: str, inputs: dict[str, float | str]
) -> SuvScale:
    name = next(iter(inputs), "1")
    if of is kind:
        return SuvScale(kind, factor, rule, name, inputs)
    (size, told), (before, told_before) = _size(headers, kind), _size(headers, of)
    formula = f"{name} * size({kind.value}) / size({of.value}); {kind.value}: {kind.formula}; {of.value}: {of.formula}"
    return SuvScale(kind, factor * size / before, rule, formula, inputs | told | told_before)


def _of_enhanced(headers: Sequence[Dataset], kind: Suv) -> SuvScale:
    """Return the scale of Enhanced PET; decay is counted to the moment that it says it was corrected to."""
    units, factor = real_world(headers)
    if units != ACTIVITY:
        return _converted(headers, Suv(units), kind, factor, "real_world_suv", {"real_world_factor": factor})
    if not is_corrected(headers):
        raise SuvError(SuvReason.NOT_CORRECTED)
    moment = _common(headers, "DecayCorrectionDateTime")
    if not moment:
        raise SuvError(SuvReason.NO_TIMES)
    scan = _parsed(moment, _word(headers[0], "TimezoneOffsetFromUTC")), "DecayCorrectionDateTime"
    return _of_corrected(headers, kind, factor, scan, "enhanced_activity")


def _of_activity(headers: Sequence[Dataset], kind: Suv, to_bqml: float) -> SuvScale:
    corrected = set(_common(headers, "CorrectedImage").split("\\"))
    mode = _common(headers, "DecayCorrection")
    if not {"ATTN", "DECY"} <= corrected or mode not in ("START", "ADMIN"):
        raise SuvError(SuvReason.NOT_CORRECTED)
    rule = "activity" if to_bqml == 1.0 else "philips_activity"
    return _of_corrected(headers, kind, to_bqml, _scan_time(headers) if mode == "START" else None, rule)


def _of_corrected(
    headers: Sequence[Dataset], kind: Suv, to_bqml: float, scan: tuple[datetime, str] | None, rule: str
) -> SuvScale:
    """Return the scale of activity; `scan` is when decay was corrected to, and None where that was the injection."""
    size, inputs = _size(headers, kind)
    tracer = _tracer(headers)
    dose = _number(tracer, "RadionuclideTotalDose", SuvReason.NO_DOSE)
    if not _DOSE_BQ[0] <= dose <= _DOSE_BQ[1]:
        raise SuvError(SuvReason.IMPLAUSIBLE_DOSE)
    inputs |= {"dose_bq": dose, "decay_correction": "ADMIN" if scan is None else "START"}
    formula = "size / dose_bq"
    factor = to_bqml * size / dose
    if to_bqml != 1.0:
        inputs["activity_factor"] = to_bqml
        formula = f"activity_factor * {formula}"
    if scan is not None:
        half_life = _number(tracer, "RadionuclideHalfLife", SuvReason.NO_HALF_LIFE)
        moment, source = scan
        decay = (moment - _injection(headers[0], tracer, moment)).total_seconds()
        if not 0.0 <= decay <= _HALF_LIVES * half_life:
            raise SuvError(SuvReason.IMPLAUSIBLE_TIMES)
        inputs |= {"half_life_s": half_life, "decay_s": decay, "scan_time": source}
        formula = formula.replace("dose_bq", "(dose_bq * 2^(-decay_s / half_life_s))")
        factor *= 2.0 ** (decay / half_life)
    return SuvScale(kind, factor, rule, f"{formula}; size: {kind.formula}", inputs)


def _size(headers: Sequence[Dataset], kind: Suv) -> tuple[float, dict[str, float | str]]:
    for keyword in ("PatientWeight", "PatientSize", "PatientSex"):
        _common(headers, keyword)
    return body_size(headers[0], kind)


def _tracer(headers: Sequence[Dataset]) -> Dataset:
    found = [each.get("RadiopharmaceuticalInformationSequence") or [] for each in headers]
    if not all(found):
        raise SuvError(SuvReason.NO_DOSE)
    if any(len(each) > 1 for each in found):
        raise SuvError(SuvReason.SEVERAL_TRACERS)
    items: list[Dataset] = [each[0] for each in found]
    for keyword in (
        "RadionuclideTotalDose",
        "RadionuclideHalfLife",
        "RadiopharmaceuticalStartDateTime",
        "RadiopharmaceuticalStartTime",
    ):
        _common(items, keyword)
    return items[0]


def _scan_time(headers: Sequence[Dataset]) -> tuple[datetime, str]:
    """Return the moment that decay is corrected to, and where it is from."""
    series = _moment(headers[0], "SeriesDate", "SeriesTime")
    for keyword in ("SeriesDate", "SeriesTime"):
        _common(headers, keyword)
    first = min(_moment(each, "AcquisitionDate", "AcquisitionTime") for each in headers)
    if series <= first:
        return series, "SeriesTime"
    # The series was made after it was acquired: post-processed, and its time is that of the processing.
    told = {value for each in headers if (value := _private_value(each, 0x0009, _GE, 0x0D)) is not None}
    if len(told) > 1:
        raise SuvError(SuvReason.MIXED)
    if told:
        return _parsed(str(told.pop())), "GE scan time"
    return first, "AcquisitionTime"


def _injection(header: Dataset, tracer: Dataset, scan: datetime) -> datetime:
    """Return when the dose was given; on the day of the scan where only a time is told."""
    whole = _word(tracer, "RadiopharmaceuticalStartDateTime")
    if whole:
        return _parsed(whole, _word(header, "TimezoneOffsetFromUTC"))
    time = _word(tracer, "RadiopharmaceuticalStartTime")
    if not time:
        raise SuvError(SuvReason.NO_TIMES)
    return _parsed(scan.strftime("%Y%m%d") + time)


def _moment(header: Dataset, date: str, time: str) -> datetime:
    day, hour = _word(header, date), _word(header, time)
    if len(day) != len("YYYYMMDD") or not hour:
        raise SuvError(SuvReason.NO_TIMES)
    return _parsed(day + hour)


def _parsed(value: str, local: str = "") -> datetime:
    """Return a DT to the second at least, in the local time of the images (PS3.5 6.2)."""
    body, offset = value, ""
    if len(value) > 5 and value[-5] in "+-":
        body, offset = value[:-5], value[-5:]
    whole, _, fraction = body.partition(".")
    try:
        if len(whole) not in (12, 14):  # to the minute at least
            raise ValueError
        found = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        found += timedelta(seconds=float(f"0.{fraction or 0}"))
        if not offset:
            return found
        return found - _zone(offset) + _zone(local)
    except ValueError:
        raise SuvError(SuvReason.NO_TIMES) from None


def _zone(offset: str) -> timedelta:
    found = datetime.strptime(offset, "%z").utcoffset()
    return found if found is not None else timedelta()


def _common(items: Sequence[Dataset], keyword: str) -> str:
    """Return the one text that all have."""
    found = {_word(each, keyword) for each in items}
    if len(found) > 1:
        raise SuvError(SuvReason.MIXED)
    return found.pop()


def _word(item: Dataset, keyword: str) -> str:
    try:
        value = item.get(keyword)
    except Exception:  # pydicom converts on access
        return ""
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value).strip()


def _number(item: Dataset, keyword: str, missing: SuvReason) -> float:
    found = numbers(item, keyword)
    if len(found) != 1 or found[0] <= 0.0:
        raise SuvError(missing)
    return found[0]


def _private(headers: Sequence[Dataset], creator: str, element: int) -> float:
    """Return a private factor that is the same in all headers; 0 where there is none."""
    found = {_private_value(each, 0x7053, creator, element) for each in headers}
    if len(found) > 1:
        raise SuvError(SuvReason.MIXED)
    try:
        factor = float(found.pop() or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return factor if 0.0 < factor < float("inf") else 0.0


def _private_value(header: Dataset, group: int, creator: str, element: int) -> Any:  # noqa: ANN401 - any VR
    try:
        value = header.private_block(group, creator)[element].value
    except (KeyError, ValueError):
        return None
    if isinstance(value, bytes):  # UN, where the writer's private dictionary is not known
        return value.decode("ascii", "replace").strip("\0 ")
    return value
