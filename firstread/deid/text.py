"""Sweep free text for what the header itself says identifies the patient, and for dates and numbers that may."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from firstread.dicom.metadata import parse_date, text
from firstread.dicom.reader import sequence_of

_IDENTIFIERS = (
    "PatientID",
    "OtherPatientIDs",
    "IssuerOfPatientID",
    "AccessionNumber",
    "StudyID",
    "AdmissionID",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "ReferringPhysicianAddress",
    "MilitaryRank",
    "CountryOfResidence",
    "RegionOfResidence",
    "MedicalRecordLocator",
    "ClinicalTrialSubjectID",
)
_NAME_SEPARATORS = re.compile(r"[\^=\s,;.]+")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_PATTERNS = re.compile(
    "|".join(
        (
            r"[\w.+-]+@[\w-]+\.[\w.]+",  # e-mail
            r"(?<!\d)(?:19|20)\d{2}[-/.]?(?:0\d|1[0-2])[-/.]?(?:[0-2]\d|3[01])(?!\d)",  # 20040826, 2004-08-26
            r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d{2}(?!\d)",  # 26.08.2004, 8/26/04
            rf"(?<!\w)\d{{1,2}}[-. ]?(?:{_MONTHS})[a-z]*[-., ]*(?:19|20)\d{{2}}",  # 26 Aug 2004
            rf"(?:{_MONTHS})[a-z]*[-. ]+\d{{1,2}}(?:st|nd|rd|th)?[,. ]+(?:19|20)\d{{2}}",  # Aug 26, 2004
            r"(?<!\d)\+?\d[\d ()/-]{6,}\d(?!\d)",  # telephone and other long numbers
            r"(?<!\d)\d{6,}(?!\d)",
        )
    ),
    re.IGNORECASE,
)
_LONG = 5  # shorter ones are ages, sizes and defined terms
_SPACES = re.compile(r"\s{2,}")


@dataclass(frozen=True)
class Sweep:
    """Removes a patient's identifiers from text.

    Parameters
    ----------
    seeds
        One expression that matches any identifier of the header; None where there is none.
    """

    seeds: re.Pattern[str] | None

    def clean(self, value: str, *, prose: bool) -> str:
        """Return the text without identifiers; unchanged to the letter where there is nothing to remove.

        Parameters
        ----------
        value
            One value of an attribute.
        prose
            Whether somebody may have typed it: then dates, telephone and other long numbers go as well. Codes
            and measured numbers only lose what the header itself names.
        """
        swept = self.seeds.sub(" ", value) if self.seeds else value
        if prose:
            swept = _PATTERNS.sub(" ", swept)
        return value if swept == value else _SPACES.sub(" ", swept).strip(" ^,;:-")

    def is_identifier(self, value: str) -> bool:
        """Return whether a structured value as a whole is a long identifier of the header."""
        stripped = value.strip()
        return len(stripped) >= _LONG and self.seeds is not None and bool(self.seeds.fullmatch(stripped))


def sweep_for(dataset: Dataset) -> Sweep:
    """Build the sweep for a dataset from its own identifiers, at every depth."""
    seeds = {seed for seed in _seeds(dataset) if len(seed) >= 2}
    if not seeds:
        return Sweep(None)
    longest_first = sorted(seeds, key=lambda seed: (-len(seed), seed))
    body = "|".join(re.escape(seed) for seed in longest_first)
    return Sweep(re.compile(rf"(?<![^\W_])(?:{body})(?![^\W_])", re.IGNORECASE))


def _seeds(dataset: Dataset) -> Iterator[str]:
    for item, tag in elements(dataset):
        element = item.get_item(tag)
        if _is_name(element.VR, tag):
            yield from _name_parts(str(item[tag].value or ""))
    for keyword in _IDENTIFIERS:
        yield from text(dataset, keyword).split("\\")
    born = parse_date(text(dataset, "PatientBirthDate"))
    if born is not None:
        yield from _spellings(born)


def _is_name(vr: str | None, tag: BaseTag) -> bool:
    if vr not in (None, "UN"):
        return vr == "PN"
    try:
        return dictionary_VR(tag) == "PN"
    except KeyError:
        return False


def _name_parts(name: str) -> Iterable[str]:
    yield name
    yield from _NAME_SEPARATORS.split(name)


def _spellings(day: date) -> Iterable[str]:
    return (day.strftime(pattern) for pattern in ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%d%m%y", "%y%m%d"))


def elements(dataset: Dataset) -> Iterator[tuple[Dataset, BaseTag]]:
    """Yield every element of a dataset and of its items, as the item it is in and its tag."""
    stack = [dataset]
    while stack:
        item = stack.pop()
        for tag in list(item.keys()):
            yield item, tag
            sequence = sequence_of(item, tag)
            if sequence is not None:
                stack.extend(sequence)
