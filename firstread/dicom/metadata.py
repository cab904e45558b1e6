"""Typed facts from a header: parsed once, unknown stays unknown, nothing is guessed."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydicom.dataset import Dataset

from firstread.dicom.objects import MR_SPECTROSCOPY, OUR_NAME, RESULT_CLASSES
from firstread.dicom.peek import peek
from firstread.study import InstanceFacts

_AGE = re.compile(r"^(\d{3})([DWMY])$")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
OLDEST_YEARS = 90
"""Ages above are said to be this: 45 CFR 164.514(b)(2)(i)(C) lets "90 or older" be one category."""
_COS_30 = 0.866
_UNIT = 1.01  # a little more than a unit vector, for rounding
_FAR = 10_000.0  # millimetres
_MOST_TYPES = 8
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
    studied = parse_date(text(deidentified, "StudyDate"))
    # Rows and columns of spectra are nothing to look at.
    shown = text(deidentified, "SOPClassUID") != MR_SPECTROSCOPY
    return InstanceFacts(
        series_uid=text(deidentified, "SeriesInstanceUID"),
        sop_class_uid=text(deidentified, "SOPClassUID"),
        modality=text(deidentified, "Modality").upper(),
        body_part=text(deidentified, "BodyPartExamined").upper(),
        view_position=text(deidentified, "ViewPosition").upper(),
        age_years=timing.age_years,
        study_date=f"{studied:%Y%m%d}" if studied else "",
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
        image_type=tuple(text(deidentified, "ImageType").upper().split("\\"))[:_MOST_TYPES],
        plane=plane(deidentified),
        row_spacing_mm=_spacing(deidentified, 0),
        column_spacing_mm=_spacing(deidentified, 1),
        slice_thickness_mm=next(iter(lengths(deidentified, "SliceThickness")), None),
        frame_of_reference_uid=text(deidentified, "FrameOfReferenceUID"),
        is_recent=timing.is_recent,
        simulated=text(deidentified, "SyntheticData").upper() == "YES",
        made_here=_is_made_here(deidentified),
        stat=_is_stat(deidentified),
        study_series=number(deidentified, "NumberOfStudyRelatedSeries"),
        study_instances=number(deidentified, "NumberOfStudyRelatedInstances"),
        series_instances=number(deidentified, "NumberOfSeriesRelatedInstances"),
    )


def lengths(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the positive, finite decimal values of an attribute (VR DS); none where one of them is not."""
    try:
        found = tuple(float(part) for part in text(dataset, keyword).split("\\"))
    except ValueError:
        return ()
    return found if all(0 < value < _FAR for value in found) else ()


def _spacing(dataset: Dataset, axis: int) -> float | None:
    found = lengths(dataset, "PixelSpacing")
    return found[axis] if len(found) == 2 else None


def plane(dataset: Dataset) -> str:
    """Return the plane of the body that an image lies in, by Image Orientation (Patient) (PS3.3 C.7.6.2.1.1).

    ``axial``, ``sagittal`` or ``coronal`` where the normal is within 30 degrees of that axis; else "".
    """
    try:
        row, column = (
            [float(part) for part in text(dataset, "ImageOrientationPatient").split("\\")[first : first + 3]]
            for first in (0, 3)
        )
        normal = (
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        )
    except (ValueError, IndexError):
        return ""
    for name, part in zip(("sagittal", "coronal", "axial"), normal, strict=True):
        if _COS_30 <= abs(part) <= _UNIT:
            return name
    return ""


def _is_made_here(dataset: Dataset) -> bool:
    """Tell a result object of our own by Manufacturer (0008,0070) and class; no image can pass for one."""
    return text(dataset, "SOPClassUID") in RESULT_CLASSES and text(dataset, "Manufacturer") == OUR_NAME


URGENT_PRIORITIES = frozenset({"STAT", "HIGH"})
"""Values of Requested Procedure Priority (0040,1003) that ask for haste (PS3.3 C.4.11)."""


def _is_stat(dataset: Dataset) -> bool:
    """Tell whether Requested Procedure Priority (0040,1003) or Study Priority ID (0032,000C) asks for haste."""
    found = {text(dataset, "RequestedProcedurePriority").upper(), text(dataset, "StudyPriorityID").upper()}
    return bool(found & URGENT_PRIORITIES)
