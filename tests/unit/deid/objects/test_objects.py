"""Objects without pixels through the whole engine: what identifies is gone, what they are for is left."""

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from firstread.deid import Profile, rules
from firstread.deid.engine import clean_header, write
from firstread.deid.objects import documents, removed_content
from firstread.deid.options import Option
from firstread.dicom import read
from tests.support.dicoms import SYNTAXES, encode, header
from tests.support.vaults import memory_vault

ROOT = "1.2.840.10008.5.1.4.1.1."
SR, KO, GSPS, ECG, VOICE, STRUCTURES = (
    ROOT + end for end in ("88.33", "88.59", "11.1", "9.1.1", "9.4.1", "481.3")
)
LONGITUDINAL = Profile.LONGITUDINAL.options


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(value: str, meaning: str = "something", scheme: str = "DCM") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def said(value_type: str, concept: Dataset, **values: object) -> Dataset:
    return item(
        RelationshipType="CONTAINS", ValueType=value_type, ConceptNameCodeSequence=[concept], **values
    )


def document(sop_class: str, **values: object) -> Dataset:
    return header(SOPClassUID=sop_class, Rows=None, Columns=None, **values)


def cleaned(
    dataset: Dataset,
    options: frozenset[Option] = LONGITUDINAL,
    syntax: UID = ExplicitVRLittleEndian,
    pixels: bytes | None = None,
) -> FileDataset:
    target = io.BytesIO()
    with read(io.BytesIO(encode(dataset, syntax, pixels=pixels))) as file:
        write(clean_header(file, memory_vault(), rules(options)), file, target)
    found = pydicom.dcmread(io.BytesIO(target.getvalue()))
    for _ in found.iterall():
        pass
    return found


def content(*items: Dataset, options: frozenset[Option] = LONGITUDINAL) -> list[Dataset]:
    return list(cleaned(document(SR, ContentSequence=list(items)), options).ContentSequence)


@pytest.mark.parametrize(
    "concept",
    [
        code("121008", "Person Observer Name"),
        code("121030"),
        code("113871", "Person ID"),
        code("X1", "Patient's Name", "99ACME"),
        code("X2", "Medical Record Number", "99ACME"),
        code("X3", "Contact name", "99ACME"),
    ],
)
def test_values_under_a_concept_that_identifies_go_whatever_they_say(concept: Dataset) -> None:
    found = content(
        said("TEXT", concept, TextValue="Zork"),
        said("PNAME", concept, PersonName="Zork^Ann"),
        said("DATE", concept, Date="19500607"),
        said("DATETIME", concept, DateTime="19500607101112"),
        said("TIME", concept, Time="101112"),
    )
    values = [found[0].TextValue, str(found[1].PersonName), found[2].Date, found[3].DateTime, found[4].Time]
    assert values == ["REMOVED", "REMOVED", "19000101", "19000101000000", "000000"]


def test_findings_measurements_and_regions_stay() -> None:
    width = item(NumericValue="6.25", MeasurementUnitsCodeSequence=[code("mm", "millimeter", "UCUM")])
    region = said("SCOORD", code("111030"), GraphicType="POLYLINE", GraphicData=[1.5, 2.5, 3.0, 4.0])
    found = content(
        said("TEXT", code("121071", "Finding"), TextValue="6 mm nodule, Theodora Quimby"),
        said("NUM", code("121211", "Width"), MeasuredValueSequence=[width], ContentSequence=[region]),
        said("CODE", code("121071", "Finding"), ConceptCodeSequence=[code("27925004", "Nodule", "SCT")]),
        said("DATE", code("111060", "Study Date"), Date="20040826"),
    )
    assert found[0].TextValue == "6 mm nodule"
    assert found[1].MeasuredValueSequence[0].NumericValue == 6.25
    assert list(found[1].ContentSequence[0].GraphicData) == [1.5, 2.5, 3.0, 4.0]
    assert found[2].ConceptCodeSequence[0].CodeValue == "27925004"
    assert found[3].Date not in ("20040826", "19000101", "")


def test_types_of_items_stay_though_the_patient_is_called_text() -> None:
    dataset = document(
        SR, PatientName="Text^Contains", ContentSequence=[said("TEXT", code("121071"), TextValue="x")]
    )
    found = cleaned(dataset).ContentSequence[0]
    assert (found.ValueType, found.RelationshipType) == ("TEXT", "CONTAINS")


