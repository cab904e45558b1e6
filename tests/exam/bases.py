"""The objects that identifiers are planted into: generated images and documents, and pydicom's samples."""

import random
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.exam.key import Box
from tests.exam.planter import lenient

_LOW = bytes(value % 32 for value in range(256))  # pixels that never spell a text
_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
_SIDE = 48

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "US cine": "1.2.840.10008.5.1.4.1.1.3.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.22",
    "PR": "1.2.840.10008.5.1.4.1.1.11.1",
    "KO": "1.2.840.10008.5.1.4.1.1.88.59",
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
    "PDF": "1.2.840.10008.5.1.4.1.1.104.1",
    "CDA": "1.2.840.10008.5.1.4.1.1.104.2",
    "ECG": "1.2.840.10008.5.1.4.1.1.9.1.1",
    "AU": "1.2.840.10008.5.1.4.1.1.9.4.1",
}
SAMPLES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jp2klossless.dcm",
)


@dataclass
class Base:
    """A dataset to plant into.

    Parameters
    ----------
    dataset
        With its pixels.
    syntax
        Transfer syntax it is written in.
    modality
        Defined term.
    sop_class
        Its SOP class.
    """

    dataset: Dataset
    syntax: UID
    modality: str
    sop_class: str


def generated(modality: str, rng: random.Random, turn: int) -> Base:
    """Return a small image of a modality; `turn` chooses the transfer syntax."""
    colour = modality == "US"
    samples, bits = (3, 8) if colour else (1, 16)
    dataset = _image_module(samples, bits)
    dataset.PixelData = rng.randbytes(_SIDE * _SIDE * samples * bits // 8).translate(_LOW)
    dataset["PixelData"].VR = "OB" if colour else "OW"
    syntax = _SYNTAXES[turn % len(_SYNTAXES)]
    if modality == "MR" and turn % 2:
        with lenient():
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.compress(RLELossless, generate_instance_uid=False)
        syntax = RLELossless
    return Base(dataset, syntax, modality, CLASSES[modality])


def _image_module(samples: int, bits: int) -> Dataset:
    dataset = Dataset()
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated, dataset.BitsStored = bits, min(bits, 12)
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    return dataset


def sample(turn: int) -> Base:
    """Return one of pydicom's sample images with its own private and odd elements."""
    path = Path(pydicom.data.__file__).parent / "test_files" / SAMPLES[turn % len(SAMPLES)]
    with lenient():
        dataset = pydicom.dcmread(path)
    return Base(dataset, dataset.file_meta.TransferSyntaxUID, str(dataset.Modality), str(dataset.SOPClassUID))


def burned(lines: list[str], frames: int, rng: random.Random) -> tuple[Base, list[Box]]:
    """Return an ultrasound image with text burned into every frame, and where the text is."""
    height, width = 160, 320
    dataset = _image_module(1, 8)
    dataset.Rows, dataset.Columns = height, width
    if frames > 1:
        dataset.NumberOfFrames = frames
    canvas = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(canvas)
    boxes = []
    for row, line in enumerate(lines):
        left, top, right, bottom = draw.textbbox((6, 4 + 20 * row), line, font_size=14)
        draw.text((6, 4 + 20 * row), line, fill=255, font_size=14)
        boxes.append(Box(int(left), int(top), int(right) + 1, int(bottom) + 1))
    text = np.asarray(canvas)
    stack = []
    for _ in range(frames):
        noise = np.frombuffer(rng.randbytes(height * width).translate(_LOW), np.uint8).reshape(height, width)
        frame = noise.copy()
        frame[:80] = 0
        stack.append(np.maximum(frame, text))
    dataset.PixelData = np.stack(stack).tobytes()
    dataset["PixelData"].VR = "OB"
    kind = "US cine" if frames > 1 else "US"
    return Base(dataset, ExplicitVRLittleEndian, "US", CLASSES[kind]), boxes


def document(kind: str, text: str, turn: int) -> Base:
    """Return an object without pixels of a kind of `tests.exam.documents`; `turn` chooses the transfer syntax."""
    dataset = Dataset()
    payload = {"PDF": _pdf, "CDA": _cda}.get(kind)
    if payload is not None:
        dataset.EncapsulatedDocument = payload(text)
        dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    modality = {"PDF": "DOC", "CDA": "DOC"}.get(kind, kind)
    return Base(dataset, _SYNTAXES[turn % len(_SYNTAXES)], modality, CLASSES[kind])


def _cda(text: str) -> bytes:
    raw = (
        '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><patient>'
        f"<name>{text}</name></patient></patientRole></recordTarget></ClinicalDocument>"
    ).encode("latin-1", "replace")
    return raw + b"\n" * (len(raw) % 2)


def _pdf(text: str) -> bytes:
    stream = f"BT /F1 12 Tf 10 10 Td ({text}) Tj ET"
    parts = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R"
        "/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        f"<</Author({text})/Title({text})>>",
    )
    target = BytesIO(b"")
    target.write(b"%PDF-1.4\n")
    for number, part in enumerate(parts, 1):
        target.write(f"{number} 0 obj{part}endobj\n".encode("latin-1", "replace"))
    target.write(b"trailer<</Root 1 0 R/Info 5 0 R/Size 6>>\n%%EOF\n")
    raw = target.getvalue()
    return raw + b"\n" * (len(raw) % 2)
