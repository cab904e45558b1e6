"""dicomweb-client, which 3D Slicer uses too, against a served portal."""

import io

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian
from requests import HTTPError

from firstread.policy import Role
from tests.functional.portal.dicomweb.conftest import Served
from tests.functional.portal.dicomweb.samples import MULTIPLE, SINGLE

ALL = sorted({**SINGLE, **MULTIPLE})
NATIVE = "1.2.840.10008.1.2.1"


def uids(served: Served, name: str) -> tuple[str, str, str]:
    study = served.samples.studies[name]
    series = int(served.samples.originals[name].get("SeriesNumber") or 1)
    return study, f"{study}.{series}", f"{study}.{series}.1"


def as_native(dataset: Dataset, frame: int) -> bytes:
    """What a frame is in Explicit VR Little Endian: as stored, or decoded; colour pixel by pixel."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated and syntax != ExplicitVRBigEndian:
        frames = int(dataset.get("NumberOfFrames", 1))
        if dataset.BitsAllocated == 1:
            bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
            size = dataset.Rows * dataset.Columns
            return np.packbits(bits[frame * size : (frame + 1) * size], bitorder="little").tobytes()
        length = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        if dataset.PhotometricInterpretation == "YBR_FULL_422":
            length = length * 2 // 3
        assert len(dataset.PixelData) - frames * length in (0, 1)
        return bytes(dataset.PixelData[frame * length : (frame + 1) * length])
    pixels = dataset.pixel_array
    found = pixels[frame] if int(dataset.get("NumberOfFrames", 1)) > 1 else pixels
    return np.ascontiguousarray(found).astype(found.dtype.newbyteorder("<")).tobytes()


def test_searches(served: Served) -> None:
    client = served.client()
    found = client.search_for_studies(limit=100)
    assert {each["0020000D"]["Value"][0] for each in found} == set(served.samples.studies.values())
    study, series, sop = uids(served, "ct")
    (row,) = client.search_for_studies(search_filters={"StudyInstanceUID": study})
    assert row["00080061"]["Value"] == ["CT"]
    (row,) = client.search_for_series(study)
    assert row["0020000E"]["Value"] == [series]
    assert row["00201209"]["Value"] == [1]
    (row,) = client.search_for_instances(study)
    assert row["00080018"]["Value"] == [sop]
    (row,) = client.search_for_instances(study, series)
    assert (row["00280010"]["Value"], row["00280011"]["Value"]) == ([128], [128])


@pytest.mark.parametrize("name", ALL)
def test_an_instance_comes_back_as_it_is_stored(served: Served, name: str) -> None:
    study, series, sop = uids(served, name)
    original = served.samples.originals[name]
    found = served.client().retrieve_instance(study, series, sop)
    assert found.SOPInstanceUID == sop
    if "PixelData" in original:
        assert found.PixelData == original.PixelData
    assert len(served.client().retrieve_series(study, series)) == 1
    assert len(served.client().retrieve_study(study)) == 1


@pytest.mark.parametrize("name", ALL)
def test_metadata_says_what_the_object_says(served: Served, name: str) -> None:
    study, series, sop = uids(served, name)
    original = served.samples.originals[name]
    client = served.client()
    (told,) = client.retrieve_series_metadata(study, series)
    assert client.retrieve_instance_metadata(study, series, sop) == told
    assert client.retrieve_study_metadata(study) == [told]
    read = Dataset.from_json(told, lambda *_: b"")
    assert read.SOPInstanceUID == sop
    for keyword in ("Rows", "Columns", "BitsAllocated", "NumberOfFrames", "PatientName", "SliceThickness"):
        if original.get(keyword):
            assert read[keyword].value == original[keyword].value, keyword
    assert told["00083002"]["Value"] == [original.file_meta.TransferSyntaxUID]


@pytest.mark.parametrize("name", ALL)
def test_frames_decoded(served: Served, name: str) -> None:
    study, series, sop = uids(served, name)
    original = served.samples.originals[name]
    count = int(original.get("NumberOfFrames", 1))
    wanted = list(range(1, min(count, 3) + 1))
    media = (("application/octet-stream", NATIVE),)
    found = served.client().retrieve_instance_frames(study, series, sop, wanted, media_types=media)
    assert [bytes(each) for each in found] == [as_native(original, number - 1) for number in wanted]


@pytest.mark.parametrize("name", ALL)
def test_frames_as_they_are_stored(served: Served, name: str) -> None:
    study, series, sop = uids(served, name)
    original = served.samples.originals[name]
    if not original.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    from pydicom.encaps import generate_frames

    count = int(original.get("NumberOfFrames", 1))
    stored = list(generate_frames(original.PixelData, number_of_frames=count))
    found = served.client().retrieve_instance_frames(study, series, sop, list(range(1, count + 1)))
    assert [bytes(each) for each in found] == stored


@pytest.mark.parametrize("name", ["ct", "mr-jpeg-2000", "us-rgb", "us-cine", "palette"])
def test_pictures(served: Served, name: str) -> None:
    from PIL import Image

    study, series, sop = uids(served, name)
    client = served.client()
    for media in ("image/png", "image/jpeg"):
        body = client.retrieve_instance_rendered(study, series, sop, media_types=(media,))
        assert Image.open(io.BytesIO(body)).format == media[6:].upper()
        body = client.retrieve_instance_frames_rendered(study, series, sop, [1], media_types=(media,))
        assert Image.open(io.BytesIO(body)).format == media[6:].upper()


def test_long_values(served: Served) -> None:
    study, series, _ = uids(served, "ct")
    client = served.client()
    (told,) = client.retrieve_series_metadata(study, series)
    uri = told["7FE00010"]["BulkDataURI"]
    assert uri.startswith("/dicomweb/studies/")
    (found,) = client.retrieve_bulkdata(f"{served.origin}{uri}")
    assert found == served.samples.originals["ct"].PixelData


def test_results_are_series_of_their_study(served: Served) -> None:
    study = served.samples.studies["analysed"]
    segmentation = served.samples.segmentation
    assert segmentation is not None
    client = served.client()
    series = {row["0020000E"]["Value"][0]: row for row in client.search_for_series(study)}
    assert set(series) == {f"{study}.1", segmentation.SeriesInstanceUID, served.samples.pdf_series}
    row = series[segmentation.SeriesInstanceUID]
    assert row["00080060"]["Value"] == ["SEG"]
    assert row["0008103E"]["Value"] == ["Lung, research use only"]
    assert len(client.search_for_series(study, search_filters={"Modality": "SEG"})) == 1
    assert len(client.search_for_instances(study)) == 6
    assert len(client.retrieve_study(study)) == 6
    (told,) = client.retrieve_series_metadata(study, segmentation.SeriesInstanceUID)
    read = Dataset.from_json(told, lambda *_: b"")
    for keyword in (
        "SegmentSequence",
        "PerFrameFunctionalGroupsSequence",
        "SharedFunctionalGroupsSequence",
        "ReferencedSeriesSequence",
    ):
        assert len(read[keyword].value) == len(segmentation[keyword].value)
    referenced = read.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == f"{study}.1"
    (found,) = client.retrieve_series(study, segmentation.SeriesInstanceUID)
    assert found.PixelData == segmentation.PixelData
    frames = client.retrieve_instance_frames(
        study, segmentation.SeriesInstanceUID, segmentation.SOPInstanceUID, [1]
    )
    assert bytes(frames[0]) == as_native(segmentation, 0)


def test_a_document_has_its_own_type(served: Served) -> None:
    study, series = served.samples.studies["analysed"], served.samples.pdf_series
    (told,) = served.client().retrieve_series_metadata(study, series)
    answer = served.session().get(f"{served.origin}{told['00420011']['BulkDataURI']}")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-1.4")


def test_a_model_in_shadow_shows_nothing(served: Served) -> None:
    study, series = served.samples.studies["analysed"], served.samples.shadow_series
    for path in ("", "/metadata", f"/instances/{series}.1", f"/instances/{series}.1/frames/1"):
        with pytest.raises(HTTPError) as error:
            served.client()._http_get(f"{served.origin}/dicomweb/studies/{study}/series/{series}{path}", None)
        assert error.value.response is not None
        assert error.value.response.status_code == 404


def test_a_window_is_filled_in_where_there_is_none(served: Served) -> None:
    study, series, _ = uids(served, "ct")
    assert "WindowCenter" not in served.samples.originals["ct"]
    (told,) = served.client().retrieve_series_metadata(study, series)
    assert (told["00281050"]["Value"], told["00281051"]["Value"]) == ([40.0], [400.0])
    study, series, sop = uids(served, "mr")
    window = served.samples.originals["mr"].get("WindowCenter")
    (told,) = served.client().retrieve_series_metadata(study, series)
    assert window is None or told["00281050"]["Value"] == [float(window)]
    stored = served.client().retrieve_instance(study, series, sop)
    assert stored.get("WindowCenter") == window  # the object itself stays as it is


def test_a_stored_object_is_a_whole_file(served: Served) -> None:
    study, series, sop = uids(served, "ct")
    url = f"{served.origin}/dicomweb/studies/{study}/series/{series}/instances/{sop}"
    answer = served.session().get(url, headers={"Accept": "application/dicom"})
    assert answer.headers["content-type"] == "application/dicom"
    assert dcmread(io.BytesIO(answer.content)).SOPInstanceUID == sop


def test_the_scale_of_a_series_is_for_those_who_may_see_its_images(served: Served) -> None:
    name = next(iter(served.samples.studies))
    study, series, _ = uids(served, name)
    path = f"{served.origin}/api/studies/{study}/series/{series}/scale"
    answer = served.session().get(path)
    assert answer.json() == {"unit": "", "factor": 1.0, "rule": "", "reason": "not pet"}
    assert served.session().get(path.replace(series, "2.25.404")).status_code == 404
    assert served.session(Role.AUDITOR).get(path).status_code == 404
