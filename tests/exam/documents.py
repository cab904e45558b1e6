"""Objects without pixels, with identifiers in what only they have: content trees, annotations, payloads, sound."""

from collections.abc import Callable, Mapping
from datetime import date

from tests.exam.free_text import FreeText
from tests.exam.identity import Identity
from tests.exam.key import Action, Secret
from tests.exam.people import Patient
from tests.exam.planter import Place

_CT = "1.2.840.10008.5.1.4.1.1.2"
_TEXT_VALUE, _PERSON, _DATE, _DATETIME, _UID = "TextValue", "PersonName", "Date", "DateTime", "UID"


def _code(place: Place, sequence: str, value: str, meaning: str, scheme: str = "DCM") -> None:
    item = place.inside(sequence)
    item.fact("CodeValue", value, "content code")
    item.fact("CodingSchemeDesignator", scheme, "content code")
    item.fact("CodeMeaning", meaning, "content code")


def _item(place: Place, value_type: str, code: str, meaning: str, relation: str = "CONTAINS") -> Place:
    item = place.inside("ContentSequence")
    item.fact("RelationshipType", relation, "content item")
    item.fact("ValueType", value_type, "content item")
    _code(item, "ConceptNameCodeSequence", code, meaning)
    return item


def _root(place: Place, code: str, meaning: str) -> None:
    place.fact("ValueType", "CONTAINER", "content item")
    place.fact("ContinuityOfContent", "SEPARATE", "content item")
    place.fact("CompletionFlag", "COMPLETE", "document state")
    _code(place, "ConceptNameCodeSequence", code, meaning)


def _image(place: Place, uid: str) -> None:
    reference = place.inside("ReferencedSOPSequence")
    reference.fact("ReferencedSOPClassUID", _CT, "well-known UID")
    reference.uid("ReferencedSOPInstanceUID", uid, "reference of a document")


def _evidence(place: Place, found: Identity, uid: str) -> None:
    study = place.inside("CurrentRequestedProcedureEvidenceSequence")
    study.uid("StudyInstanceUID", found.study, "evidence")
    series = study.inside("ReferencedSeriesSequence")
    series.uid("SeriesInstanceUID", found.series, "evidence")
    _image(series, uid)


def report(place: Place, patient: Patient, found: Identity, text: FreeText) -> None:
    """Plant into a structured report: text, observation context, dates, numbers, regions, references."""
    _root(place, "126000", "Imaging Measurement Report")
    day = patient.studies[found.study_number]
    place.fact("VerificationFlag", "VERIFIED", "document state")
    observer = place.inside("VerifyingObserverSequence")
    person = patient.performing
    observer.hide(
        "VerifyingObserverName", person.pn, person.cores[:2], "verifying observer", answer="REMOVED"
    )
    observer.hide(
        "VerifyingOrganization", patient.institution, [patient.institution], "organization", answer="REMOVED"
    )
    observer.day("VerificationDateTime", day, time="101112")
    _context(place, patient, day, found)
    for number in range(4):
        spelling = text.draw(400)
        item = _item(place, "TEXT", "121071", "Finding")
        said = f"There is a 6 mm nodule. {spelling.text}"
        kind = f"report text {number}: {spelling.kind}"
        item.mixed(_TEXT_VALUE, "6 mm nodule", said, spelling.fragments, kind)
    _measurements(place, day, found)


def _context(place: Place, patient: Patient, day: date, found: Identity) -> None:
    """Plant what TID 1001-1007 name; two persons that the header does not know are found by their concept only."""
    stranger, relation = patient.stranger, "HAS OBS CONTEXT"
    place.key.secrets += [Secret(core, "person of the content tree") for core in stranger.cores]
    observer = _item(place, "PNAME", "121008", "Person Observer Name", relation)
    observer.hide(_PERSON, stranger.pn, stranger.cores, "person observer", answer="REMOVED")
    subject = _item(place, "PNAME", "121029", "Subject Name", relation)
    subject.hide(_PERSON, patient.name.pn, patient.name.cores, "subject name", answer="REMOVED")
    for code, meaning, value in (
        ("128774", "Person Observer's Login Name", stranger.cores[0].lower()),
        ("121009", "Person Observer's Organization Name", f"{stranger.cores[0]} & Partners"),
        ("121017", "Device Observer Physical Location During Observation", f"Room of {stranger.cores[0]}"),
    ):
        item = _item(place, "TEXT", code, meaning, relation)
        item.hide(_TEXT_VALUE, value, [value, stranger.cores[0]], f"context: {meaning}", answer="REMOVED")
    number = _item(place, "TEXT", "121022", "Accession Number", relation)
    accession = patient.accessions[found.study_number]
    number.hide(_TEXT_VALUE, accession, [accession], "context: accession", answer="REMOVED")
    born = _item(place, "DATE", "121031", "Subject Birth Date", relation)
    born.hide(
        _DATE, f"{patient.birth:%Y%m%d}", [f"{patient.birth:%Y%m%d}"], "context: birth", answer="19000101"
    )
    device = _item(place, "UIDREF", "121012", "Device Observer UID", relation)
    device.uid(_UID, found.frame_of_reference, "context: device UID")
    seen = _item(place, "DATETIME", "111018", "Content Date", relation)
    seen.day(_DATETIME, day, time="1013")


