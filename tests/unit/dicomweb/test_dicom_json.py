"""The DICOM JSON model (PS3.18 annex F)."""

import json
import math

from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from firstread.dicomweb.dicom_json import INLINE_BYTES, to_json


def uri(path: str) -> str:
    return f"/bulk/{path}"


def test_values() -> None:
    dataset = Dataset()
    dataset.PatientName = "Doe^John=\u5c71\u7530^\u592a\u90ce"
    dataset.SliceThickness = "2.50"
    dataset.InstanceNumber = "7"
    dataset.ImagePositionPatient = [1.5, -2, 3]
    dataset.StudyDate = "20260102"
    dataset.StudyID = ""
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.add_new(0x00280009, "AT", [0x00181063])
    made = to_json(dataset, uri)
    assert made["00100010"]["Value"] == [
        {"Alphabetic": "Doe^John", "Ideographic": "\u5c71\u7530^\u592a\u90ce"}
    ]
    assert made["00180050"] == {"vr": "DS", "Value": [2.5]}
    assert made["00200013"] == {"vr": "IS", "Value": [7]}
    assert made["00200032"]["Value"] == [1.5, -2.0, 3.0]
    assert made["00200010"] == {"vr": "SH"}
    assert made["00080008"]["Value"] == ["ORIGINAL", "PRIMARY"]
    assert made["00280009"]["Value"] == ["00181063"]
    json.dumps(made, allow_nan=False)


def test_what_json_has_no_word_for_is_null() -> None:
    dataset = Dataset()
    dataset.add_new(0x00186020, "FD", [1.0, math.nan, math.inf])
    dataset.add_new(0x00186028, "FD", math.nan)
    made = to_json(dataset, uri)
    assert made["00186020"]["Value"] == [1.0, None, None]
    assert made["00186028"] == {"vr": "FD"}
    json.dumps(made, allow_nan=False)


def test_long_values_have_an_address_with_their_path() -> None:
    item = Dataset()
    item.add_new(0x00283006, "OW", bytes(INLINE_BYTES + 2))
    dataset = Dataset()
    dataset.VOILUTSequence = Sequence([Dataset(), item])
    dataset.add_new(0x60003000, "OW", bytes(INLINE_BYTES))
    dataset.add_new(0x7FE00010, "OW", b"\0\0")
    made = to_json(dataset, uri)
    lut = made["00283010"]["Value"][1]["00283006"]
    assert lut == {"vr": "OW", "BulkDataURI": "/bulk/00283010.1.00283006"}
    assert len(made["60003000"]["InlineBinary"]) >= INLINE_BYTES
    assert "7FE00010" not in made


def test_a_value_that_cannot_be_decoded_is_left_out() -> None:
    dataset = Dataset()
    raw = RawDataElement(Tag(0x00180050), "DS", 4, b"oops", 0, False, True)
    dataset[raw.tag] = raw
    assert to_json(dataset, uri) == {"00180050": {"vr": "DS"}}


def test_pixel_data_of_an_icon_has_its_place() -> None:
    icon = Dataset()
    icon.add_new(0x7FE00010, "OW", bytes(64))
    dataset = Dataset()
    dataset.IconImageSequence = Sequence([icon])
    assert to_json(dataset, uri)["00880200"]["Value"][0]["7FE00010"]["InlineBinary"]


def test_a_real_report_comes_back() -> None:
    path = get_testdata_file("reportsi.dcm", download=False)
    original = dcmread(str(path))
    made = json.loads(json.dumps(to_json(original, uri), allow_nan=False))
    read = Dataset.from_json(made)
    assert len(read.ContentSequence) == len(original.ContentSequence)
    assert (
        read.ContentSequence[0].ConceptNameCodeSequence == original.ContentSequence[0].ConceptNameCodeSequence
    )
