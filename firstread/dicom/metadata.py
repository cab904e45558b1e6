"""Typed facts from a header: parsed once, unknown stays unknown, nothing is guessed."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydicom.dataset import Dataset

from firstread.dicom.objects import MR_SPECTROSCOPY
from firstread.dicom.peek import peek
from firstread.study import InstanceFacts

_AGE = re.compile(r"^(\d{3})([DWMY])$")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
OLDEST_YEARS = 90
"""Ages above are said to be this: 45 CFR 164.514(b)(2)(i)(C) lets "90 or older" be one category."""
_SEXES = frozenset({"M", "F", "O"})


def text(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as stripped text; "" where it is absent, empty or cannot be decoded."""
    try:
        value = peek(dataset, keyword)
    except Exception:  # undecodable values are unknown values
        return ""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if hasattr(value, "__iter__"):
        return "\\".join(str(part).strip() for part in value)
    return str(value).strip()


def number(dataset: Dataset, keyword: str) -> int | None:
    """Return an attribute as a whole number, or None where it is absent or not one."""
    try:
        return int(text(dataset, keyword))
    except ValueError:
        return None


def parse_date(value: str) -> date | None:
    """Return a DA value (PS3.5 6.2) as a date, or None where it is not one."""
    try:
        return datetime.strptime(value, "%Y%m%d").date() if len(value) == 8 else None
    except ValueError:
        return None


def age_years(dataset: Dataset) -> float | None:
    """Return the age at the study in years, from Patient's Age (AS), else from birth and study date."""
    match = _AGE.match(text(dataset, "PatientAge"))
    if match:
        return int(match[1]) * _YEARS[match[2]]
    born, seen = parse_date(text(dataset, "PatientBirthDate")), study_date(dataset)
    if born is None or seen is None or seen < born:
        return None
    return round((seen - born).days / 365.25, 2)


def study_date(dataset: Dataset) -> date | None:
    """Return the date of the study, series, acquisition or content, the first that is a date."""
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        found = parse_date(text(dataset, keyword))
        if found is not None:
            return found
    return None


@dataclass(frozen=True)
class Timing:
    """What only the true dates can say; kept without the dates.

    Parameters
    ----------
    age_years
        Age at the study in years, at most `OLDEST_YEARS`, or None.
    is_recent
        Whether the study is recent enough to alert.
    """

    age_years: float | None
    is_recent: bool

    @classmethod
    def of(cls, original: Dataset, received: date, recent_days: int = 7) -> "Timing":
        """Compute from the dataset as it arrived.

        Parameters
        ----------
        original
            With its true dates.
        received
            Day of arrival (UTC).
        recent_days
            A study no older than this many days is recent. A day ahead is a clock or time zone, not the future.
        """
        seen = study_date(original)
        recent = seen is not None and timedelta(days=-1) <= received - seen <= timedelta(days=recent_days)
        age = age_years(original)
        return cls(None if age is None else min(age, OLDEST_YEARS), recent)


def facts(deidentified: Dataset, timing: Timing) -> InstanceFacts:
    """Return what routing and the worklist need to know.

    Parameters
    ----------
    deidentified
        The dataset as it will be stored; every text comes from here, so none can say more than it does.
    timing
        What was computed from the true dates.
    """
    sex = text(deidentified, "PatientSex").upper()
    # Rows and columns of spectra are nothing to look at.
    shown = text(deidentified, "SOPClassUID") != MR_SPECTROSCOPY
    return InstanceFacts(
        series_uid=text(deidentified, "SeriesInstanceUID"),
        sop_class_uid=text(deidentified, "SOPClassUID"),
        modality=text(deidentified, "Modality").upper(),
        body_part=text(deidentified, "BodyPartExamined").upper(),
        view_position=text(deidentified, "ViewPosition").upper(),
        age_years=timing.age_years,
        sex=sex if sex in _SEXES else "",
        rows=number(deidentified, "Rows") if shown else None,
        columns=number(deidentified, "Columns") if shown else None,
        frames=number(deidentified, "NumberOfFrames") or 1,
        photometric=text(deidentified, "PhotometricInterpretation").upper(),
        transfer_syntax_uid=text(deidentified.file_meta, "TransferSyntaxUID"),
        series_number=number(deidentified, "SeriesNumber"),
        instance_number=number(deidentified, "InstanceNumber"),
        study_description=text(deidentified, "StudyDescription"),
        series_description=text(deidentified, "SeriesDescription"),
        manufacturer=text(deidentified, "Manufacturer"),
        is_recent=timing.is_recent,
        simulated=text(deidentified, "SyntheticData").upper() == "YES",
        stat=_is_stat(deidentified),
        study_series=number(deidentified, "NumberOfStudyRelatedSeries"),
        study_instances=number(deidentified, "NumberOfStudyRelatedInstances"),
        series_instances=number(deidentified, "NumberOfSeriesRelatedInstances"),
    )


URGENT_PRIORITIES = frozenset({"STAT", "HIGH"})
"""Values of Requested Procedure Priority (0040,1003) that ask for haste (PS3.3 C.4.11)."""


def _is_stat(dataset: Dataset) -> bool:
    """Tell whether Requested Procedure Priority (0040,1003) or Study Priority ID (0032,000C) asks for haste."""
    found = {text(dataset, "RequestedProcedurePriority").upper(), text(dataset, "StudyPriorityID").upper()}
    return bool(found & URGENT_PRIORITIES)