def _measurements(place: Place, day: date, found: Identity) -> None:
    length = _item(place, "NUM", "103355008", "Width")
    measured = length.inside("MeasuredValueSequence")
    measured.fact("NumericValue", "6.25", "measurement")
    _code(measured, "MeasurementUnitsCodeSequence", "mm", "millimeter", "UCUM")
    region = length.inside("ContentSequence")
    region.fact("ValueType", "SCOORD", "content item")
    region.fact("GraphicType", "POLYLINE", "region")
    region.fact("GraphicData", [1.5, 2.5, 10.25, 12.0], "region")
    image = region.inside("ContentSequence")
    image.fact("ValueType", "IMAGE", "content item")
    _image(image, found.frame_of_reference)
    prior = _item(place, "DATE", "111060", "Study Date")
    prior.day(_DATE, day)
    code = _item(place, "CODE", "121071", "Finding")
    _code(code, "ConceptCodeSequence", "27925004", "Nodule", "SCT")
    _evidence(place, found, found.frame_of_reference)


def key_objects(place: Place, patient: Patient, found: Identity, text: FreeText) -> None:
    """Plant into a key object selection."""
    _root(place, "113000", "Of Interest")
    spelling = text.draw(400)
    item = _item(place, "TEXT", "113012", "Key Object Description")
    said = f"Compare with prior {spelling.text}"
    item.mixed(_TEXT_VALUE, "Compare with prior", said, spelling.fragments, f"key objects: {spelling.kind}")
    image = _item(place, "IMAGE", "121080", "Best illustration of finding")
    _image(image, found.frame_of_reference)
    _evidence(place, found, found.frame_of_reference)
    del patient


def presentation(place: Place, patient: Patient, found: Identity, text: FreeText) -> None:
    """Plant into a presentation state: texts, shapes, layers, who made it."""
    cores = patient.referring.cores[:1]
    place.fact("ContentLabel", "MEASURES", "label")
    place.hide(
        "ContentCreatorName", patient.performing.pn, patient.performing.cores[:2], "creator", answer=""
    )
    place.mixed("ContentDescription", "Window", f"Window of {cores[0]}", cores, "content description")
    series = place.inside("ReferencedSeriesSequence")
    series.uid("SeriesInstanceUID", found.series, "presentation state")
    image = series.inside("ReferencedImageSequence")
    image.uid("ReferencedSOPInstanceUID", found.frame_of_reference, "presentation state")
    layer = place.inside("GraphicLayerSequence")
    layer.fact("GraphicLayer", "LAYER1", "layer")
    layer.fact("GraphicLayerOrder", "1", "layer")
    graphic = place.inside("GraphicAnnotationSequence")
    graphic.fact("GraphicLayer", "LAYER1", "layer")
    for number in range(2):
        spelling = text.draw(300)
        drawn = graphic.inside("TextObjectSequence")
        said = f"6 mm nodule {spelling.text}"
        kind = f"annotation {number}: {spelling.kind}"
        drawn.mixed("UnformattedTextValue", "6 mm nodule", said, spelling.fragments, kind)
        drawn.fact("AnchorPoint", [10.5, 20.0], "annotation")
    shape = graphic.inside("GraphicObjectSequence")
    shape.fact("GraphicType", "POLYLINE", "annotation")
    shape.fact("GraphicData", [1.5, 2.5, 10.25, 12.0], "annotation")
    place.hide(0x60000022, f"drawn by {cores[0]}", cores, "overlay description", vr="LO")
    place.hide(0x60001001, "LAYER1", [], "overlay activation", vr="CS")