@pytest.mark.parametrize(("unit", "value", "left"), [("a", "93", 90), ("a", "64", 64), ("mo", "1100", 1080)])
def test_an_age_above_ninety_is_ninety(unit: str, value: str, left: int) -> None:
    measured = item(
        NumericValue=value,
        FloatingPointValue=float(value),
        MeasurementUnitsCodeSequence=[code(unit, "unit", "UCUM")],
    )
    (found,) = content(said("NUM", code("121033", "Subject Age"), MeasuredValueSequence=[measured]))
    assert found.MeasuredValueSequence[0].NumericValue == left
    assert ("FloatingPointValue" in found.MeasuredValueSequence[0]) is (left == int(value))


def test_without_their_options_characteristics_and_devices_go() -> None:
    items = (
        said("NUM", code("121033"), MeasuredValueSequence=[item(NumericValue="41")]),
        said("CODE", code("121032"), ConceptCodeSequence=[code("F", "Female")]),
        said("TEXT", code("121016"), TextValue="SN-77"),
    )
    kept = content(*items)
    assert kept[1].ConceptCodeSequence[0].CodeValue == "F"
    assert kept[2].TextValue == "SN-77"
    without = LONGITUDINAL - {Option.RETAIN_PATIENT_CHARACTERISTICS, Option.RETAIN_DEVICE_IDENTITY}
    found = content(*items, options=without)
    assert not found[0].MeasuredValueSequence
    assert found[1].ConceptCodeSequence[0].CodeValue == "U"
    assert found[2].TextValue == "REMOVED"


def test_acquisition_context_of_an_image_is_cleaned_too() -> None:
    concept = code("121022", "Accession Number")
    context = item(ValueType="TEXT", ConceptNameCodeSequence=[concept], TextValue="Z1")
    found = cleaned(header(AcquisitionContextSequence=[context]), pixels=bytes(128))
    assert found.AcquisitionContextSequence[0].TextValue == "REMOVED"


def test_a_verified_report_stays_verified_by_nobody_known() -> None:
    observer = item(
        VerifyingObserverName="Zork^Ann",
        VerifyingOrganization="Zork Clinic",
        VerificationDateTime="20040826101112",
    )
    dataset = document(SR, VerificationFlag="VERIFIED", VerifyingObserverSequence=[observer])
    found = cleaned(dataset)
    left = found.VerifyingObserverSequence[0]
    assert found.VerificationFlag == "VERIFIED"
    assert (str(left.VerifyingObserverName), left.VerifyingOrganization) == ("REMOVED", "REMOVED")
    assert left.VerificationDateTime and left.VerificationDateTime != "20040826101112"
    assert "VerifyingObserverIdentificationCodeSequence" in left
    assert cleaned(document(SR, VerificationFlag="VERIFIED")).VerificationFlag == "UNVERIFIED"


def test_the_same_instance_is_the_same_in_evidence_and_content() -> None:
    reference = item(ReferencedSOPClassUID=ROOT + "2", ReferencedSOPInstanceUID="1.2.3.4.5")
    series = item(SeriesInstanceUID="1.2.3.4", ReferencedSOPSequence=[reference])
    dataset = document(
        KO,
        ContentSequence=[said("IMAGE", code("121080"), ReferencedSOPSequence=[reference])],
        CurrentRequestedProcedureEvidenceSequence=[
            item(StudyInstanceUID="1.2.3", ReferencedSeriesSequence=[series])
        ],
    )
    found = cleaned(dataset)
    here = found.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    study = found.CurrentRequestedProcedureEvidenceSequence[0]
    there = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert here == there != "1.2.3.4.5"


def annotated(*texts: str, shapes: int = 0, layer: str = "MEASURES") -> Dataset:
    drawn = [item(UnformattedTextValue=text, AnchorPoint=[1.0, 2.0]) for text in texts]
    shape = item(GraphicType="POLYLINE", GraphicData=[1.5, 2.5, 3.0, 4.0])
    annotation = item(GraphicLayer=layer, TextObjectSequence=drawn)
    if shapes:
        annotation.GraphicObjectSequence = [shape] * shapes
    layers = [item(GraphicLayer=layer, GraphicLayerOrder="1")]
    return document(
        GSPS, ContentLabel="QUIMBY", GraphicAnnotationSequence=[annotation], GraphicLayerSequence=layers
    )


