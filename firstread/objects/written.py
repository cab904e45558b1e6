"""A file that tells what a model or a reader said, and the same bytes each time it is made."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from io import BytesIO
from typing import Protocol

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from firstread.dicom.metadata import study_date, text
from firstread.dicom.silence import quiet
from firstread.result import ObjectKind, ResultObject
from firstread.storage import result_key

# It logs patients' names that look unusual to it.
logging.getLogger("highdicom").addHandler(logging.NullHandler())
logging.getLogger("highdicom").propagate = False

MANUFACTURER = "FirstRead"
RESEARCH_USE = "Research use only"
SCHEME = "99FIRSTREAD"
DICOM = "application/dicom"
_SUFFIXES = {DICOM: "dcm", "image/png": "png", "text/html": "html"}
_NO_DATE = date(1900, 1, 1)  # where no image has a date; the objects must have one


@dataclass(frozen=True)
class Written:
    """One file of a result or of a signed review.

    Parameters
    ----------
    kind, content, content_type
        What it is, its bytes, its media type.
    sop_class_uid, sop_uid, series_uid
        Of a DICOM object; "" otherwise.
    """

    kind: ObjectKind
    content: bytes
    content_type: str
    sop_class_uid: str = ""
    sop_uid: str = ""
    series_uid: str = ""

    @property
    def sha256(self) -> str:
        """Return the digest of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    def key(self, study_uid: str) -> str:
        """Return the content-addressed key in the results bucket."""
        return result_key(study_uid, self.sha256, _SUFFIXES[self.content_type])

    def result_object(self, study_uid: str, key: str = "") -> ResultObject:
        """Return what is recorded of it; `key` where it is kept elsewhere than among results of models."""
        return ResultObject(
            kind=self.kind,
            key=key or self.key(study_uid),
            content_type=self.content_type,
            size=len(self.content),
            sha256=self.sha256,
            sop_class_uid=self.sop_class_uid,
            sop_uid=self.sop_uid,
            series_uid=self.series_uid,
        )


def moment_of(images: Iterable[Dataset]) -> datetime:
    """Return the moment that all dates of objects are made of: that of the study, as its images tell it.

    Not the moment of the analysis or of signing: beside a Study Date that de-identification has shifted, a true date
    of the same day would tell by how much.
    """
    found = list(images)
    day = next((each for each in map(study_date, found) if each is not None), _NO_DATE)
    return datetime.combine(day, next(filter(None, map(_time, found)), time()), UTC)


def _time(image: Dataset) -> time | None:
    """Return Study Time (0008,0030) to the second; None where it is not one."""
    try:
        return datetime.strptime(text(image, "StudyTime")[:6], "%H%M%S").time()
    except ValueError:
        return None


def dicom_file(kind: ObjectKind, dataset: Dataset, moment: datetime, dimensions_uid: str) -> Written:
    """Return an object as a file, its dates and generated UIDs replaced by those of the study.

    Parameters
    ----------
    kind, dataset
        The object, as highdicom made it.
    moment
        `moment_of` its sources.
    dimensions_uid
        UID of its Dimension Organization (PS3.3 C.7.6.17), where it has one.
    """
    _settle(dataset, moment, dimensions_uid)
    buffer = BytesIO()
    with quiet():  # what the sources bring along is theirs
        dcmwrite(buffer, dataset, enforce_file_format=True)
    return Written(
        kind=kind,
        content=buffer.getvalue(),
        content_type=DICOM,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
    )


def _settle(dataset: Dataset, moment: datetime, dimensions_uid: str) -> None:
    whole = moment.strftime("%Y%m%d") + time_text(moment)
    for prefix in ("InstanceCreation", "Content", "PresentationCreation"):
        if f"{prefix}Date" in dataset:
            setattr(dataset, f"{prefix}Date", moment.strftime("%Y%m%d"))
            setattr(dataset, f"{prefix}Time", time_text(moment))
    for item in dataset.get("ContributingEquipmentSequence") or []:
        if item.get("ManufacturerModelName") == "highdicom":
            item.ContributionDateTime = whole
    for item in dataset.get("VerifyingObserverSequence") or []:
        item.VerificationDateTime = whole
    for name in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(name) or []:
            item.DimensionOrganizationUID = dimensions_uid


def time_text(moment: datetime) -> str:
    """Return the time of day as a TM (PS3.5 6.2)."""
    return moment.strftime("%H%M%S.%f")


def own_codes() -> CodingSchemeIdentificationItem:
    """Return what the designator of our own codes stands for (PS3.3 C.12.1.1.8)."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="Codes of FirstRead", responsible_organization=MANUFACTURER
    )


class Coded(Protocol):
    """A coded concept, of a record or of a manifest."""

    @property
    def value(self) -> str:
        """Return the code value."""

    @property
    def scheme(self) -> str:
        """Return the coding scheme designator."""

    @property
    def meaning(self) -> str:
        """Return what people read."""


def coded(code: Coded) -> CodedConcept:
    """Return a code as highdicom has it."""
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def own_code(value: str, meaning: str) -> CodedConcept:
    """Return one of our own codes."""
    return CodedConcept(value, SCHEME, meaning)