def structures(place: Place, patient: Patient, found: Identity, text: FreeText) -> None:
    """Plant into an RT structure set: names of regions, observers, approval."""
    person = patient.performing
    place.fact("StructureSetLabel", "CHEST", "label")
    place.hide("ReviewerName", person.pn, person.cores[:2], "reviewer", answer="")
    place.fact("ApprovalStatus", "APPROVED", "document state")
    place.day("ReviewDate", patient.studies[found.study_number])
    frame = place.inside("ReferencedFrameOfReferenceSequence")
    frame.uid("FrameOfReferenceUID", found.frame_of_reference, "structure set")
    for number, name in enumerate(
        ("Lung_L", f"GTV {person.cores[0]}", f"PTV_{patient.referring.cores[0]}"), 1
    ):
        region = place.inside("StructureSetROISequence")
        region.fact("ROINumber", str(number), "region")
        fact = name.replace("_", " ").split()[0] if number > 1 else name
        cores = [core for core in (person.cores[0], patient.referring.cores[0]) if core in name]
        region.mixed("ROIName", fact, name, cores, "region's name")
        contour = place.inside("ROIContourSequence").inside("ContourSequence")
        contour.fact("ContourGeometricType", "CLOSED_PLANAR", "contour")
        contour.fact("ContourData", ["1.5", "2.5", "3.0", "4.0", "5.0", "6.0"], "contour")
        observed = place.inside("RTROIObservationsSequence")
        observed.hide("ROIInterpreter", person.pn, person.cores[:2], "region's interpreter", answer="")
        observed.fact("RTROIInterpretedType", "GTV", "region")
    spelling = text.draw(60)
    place.mixed(
        "StructureSetDescription",
        "Lung",
        f"Lung {spelling.text}",
        spelling.fragments,
        "structure set description",
    )


def _encapsulated(place: Place, patient: Patient, mime_type: str, answer: str) -> None:
    person = patient.performing
    planted = [person.cores[0], patient.accessions[0]]
    path = place.path("EncapsulatedDocument")
    for fragment in planted:
        place.key.ask(Action.TEXT_REMOVED, path, f"payload, {mime_type}", fragment)
    place.key.ask(Action.TEXT_NOTNULL, path, f"payload, {mime_type}")
    place.key.answers[path] = answer
    place.fact("MIMETypeOfEncapsulatedDocument", mime_type, "MIME type")
    title = f"Letter for {person.first} {person.cores[0]} {patient.accessions[0]}"
    place.hide("DocumentTitle", title, planted, "document title", answer="")
    source = place.inside("SourceInstanceSequence")
    source.fact("ReferencedSOPClassUID", _CT, "well-known UID")


def pdf(place: Place, patient: Patient, found: Identity, _text: FreeText) -> None:
    """Ask for what stands in a PDF and about it."""
    _encapsulated(place, patient, "application/pdf", "%PDF-1.4 ")
    place.item.SourceInstanceSequence[0].ReferencedSOPInstanceUID = found.frame_of_reference


def cda(place: Place, patient: Patient, _found: Identity, _text: FreeText) -> None:
    """Ask for what stands in a CDA document and about it."""
    _encapsulated(place, patient, "text/XML", "<ClinicalDocument/> ")
    place.hide(
        "HL7InstanceIdentifier", f"1.2.3^{patient.accessions[0]}", [patient.accessions[0]], "HL7 instance"
    )


def waveform(place: Place, patient: Patient, _found: Identity, text: FreeText) -> None:
    """Plant into an electrocardiogram: annotations and labels; its samples must survive."""
    cores = patient.performing.cores[:1]
    group = place.inside("WaveformSequence")
    group.fact("SamplingFrequency", "500", "waveform")
    group.fact("WaveformSampleInterpretation", "SS", "waveform")
    group.hide("MultiplexGroupLabel", f"{cores[0]}", cores, "multiplex group", answer="", vr="SH")
    channel = group.inside("ChannelDefinitionSequence")
    channel.hide("ChannelLabel", f"Lead of {cores[0]}"[:16], cores[:0], "channel label")
    _code(channel, "ChannelSourceSequence", "2:1", "Lead I", "MDC")
    samples = bytes(97 + number * 7 % 26 for number in range(64))
    path = group.put("WaveformData", samples, "OW")
    place.key.ask(Action.TEXT_RETAINED, path, "samples", samples.decode("ascii"), whole=True)
    spelling = text.draw(200)
    note = place.inside("WaveformAnnotationSequence")
    said = f"Sinus rhythm {spelling.text}"
    kind = f"waveform annotation: {spelling.kind}"
    note.mixed("UnformattedTextValue", "Sinus rhythm", said, spelling.fragments, kind)


def voice(place: Place, patient: Patient, _found: Identity, _text: FreeText) -> None:
    """Plant into a recorded voice."""
    core = patient.performing.cores[0]
    group = place.inside("WaveformSequence")
    group.fact("WaveformSampleInterpretation", "UB", "waveform")
    group.fact("WaveformBitsAllocated", 8, "waveform")
    spoken = f"this is {core} speaking".encode().ljust(64)
    path = group.hide("WaveformData", spoken, [core, "speaking"], "voice", answer="", vr="OB")
    place.key.ask(Action.TAG_RETAINED, path, "type 1")


PLANTS: Mapping[str, Callable[[Place, Patient, Identity, FreeText], None]] = {
    "SR": report,
    "KO": key_objects,
    "PR": presentation,
    "RTSTRUCT": structures,
    "PDF": pdf,
    "CDA": cda,
    "ECG": waveform,
    "AU": voice,
}
