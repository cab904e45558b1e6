"""Identifiers outside of the attributes that a table names: nested, private, unknown, bulk, and around the dataset."""

import random
import struct

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from tests.exam.free_text import FACTS, FreeText
from tests.exam.identity import Identity
from tests.exam.key import Action
from tests.exam.people import Patient
from tests.exam.planter import Place

# Sequences that the profile keeps, to be nested in each other.
_LEVELS = (
    "RequestAttributesSequence",
    "SharedFunctionalGroupsSequence",
    "DerivationImageSequence",
    "SourceImageSequence",
    "ProcedureCodeSequence",
    "AnatomicRegionModifierSequence",
    "PlaneOrientationSequence",
    "PurposeOfReferenceCodeSequence",
)


def nested(place: Place, patient: Patient, found: Identity, text: FreeText, rng: random.Random) -> None:
    """Plant at depths 1 to 6, in sequences of defined and undefined length."""
    for depth in range(1, 7):
        item, undefined = place, bool(rng.getrandbits(1))
        for _ in range(depth):
            item = item.inside(rng.choice(_LEVELS), undefined=undefined)
        where = f"depth {depth}, {'un' if undefined else ''}defined length"
        _descriptors(item, text, where, rng)
        person = patient.operator
        item.hide("PersonName", person.pn, person.cores[:2], f"{where}: PersonName", answer="")
        item.hide("OperatorsName", person.pn, person.cores[:2], f"{where}: OperatorsName", answer="")
        item.uid("ReferencedSOPInstanceUID", found.instance, f"{where}: referenced UID")
        item.fact("ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.2", "well-known UID")
        item.day("PerformedProcedureStepStartDate", patient.studies[found.study_number])
        _private(item, patient, where)


def _descriptors(item: Place, text: FreeText, where: str, rng: random.Random) -> None:
    fact, spelling = rng.choice(FACTS), text.draw(36)
    item.mixed(
        "ScheduledProcedureStepDescription",
        fact,
        f"{fact} {spelling.text}",
        spelling.fragments,
        f"{where}: {spelling.kind}",
    )
    spelling = text.draw(40)
    item.mixed(
        "CodeMeaning",
        "Plain chest X-ray",
        f"Plain chest X-ray {spelling.text}",
        spelling.fragments,
        f"{where}: code meaning, {spelling.kind}",
    )
    item.fact("CodeValue", "399208008", "code sequence")
    item.fact("CodingSchemeDesignator", "SCT", "code sequence")


def references(place: Place, found: Identity, siblings: list[str]) -> None:
    """Refer to other instances of the patient, in this study and earlier ones."""
    for sequence in ("ReferencedImageSequence", "SourceImageSequence"):
        for sibling in siblings:
            item = place.inside(sequence)
            item.fact("ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.2", "well-known UID")
            item.uid("ReferencedSOPInstanceUID", sibling, f"{sequence}: referenced UID")
    series = place.inside("ReferencedSeriesSequence")
    series.uid("SeriesInstanceUID", found.series, "ReferencedSeriesSequence: UID")


def _private(place: Place, patient: Patient, where: str) -> None:
    cores = patient.name.cores[:1] or patient.performing.cores[:1]
    block = 0x00551000
    kind = f"{where}: private"
    place.hide(0x00550010, f"{patient.host} CSA", [patient.host], f"{kind} creator", vr="LO")
    place.hide(block | 0x01, f"seen by {cores[0]}", cores, f"{kind} LO", vr="LO")
    whole = patient.name.cores[:1] or (patient.name.pn,)
    place.hide(block | 0x02, patient.name.pn, whole, f"{kind} PN", vr="PN")
    raw = f"\0\1{patient.accessions[0]}\0\0".encode()
    place.hide(block | 0x03, raw + b"\0" * (len(raw) % 2), [patient.accessions[0]], f"{kind} OB", vr="OB")
    unknown = patient.phone.encode().ljust(20)
    place.hide(block | 0x04, unknown, [patient.phone], f"{kind} UN", vr="UN")
    place.hide(block | 0x05, f"{patient.birth:%Y%m%d}", [f"{patient.birth:%Y%m%d}"], f"{kind} DA", vr="DA")
    item = place.inside(block | 0x06)
    item.hide("PatientName", patient.name.pn, whole, f"{kind} SQ > PatientName")
    place.key.answers[place.path(block | 0x06)] = None


def private_and_unknown(place: Place, patient: Patient, *, implicit: bool, little: bool) -> None:
    """Plant into private elements of the dataset, UN elements and elements that no dictionary has."""
    _private(place, patient, "top level")
    cores = patient.performing.cores[:1]
    place.hide(0x00101FFE, f"{cores[0]} {patient.phone}".encode(), cores, "unknown tag, UN", vr="UN")
    if implicit:
        return
    place.hide(0x00324001, f"{cores[0]}, operator".encode(), cores, "unknown tag, LT", vr="UN")
    value = f"{cores[0]} called".encode()
    value += b" " * (len(value) % 2)
    place.hide("MedicalAlerts", value, cores, "UN for an LO", answer="", vr="UN")
    if not little:
        return
    inner = struct.pack("<HHL", 0x0040, 0xA123, len(value)) + value
    sequence = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
    place.hide("AdmittingDiagnosesCodeSequence", sequence, cores, "UN for a sequence", vr="UN")


