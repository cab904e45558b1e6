"""The human-readable report as an Encapsulated PDF (PS3.3 A.45.1)."""

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

import reportlab
from highdicom import SOPClass
from highdicom.sr.coding import CodedConcept
from PIL import Image as PictureFile
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    Flowable,
    Image,
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from firstread.objects.sources import Source, Sources
from firstread.objects.written import MANUFACTURER, RESEARCH_USE, Written
from firstread.result import ObjectKind
from model_service.objects.page import NOTICE, Figure, Page
from model_service.objects.said import Said
from model_service.objects.series import Place

_FONT, _BOLD = "Vera", "VeraBd"
# Streams as they are: text of printable characters costs more than the rest of the page, in Python.
rl_config.useA85 = 0

_FIXED_DATE, _NO_DATE = b"D:20000101", b"D:19000101"
_WIDTH = A4[0] - 40 * mm
_FIGURE_MM = 110


def pdf(said: Said, page: Page, sources: Sources) -> Written:
    """Write a report as a DICOM object that holds a PDF."""
    place = Place(said, ObjectKind.ENCAPSULATED_PDF)
    images = list(sources)
    header = images[0].header
    made = SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=header.SpecificCharacterSet,
        **place.arguments,
    )
    made.copy_patient_and_study_information(header)
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "NO"
    made.RecognizableVisualFeatures = "NO"
    made.AcquisitionDateTime = ""
    made.DocumentTitle = f"{RESEARCH_USE}: {page.title}"[:1024]
    made.ConceptNameCodeSequence = [CodedConcept.from_code(codes.DCM.ImagingMeasurementReport)]
    made.VerificationFlag = "UNVERIFIED"
    made.SourceInstanceSequence = [_reference(image) for image in images]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document = render(page)
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return place.written(made)


def _reference(image: Source) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.header.SOPClassUID
    item.ReferencedSOPInstanceUID = image.sop_uid
    return item


def render(page: Page) -> bytes:
    """Return a report as PDF, the same bytes for the same report."""
    _fonts()
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=f"{page.title}: AI result, research use only",
        author=MANUFACTURER,
        lang="en",
        invariant=1,  # without the moment of writing, and with an identifier made of the content
    )
    document.build(_story(page))
    # The fixed date that reportlab writes is one that a patient may have; this one nobody has.
    return buffer.getvalue().replace(_FIXED_DATE, _NO_DATE)


def _story(page: Page) -> list[Flowable]:
    story: list[Flowable] = [
        Paragraph(f"AI result: {escape(page.title)}", _style(15, bold=True)),
        Paragraph(escape(NOTICE), _style(9, bold=True, boxed=True)),
        _heading("Findings"),
        _table([page.headings, *page.rows], (1 / len(page.headings),) * len(page.headings)),
    ]
    if page.remarks:
        story += [_heading("Remarks"), *(Paragraph(escape(remark), _style(9)) for remark in page.remarks)]
    if page.figures:
        story += [_heading("Images"), *(_figure(figure) for figure in page.figures)]
    story += [_heading("Intended use"), Paragraph(escape(page.intended_use), _style(9))]
    story += [_heading("What was computed"), _table(page.facts, (0.25, 0.75), headed=False)]
    return story


def _style(size: int, *, bold: bool = False, boxed: bool = False) -> ParagraphStyle:
    box = {"borderColor": colors.HexColor(0x8A4B00), "borderWidth": 1, "borderPadding": 5, "spaceAfter": 6}
    return ParagraphStyle(
        "text",
        fontName=_BOLD if bold else _FONT,
        fontSize=size,
        leading=size * 1.35,
        splitLongWords=1,
        spaceBefore=4,
        **(box if boxed else {"spaceAfter": 4}),
    )


def _heading(text: str) -> Paragraph:
    return Paragraph(text, _style(11, bold=True))


def _table(rows: Sequence[tuple[str, ...]], widths: tuple[float, ...], headed: bool = True) -> Table:
    cells = [
        [Paragraph(escape(cell), _style(7, bold=headed and number == 0)) for cell in row]
        for number, row in enumerate(rows)
    ]
    table = Table(cells, colWidths=[width * _WIDTH for width in widths], repeatRows=1 if headed else 0)
    table.setStyle(
        TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    )
    return table


def _figure(figure: Figure) -> KeepTogether:
    image = Image(_jpeg(figure.png))
    scale = min(_FIGURE_MM * mm / image.imageWidth, _FIGURE_MM * mm / image.imageHeight)
    image.drawWidth, image.drawHeight = image.imageWidth * scale, image.imageHeight * scale
    image.hAlign = "LEFT"
    return KeepTogether([image, Paragraph(escape(figure.caption), _style(8)), Spacer(1, 4 * mm)])


def _jpeg(png: bytes) -> io.BytesIO:
    """Return a picture as a PDF takes it without encoding it anew, and a tenth of the size."""
    buffer = io.BytesIO()
    with PictureFile.open(io.BytesIO(png)) as picture:
        picture.save(buffer, "JPEG", quality=90)
    buffer.seek(0)
    return buffer


@lru_cache(maxsize=1)
def _fonts() -> None:
    """Register the fonts that reportlab brings: the built-in ones are embedded nowhere and know Latin-1 only."""
    folder = Path(reportlab.__file__).parent / "fonts"
    for name in (_FONT, _BOLD):
        registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    registerFontFamily(_FONT, normal=_FONT, bold=_BOLD, italic=_FONT, boldItalic=_BOLD)
