"""The patient and study modules as they arrived, for whoever may see them again."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Self

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from firstread.dicom.silence import quiet

# PS3.3 C.7.1.1 without the Patient Group Macro, which names other patients, and without the marks of de-identification.
PATIENT_MODULE = frozenset(
    Tag(keyword)
    for keyword in (
        "PatientName PatientID IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence PatientBirthDate "
        "PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar "
        "PatientSex QualityControlSubject "
        "ReferencedPatientSequence PatientBirthTime OtherPatientIDs OtherPatientIDsSequence OtherPatientNames "
        "EthnicGroup EthnicGroupCodeSequence PatientComments PatientSpeciesDescription PatientSpeciesCodeSequence "
        "PatientBreedDescription PatientBreedCodeSequence BreedRegistrationSequence StrainDescription "
        "StrainNomenclature StrainCodeSequence ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization"
    ).split()
)
# PS3.3 Table C.7-3 (General Study Module); with the number under which the order is known to who placed it.
STUDY_MODULE = frozenset(
    Tag(keyword)
    for keyword in (
        "StudyInstanceUID StudyDate StudyTime TimezoneOffsetFromUTC AccessionNumber "
        "IssuerOfAccessionNumberSequence ReferringPhysicianName ReferringPhysicianIdentificationSequence "
        "ConsultingPhysicianName ConsultingPhysicianIdentificationSequence StudyID StudyDescription "
        "PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy "
        "PhysiciansReadingStudyIdentificationSequence RequestingService RequestingServiceCodeSequence "
        "ReferencedStudySequence ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence "
        "PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest RequestAttributesSequence"
    ).split()
)
_CHARACTER_SET = Tag("SpecificCharacterSet")
_WANTED = PATIENT_MODULE | STUDY_MODULE | {_CHARACTER_SET}
_LONGEST_MODULE = 128 * 1024  # characters of JSON; a row of DynamoDB ends at 400 KiB


class Modules:
    """The two modules of one dataset; decoded only when somebody asks for `patient` or `study`.

    Parameters
    ----------
    dataset
        As it arrived; what is done to it later is not seen here.

    Attributes
    ----------
    fingerprint
        Equal where the elements are; of the encoded values, so that comparing costs no decoding.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._elements: dict[BaseTag, DataElement | RawDataElement] = {
            tag: _as_it_is(dataset.get_item(tag)) for tag in _WANTED & dataset.keys()
        }
        self._encoding = (*dataset.original_encoding, dataset.original_character_set)
        # A value that is decoded already (a name, several values, items) is compared by its text.
        self.fingerprint = frozenset(
            (int(tag), each.value if isinstance(each.value, bytes) else repr(each.value))
            for tag, each in self._elements.items()
        )

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Take the modules from a dataset before it is changed."""
        return cls(dataset)

    @cached_property
    def patient(self) -> str:
        """The patient module in the DICOM JSON model (PS3.18 F.2), with sorted keys."""
        return self._json(PATIENT_MODULE)

    @cached_property
    def study(self) -> str:
        """The general study module in the DICOM JSON model."""
        return self._json(STUDY_MODULE)

    @cached_property
    def _dataset(self) -> Dataset:
        dataset = Dataset(self._elements)
        dataset.set_original_encoding(*self._encoding)
        return dataset

    def _json(self, tags: frozenset[BaseTag]) -> str:
        module: dict[str, Mapping[str, object]] = {}
        size = 0
        for tag in sorted(tags & self._elements.keys()):
            try:
                with quiet():
                    value = self._dataset[tag].to_json_dict(None, 0)
            except Exception:  # noqa: S112 - pydicom may fail in any way on a malformed value; the others are kept
                continue
            size += len(json.dumps(value))
            if size > _LONGEST_MODULE:
                size -= len(json.dumps(value))
                continue
            module[f"{int(tag):08X}"] = value
        return json.dumps(module, sort_keys=True)


def _as_it_is(element: DataElement | RawDataElement) -> DataElement | RawDataElement:
    """Return an element that stays when the items of its sequence lose or change theirs."""
    if element.VR != "SQ" or isinstance(element, RawDataElement):
        return element
    return DataElement(element.tag, "SQ", [_item(item) for item in element.value or ()])


def _item(item: Dataset) -> Dataset:
    made = Dataset({tag: _as_it_is(each) for tag, each in item.items()})
    implicit, little = item.original_encoding
    made.set_original_encoding(implicit, little, item.original_character_set)
    return made