def bulk(place: Place, patient: Patient) -> None:
    """Plant into overlays, a curve, an icon and graphic annotations."""
    cores = patient.referring.cores[:1]
    for group in (0x60000000, 0x60020000):
        place.put(group | 0x0010, 8, "US")
        place.put(group | 0x0011, 8, "US")
        place.put(group | 0x0040, "G", "CS")
        place.put(group | 0x0050, [1, 1], "SS")
        place.put(group | 0x0100, 1, "US")
        place.put(group | 0x0102, 0, "US")
        drawn = cores[0].encode().ljust(32, b"\0")
        place.hide(group | 0x3000, drawn, cores, "overlay data", vr="OW")
        place.hide(group | 0x0022, f"drawn by {cores[0]}", cores, "overlay description", vr="LO")
        place.hide(group | 0x1500, cores[0], cores, "overlay label", vr="LO")
        place.hide(group | 0x4000, f"for {cores[0]}", cores, "overlay comments", vr="LT")
    place.put(0x50000005, 1, "US")
    place.hide(0x50000022, f"ECG of {cores[0]}", cores, "curve description", vr="LO")
    place.hide(0x50002500, cores[0], cores, "curve label", vr="LO")
    place.hide(0x50003000, cores[0].encode().ljust(32, b"\0"), cores, "curve data", vr="OW")
    _icon(place, cores)
    annotations(place, patient)


def _icon(place: Place, cores: tuple[str, ...]) -> None:
    icon = place.inside("IconImageSequence")
    for keyword, number in (("SamplesPerPixel", 1), ("Rows", 4), ("Columns", 8), ("BitsAllocated", 8)):
        icon.put(keyword, number)
    icon.hide("PixelData", cores[0].encode().ljust(32, b"\0"), cores, "icon pixels", vr="OB")
    place.key.answers[place.path("IconImageSequence")] = None


def annotations(place: Place, patient: Patient) -> None:
    """Plant into text drawn on the image."""
    cores = patient.referring.cores[:1]
    graphic = place.inside("GraphicAnnotationSequence")
    text = graphic.inside("TextObjectSequence")
    text.hide("UnformattedTextValue", f"measured by {cores[0]}", cores, "graphic annotation", answer="")
    place.key.answers[place.path("GraphicAnnotationSequence")] = None


def meta(patient: Patient, found: Identity, sop_class: str, syntax: str) -> FileMetaDataset:
    """Return file meta information that says where the object came from (PS3.10 7.1)."""
    made = FileMetaDataset()
    made.MediaStorageSOPClassUID = UID(sop_class)
    made.MediaStorageSOPInstanceUID = UID(found.instance)
    made.TransferSyntaxUID = UID(syntax)
    made.ImplementationClassUID = UID("1.2.826.0.1.3680043.10.1462.7")
    made.ImplementationVersionName = patient.operator.cores[0].upper()[:16]
    made.SourceApplicationEntityTitle = patient.host[:16]
    made.SendingApplicationEntityTitle = patient.performing.cores[0].upper()[:16]
    made.ReceivingApplicationEntityTitle = patient.referring.cores[0].upper()[:16]
    made.PrivateInformationCreatorUID = UID("1.2.826.0.1.3680043.10.1462.8")
    raw = f"{patient.phone} {patient.performing.cores[0]}".encode()
    made.PrivateInformation = raw + b"\0" * (len(raw) % 2)
    return made


def preamble(patient: Patient) -> bytes:
    """Return 128 bytes that name the patient."""
    core = patient.name.cores[0] if patient.name.cores else patient.operator.cores[0]
    return f"{core} {patient.accessions[0]} {patient.phone}".encode().ljust(128, b"\0")[:128]


def trailer(patient: Patient, *, implicit: bool, little: bool) -> bytes:
    """Return a Data Set Trailing Padding element (FFFC,FFFC) with a name in it."""
    core = patient.name.cores[0] if patient.name.cores else patient.operator.cores[0]
    value = f"{core} {patient.phone}".encode()
    value += b"\0" * (len(value) % 2)
    order = "<" if little else ">"
    head = struct.pack(f"{order}HH", 0xFFFC, 0xFFFC)
    if implicit:
        return head + struct.pack(f"{order}L", len(value)) + value
    return head + b"OB\0\0" + struct.pack(f"{order}L", len(value)) + value


def bare(dataset: Dataset) -> None:
    """Take out of a sample what the exam plants itself."""
    for keyword in ("ProcedureCodeSequence", "RequestAttributesSequence", "SourceImageSequence"):
        if keyword in dataset:
            del dataset[keyword]


ASKED_OF_EVERY_FILE = (Action.YIELD, Action.FILE_CLEAN, Action.MARKING, Action.LINK_STRENGTH)