def test_annotations_keep_what_names_nobody() -> None:
    found = cleaned(annotated("6 mm nodule, Quimby", "Theodora Quimby", shapes=2))
    annotation = found.GraphicAnnotationSequence[0]
    assert [text.UnformattedTextValue for text in annotation.TextObjectSequence] == ["6 mm nodule"]
    assert len(annotation.GraphicObjectSequence) == 2
    assert found.ContentLabel == "REMOVED"


def test_annotations_that_say_nothing_go_with_their_layers() -> None:
    found = cleaned(annotated("Theodora Quimby"))
    assert "GraphicAnnotationSequence" not in found
    assert "GraphicLayerSequence" not in found


def test_a_layer_with_a_name_is_renamed_where_it_is_referred_to() -> None:
    found = cleaned(annotated("6 mm", layer="QUIMBY"))
    assert found.GraphicLayerSequence[0].GraphicLayer == "LAYER1"
    assert found.GraphicAnnotationSequence[0].GraphicLayer == "LAYER1"


def test_without_clean_graphics_nothing_drawn_is_left() -> None:
    found = cleaned(annotated("6 mm", shapes=1), LONGITUDINAL - {Option.CLEAN_GRAPHICS})
    assert "GraphicAnnotationSequence" not in found
    assert "GraphicLayerSequence" not in found


def test_a_bitmap_shutter_goes_with_its_overlay() -> None:
    dataset = document(GSPS, ShutterShape=["BITMAP", "CIRCULAR"], ShutterOverlayGroup=0x6000)
    dataset.add_new(0x60001001, "CS", "LAYER1")
    found = cleaned(dataset)
    assert found.ShutterShape == "CIRCULAR"
    assert "ShutterOverlayGroup" not in found and 0x60001001 not in found


PAYLOADS: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "1": ("application/pdf", lambda raw: raw.startswith(b"%PDF-1.4\n") and raw.endswith(b"%%EOF\n")),
    "2": ("text/XML", lambda raw: ET.fromstring(raw).tag == "{urn:hl7-org:v3}ClinicalDocument"),  # noqa: S314
    "3": ("model/stl", lambda raw: len(raw) == 84 + 50),
    "4": ("model/obj", lambda raw: b"\nf 1 2 3\n" in raw),
    "5": ("model/mtl", lambda raw: b"newmtl" in raw),
}


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
@pytest.mark.parametrize("syntax", SYNTAXES[:4], ids=lambda uid: uid.keyword)
def test_an_encapsulated_document_is_replaced_by_one_of_its_kind(kind: str, syntax: UID) -> None:
    dataset = document(f"{ROOT}104.{kind}", DocumentTitle="Letter for Quimby", BurnedInAnnotation="YES")
    dataset.EncapsulatedDocument = b"Zork was here"
    dataset.MIMETypeOfEncapsulatedDocument = "text/quimby"
    found = cleaned(dataset, syntax=syntax)
    mime_type, is_good = PAYLOADS[kind]
    raw = found.EncapsulatedDocument[: found.EncapsulatedDocumentLength]
    assert found.MIMETypeOfEncapsulatedDocument == mime_type and is_good(raw)
    assert b"Zork" not in found.EncapsulatedDocument
    assert found.BurnedInAnnotation == "NO"
    assert found.DocumentTitle == "Letter for"
    assert removed_content(found) == documents.REMOVED


def test_the_cross_reference_table_of_the_pdf_points_at_its_objects() -> None:
    made = documents.pdf()
    table = int(made.split(b"startxref\n")[1].split(b"\n")[0])
    assert made[table:].startswith(b"xref\n0 6\n")
    entries = made[table:].split(b"\n")[3:8]
    for number, entry in enumerate(entries, 1):
        assert len(entry) == 19
        assert made[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)


def test_the_id_of_the_cda_document_is_the_new_instance_uid() -> None:
    found = cleaned(document(f"{ROOT}104.2", EncapsulatedDocument=b"<a/>"))
    assert f'root="{found.SOPInstanceUID}"'.encode() in found.EncapsulatedDocument
    assert found.HL7InstanceIdentifier == found.SOPInstanceUID


def waveform(sop_class: str, interpretation: str, samples: bytes, **values: object) -> Dataset:
    group = item(WaveformSampleInterpretation=interpretation, WaveformBitsAllocated=8, **values)
    group.add_new(0x54001010, "OB" if len(interpretation) and interpretation[1] == "B" else "OW", samples)
    return document(sop_class, WaveformSequence=[group])


