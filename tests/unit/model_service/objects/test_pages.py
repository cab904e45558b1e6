import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from firstread.objects.sources import Sources
from firstread.result import ObjectKind
from model_service.findings import tell
from model_service.manifest import BundleManifest
from model_service.objects.describe import describe
from model_service.objects.page import MAX_FIGURES, page
from model_service.objects.pdf import render
from model_service.objects.pictures import Pictures
from model_service.objects.said import Remark, Said
from model_service.prediction import Box, Classified, Detected, Segmented
from tests.support.said import blocks, classification, detection, radiograph, said, segmentation

HOSTILE = '<script>alert("1")</script> & <b>ü'


class Elements(HTMLParser):
    """Names and attributes of all elements, and the text; fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def html(value: Said) -> Elements:
    (part,) = (part for part in describe(value).parts if part.kind is ObjectKind.HTML_REPORT)
    elements = Elements()
    elements.feed(part.content.decode())
    elements.close()
    assert not elements._open
    return elements


def renamed(value: Said, **values: object) -> Said:
    manifest = BundleManifest.model_validate(value.manifest.model_dump(mode="json") | values)
    return Said(**{**vars(value), "manifest": manifest})


def scored(*probabilities: float) -> Said:
    return said(classification(len(probabilities)), [radiograph()], [Classified(probabilities)])


def test_the_report_says_what_was_found_and_by_what() -> None:
    text = html(scored(0.7, 0.1)).text
    for words in (
        "Opacity 0",
        "Flagged",
        "0.700",
        "Opacity 1",
        "0.100",
        "0.400",
        "made_up@1.2.3",
        "ab" * 32,
        "fp32",
    ):
        assert words in text
    assert "Not flagged, which does not mean normal" in text
    assert "Research use only" in text


def test_measurements_have_their_units() -> None:
    value = said(segmentation("area"), [radiograph(PixelSpacing=[0.5, 0.5])], [Segmented(blocks((40, 30)))])
    text = html(value).text
    assert "area 2.2 mm²" in text
    assert "Score" not in text


def test_every_text_is_escaped_and_nothing_comes_from_elsewhere() -> None:
    elements = html(renamed(scored(0.7), title=HOSTILE, intended_use=HOSTILE))
    assert not elements.all("script")
    assert not elements.all("b")
    assert HOSTILE in elements.text
    assert {
        tag for tag, attributes in elements.found if {"href", "onload", "onerror"} & attributes.keys()
    } == set()
    (policy,) = (each for each in elements.all("meta") if each.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_image_is_inside_and_has_a_text_alternative() -> None:
    boxes = Detected(tuple(Box(0.9 - n / 100, n, n + 4, n, n + 4) for n in range(12)), 0.9)
    pictures = html(said(detection(), [radiograph()], [boxes])).all("img")
    assert len(pictures) == MAX_FIGURES
    for each in pictures:
        assert each["alt"] == "Opacity, image 1 of 1."
        kind, data = str(each["src"]).split(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (30, 40)


def test_tables_name_their_rows_and_columns() -> None:
    elements = html(scored(0.7))
    assert elements.all("html") == [{"lang": "en"}]
    assert {each["scope"] for each in elements.all("th")} == {"col", "row"}
    assert len(elements.all("h1")) == len(elements.all("main")) == 1


def test_remarks_are_words() -> None:
    value = said(segmentation("area"), [radiograph(ImagerPixelSpacing=[1, 1])], [Segmented(blocks((40, 30)))])
    assert Remark.DETECTOR_SPACING.value.replace("_", " ") in html(value).text


def pdf(value: Said) -> Dataset:
    (part,) = (part for part in describe(value).parts if part.kind is ObjectKind.ENCAPSULATED_PDF)
    return dcmread(io.BytesIO(part.content))


def test_the_same_report_travels_as_an_encapsulated_pdf() -> None:
    value = scored(0.7)
    made = pdf(value)
    document = made.EncapsulatedDocument[: made.EncapsulatedDocumentLength]
    assert document.startswith(b"%PDF-")
    assert document.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", document)) == 1
    assert made.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert made.DocumentTitle.startswith("Research use only")
    assert made.SourceInstanceSequence[0].ReferencedSOPInstanceUID == value.sources[0].SOPInstanceUID
    assert made.StudyInstanceUID == value.study_uid
    assert made.VerificationFlag == "UNVERIFIED"


def test_markup_in_a_text_does_not_break_the_pdf() -> None:
    made = pdf(renamed(scored(0.7), title=HOSTILE, intended_use="<para>" * 3))
    assert made.EncapsulatedDocument.startswith(b"%PDF-")


def test_a_long_report_has_several_pages() -> None:
    boxes = Detected(tuple(Box(0.9 - n / 100, n, n + 4, n, n + 4) for n in range(30)), 0.9)
    document = pdf(said(detection(), [radiograph()], [boxes])).EncapsulatedDocument
    assert len(re.findall(rb"/Type /Page\b", document)) > 1


def test_an_image_that_cannot_be_rendered_leaves_the_words() -> None:
    image = radiograph()
    image.PixelData = image.PixelData[:100]
    value = said(segmentation("area"), [image], [Segmented(blocks((40, 30)))])
    elements = html(value)
    assert not elements.all("img")
    assert "Part 1" in elements.text
    assert Remark.IMAGE_NOT_RENDERED in describe(value).remarks


def test_the_words_do_not_depend_on_the_file_they_are_in() -> None:
    value = scored(0.7)
    sources = Sources(value.sources)
    told = tell(value, sources).told
    made = page(value, told, [None], sources, Pictures(sources), [])
    assert made.headings == ("Finding", "Outcome", "Score", "Operating point", "Shown on")
    assert render(made) == render(made)
    assert np.asarray(Image.open(io.BytesIO(made.figures[0].png))).shape == (40, 30, 3)
