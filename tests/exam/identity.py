"""What every object of a patient carries: identity, order, dates, UIDs, and the facts that must survive."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tests.exam.key import Action
from tests.exam.people import Name, Patient
from tests.exam.planter import Place

# Attributes that name somebody or something, and whose whole value must go (Table E.1-1 without options).
_PERSONS = (
    ("ReferringPhysicianName", "referring"),
    ("ConsultingPhysicianName", "referring"),
    ("PerformingPhysicianName", "performing"),
    ("NameOfPhysiciansReadingStudy", "performing"),
    ("OperatorsName", "operator"),
    ("PatientMotherBirthName", "mother"),
    ("ResponsiblePerson", "mother"),
    ("RequestingPhysician", "referring"),
)


@dataclass(frozen=True)
class Identity:
    """The UIDs and numbers of one instance.

    Parameters
    ----------
    study, series, instance, frame_of_reference
        UIDs.
    study_number, instance_number
        Index of the patient's study; number of the image in the exam.
    """

    study: str
    series: str
    instance: str
    frame_of_reference: str
    study_number: int
    instance_number: int


def identity(place: Place, patient: Patient, found: Identity, modality: str) -> None:
    """Plant the patient, study, series and equipment modules."""
    place.put("SpecificCharacterSet", patient.charset)
    _patient(place, patient)
    _staff_and_places(place, patient)
    _order(place, patient, found)
    _dates(place, patient.studies[found.study_number], found)
    for keyword, uid in (
        ("StudyInstanceUID", found.study),
        ("SeriesInstanceUID", found.series),
        ("SOPInstanceUID", found.instance),
        ("FrameOfReferenceUID", found.frame_of_reference),
    ):
        place.uid(keyword, uid)
        place.key.ask(Action.TEXT_NOTNULL, place.path(keyword), "UID")
    place.fact("Modality", modality)


def _patient(place: Place, patient: Patient) -> None:
    cores = patient.name.cores or (patient.name.pn,)
    path = place.hide("PatientName", patient.name.pn, cores, "PatientName", answer="!patient")
    place.key.ask(Action.TAG_RETAINED, path, "type 2")
    if patient.name.native:
        family = patient.name.native.split("^")[0]
        place.key.ask(Action.TEXT_REMOVED, path, "PatientName, ideographic", family)
    place.hide(
        "PatientID",
        patient.patient_id,
        [patient.patient_id] if patient.patient_id else [],
        "PatientID",
        answer="!patient",
    )
    place.key.ask(Action.TEXT_NOTNULL, place.path("PatientID"), "patient ID")
    place.key.ask(Action.PATID_CONSISTENT, place.path("PatientID"), patient.sort)
    if patient.issuer:
        place.hide("IssuerOfPatientID", patient.issuer, [patient.issuer], "IssuerOfPatientID")
    born = f"{patient.birth:%Y%m%d}"
    path = place.hide("PatientBirthDate", born, [born], "PatientBirthDate", answer="")
    place.key.ask(Action.TAG_RETAINED, path, "type 2")
    place.hide("OtherPatientIDs", [patient.other_id], [patient.other_id], "OtherPatientIDs")
    address = f"{patient.street}, {patient.town}"
    place.hide("PatientAddress", address, [patient.street, patient.town], "PatientAddress")
    place.hide("PatientTelephoneNumbers", patient.phone, [patient.phone], "PatientTelephoneNumbers")
    other = Name(patient.name.last, patient.name.first, "", cores)
    place.hide("OtherPatientNames", other.pn, cores[:1], "OtherPatientNames")
    _characteristics(place, patient)


def _characteristics(place: Place, patient: Patient) -> None:
    place.fact("PatientSex", patient.sex, "patient characteristics")
    place.fact("PatientWeight", f"{50 + patient.number}.5", "patient characteristics")
    place.fact("PatientSize", "1.71", "patient characteristics")
    place.fact("SmokingStatus", "NO", "patient characteristics")
    place.fact("Allergies", "Penicillin", "patient characteristics")
    age = f"{patient.age:03d}Y"
    if patient.age <= 89:
        place.fact("PatientAge", age, "patient characteristics")
    else:
        place.put("PatientAge", age)
        place.key.ask(Action.AGE_OVER_89, place.path("PatientAge"), "PatientAge", age)
        place.key.answers[place.path("PatientAge")] = "090Y"


def _staff_and_places(place: Place, patient: Patient) -> None:
    for keyword, attribute in _PERSONS:
        person: Name = getattr(patient, attribute)
        place.hide(keyword, person.pn, person.cores[:2], keyword)
    for keyword, text in (
        ("InstitutionName", patient.institution),
        ("InstitutionalDepartmentName", patient.department),
        ("InstitutionAddress", f"{patient.town}, {patient.phone}"),
        ("ScheduledStudyLocation", patient.department),
    ):
        place.hide(keyword, text, [text, text.split()[0].strip(",")], keyword)


def _order(place: Place, patient: Patient, found: Identity) -> None:
    accession = patient.accessions[found.study_number]
    path = place.hide("AccessionNumber", accession, [accession], "AccessionNumber", answer="")
    place.key.ask(Action.TAG_RETAINED, path, "type 2")
    place.hide("StudyID", accession[-6:], [accession[-6:]], "StudyID", answer="")
    place.hide("AdmissionID", f"ADM{accession}", [accession], "AdmissionID")


def _dates(place: Place, day: date, found: Identity) -> None:
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        place.day(keyword, day)
    time = f"1{found.instance_number % 10}{found.instance_number % 60:02d}07"
    place.put("StudyTime", time)
    place.key.ask(Action.TAG_RETAINED, place.path("StudyTime"), "type 2")
    place.day("AcquisitionDateTime", day, time=f"{time}.25")


_PICTURE: Sequence[tuple[str, object]] = (
    ("Manufacturer", "ACME Imaging"),
    ("ManufacturerModelName", "Visio 64 Pro"),
    ("SoftwareVersions", "VB20A.3"),
    ("DeviceSerialNumber", "AX-55"),
    ("SliceThickness", "1.25"),
    ("PixelSpacing", ["0.703125", "0.703125"]),
    ("ImagePositionPatient", ["-158.1", "-179.0", "-75.7"]),
    ("ImageOrientationPatient", ["1", "0", "0", "0", "1", "0"]),
    ("WindowCenter", "40"),
    ("WindowWidth", "400"),
    ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]),
    ("ImageLaterality", "L"),
    ("PatientPosition", "FFS"),
    ("BodyPartExamined", "CHEST"),
    ("ScanningSequence", "GR"),
    ("RescaleIntercept", "-1024"),
    ("ContrastBolusAgent", "Omnipaque 350 mgI/mL"),
    ("PregnancyStatus", 4),
)
_BY_MODALITY: dict[str, Sequence[tuple[str, object]]] = {
    "CT": (("KVP", "120"), ("ConvolutionKernel", "STANDARD"), ("ExposureTime", "500")),
    "MR": (
        ("EchoTime", "90"),
        ("RepetitionTime", "4000"),
        ("MagneticFieldStrength", "1.5"),
        ("SequenceName", "tse2d1_15"),
    ),
    "CR": (("ViewPosition", "PA"), ("KVP", "125")),
    "DX": (("ViewPosition", "LL"), ("KVP", "110")),
    "US": (("TransducerType", "SECTOR_PHASED"), ("HeartRate", "72")),
}


def facts(place: Place, modality: str, rng: random.Random, number: int) -> None:
    """Plant what must survive."""
    for keyword, value in (*_PICTURE, *_BY_MODALITY.get(modality, ())):
        place.fact(keyword, value)
    place.fact("SeriesNumber", str(rng.randrange(1, 40)))
    place.fact("InstanceNumber", str(number))
    for keyword, code in (
        ("AnatomicRegionSequence", ("51185008", "SCT", "Chest")),
        ("ProcedureCodeSequence", ("399208008", "SCT", "Plain chest X-ray")),
        ("ViewCodeSequence", ("399348003", "SCT", "antero-posterior")),
    ):
        item = place.inside(keyword)
        item.fact("CodeValue", code[0], "code sequence")
        item.fact("CodingSchemeDesignator", code[1], "code sequence")
        item.fact("CodingSchemeVersion", "20240101", "code sequence")
        item.fact("CodeMeaning", code[2], "code sequence")
        item.fact("ContextUID", "1.2.840.10008.6.1.308", "well-known UID")