@pytest.mark.parametrize(
    ("interpretation", "middle"), [("UB", b"\x80"), ("SB", b"\0"), ("MB", b"\xff"), ("AB", b"\xd5")]
)
def test_a_voice_becomes_silence_of_the_same_length(interpretation: str, middle: bytes) -> None:
    found = cleaned(waveform(VOICE, interpretation, b"spoken words"))
    assert found.WaveformSequence[0].WaveformData == middle * 12
    assert removed_content(found)


def test_silence_of_unsigned_words_is_the_middle_of_their_range() -> None:
    found = cleaned(waveform(VOICE, "US", b"spoken words"))
    assert found.WaveformSequence[0].WaveformData == b"\0\x80" * 6


def test_telephone_sound_is_silent_in_any_object() -> None:
    found = cleaned(waveform(ECG, "MB", b"spoken words"))
    assert found.WaveformSequence[0].WaveformData == b"\xff" * 12


@pytest.mark.parametrize("interpretation", ["SS", "SB"])
def test_a_heart_keeps_beating(interpretation: str) -> None:
    dataset = waveform(ECG, interpretation, b"\1\2\3\4\5\6\7\x08", MultiplexGroupLabel="RHYTHM")
    notes = ["Sinus rhythm, Quimby", "Theodora Quimby"]
    dataset.WaveformAnnotationSequence = [item(UnformattedTextValue=note) for note in notes]
    found = cleaned(dataset)
    assert found.WaveformSequence[0].WaveformData == b"\1\2\3\4\5\6\7\x08"
    assert [note.UnformattedTextValue for note in found.WaveformAnnotationSequence] == ["Sinus rhythm"]
    assert removed_content(found) == ""


def test_contours_stay_and_a_label_that_was_a_name_is_a_dummy() -> None:
    contour = item(ContourGeometricType="CLOSED_PLANAR", ContourData=["1.5", "2.5", "3"])
    found = cleaned(
        document(
            STRUCTURES,
            StructureSetLabel="Quimby",
            StructureSetROISequence=[item(ROINumber="1", ROIName="GTV Quimby")],
            ROIContourSequence=[item(ContourSequence=[contour])],
        )
    )
    assert found.StructureSetLabel == "REMOVED"
    assert found.StructureSetROISequence[0].ROIName == "GTV"
    assert [str(value) for value in found.ROIContourSequence[0].ContourSequence[0].ContourData] == [
        "1.5",
        "2.5",
        "3",
    ]


def test_what_is_no_tag_goes_at_the_top_and_within_functional_groups() -> None:
    """Overlays, curves, audio, icons, signatures and checksums; PS3.15 E.1.1."""

    def planted() -> Dataset:
        made = Dataset()
        made.add_new(0x60003000, "OW", b"Zork")
        made.add_new(0x60000022, "LO", "Zork")
        made.add_new(0x50003000, "OW", b"Zork")
        made.add_new(0x5000200C, "OW", b"Zork")
        made.add_new(0x00880200, "SQ", [item(Rows=1, Columns=1)])
        made.IconImageSequence[0].add_new(0x7FE00010, "OB", b"Zork")
        made.add_new(0x4FFE0001, "SQ", [item(MACIDNumber=1, MACAlgorithm="SHA1")])
        made.add_new(0xFFFAFFFA, "SQ", [item(MACIDNumber=1, DigitalSignatureUID="1.2.3")])
        return made

    dataset = header(SharedFunctionalGroupsSequence=[planted()])
    dataset.update(planted())
    dataset.SharedFunctionalGroupsSequence[0].DerivationImageSequence = [planted()]
    raw = encode(dataset)
    assert b"Zork" in raw
    target = io.BytesIO()
    with read(io.BytesIO(raw)) as file:
        write(clean_header(file, memory_vault(), rules(LONGITUDINAL)), file, target)
    assert b"Zork" not in target.getvalue()
    found = pydicom.dcmread(io.BytesIO(target.getvalue()))
    for place in (found, found.SharedFunctionalGroupsSequence[0]):
        for tag in (0x60003000, 0x50003000, 0x5000200C, 0x4FFE0001, 0xFFFAFFFA):
            assert tag not in place
