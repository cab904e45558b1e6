"""An image that was withdrawn, perhaps as it is of somebody else: nothing of it is served, nor what was drawn on it."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from firstread.policy import Role
from firstread.study import AnalysisStatus
from tests.functional.portal.conftest import SignIn
from tests.functional.portal.dicomweb.samples import Samples, store_analysed
from tests.functional.portal.seeding import MODEL, Hospital

OBJECT_PATHS = ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010")


@pytest.fixture
def samples(hospital: Hospital) -> Samples:
    """Four slices; a segmentation has a frame on the third and one on the second."""
    made = Samples()
    store_analysed(hospital, made)
    hospital.close(made.studies["analysed"], 1, waits=5)
    return made


@pytest.fixture
def reader(sign_in: SignIn) -> TestClient:
    return sign_in(Role.RADIOLOGIST)


def withdraw(hospital: Hospital, samples: Samples, number: int) -> tuple[str, str]:
    study = samples.studies["analysed"]
    sop = f"{study}.1.{number}"
    hospital.withdraw(study, sop, waits=4)
    return study, sop


def looked_at(hospital: Hospital, study: str) -> None:
    """Let the head know what was recorded, as the next look at the study does; its version stays."""
    hospital.close(study, 9, waits=3)
    hospital.change(study, version=1, version_fingerprint="as it was", status=AnalysisStatus.RECEIVING)


def got(client: TestClient, path: str) -> Any:  # noqa: ANN401 - any JSON
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_of_an_old_version_the_frames_on_a_withdrawn_image_are_not_served(
    hospital: Hospital, samples: Samples, reader: TestClient
) -> None:
    assert samples.segmentation is not None
    segmentation = samples.segmentation.SOPInstanceUID
    study = samples.studies["analysed"]
    root = f"/api/studies/{study}/versions/1/segmentations"
    (before,) = got(reader, root)
    for frame in (1, 2):
        assert reader.get(f"{root}/{segmentation}/frames/{frame}").status_code == 200
    _, sop = withdraw(hospital, samples, 2)
    hospital.close(study, 2, waits=3)
    hospital.change(study, version=2, status=AnalysisStatus.ANALYSED, models=(MODEL,))
    (after,) = got(reader, root)
    assert after["52009230"]["Value"] == [before["52009230"]["Value"][0], {}]
    assert sop in str(before) and sop not in str(after)
    assert reader.get(f"{root}/{segmentation}/frames/1").status_code == 200
    assert reader.get(f"{root}/{segmentation}/frames/2").status_code == 404


def test_dicomweb_serves_no_withdrawn_image_and_nothing_that_was_drawn_on_it(
    hospital: Hospital, samples: Samples, reader: TestClient
) -> None:
    """Before the next version is closed: the result is still that of the current one."""
    study = samples.studies["analysed"]
    assert samples.segmentation is not None
    mask = samples.segmentation
    image = f"/dicomweb/studies/{study}/series/{study}.1/instances/{study}.1.2"
    drawn = f"/dicomweb/studies/{study}/series/{mask.SeriesInstanceUID}/instances/{mask.SOPInstanceUID}"
    for path in (image, drawn):
        assert reader.get(path).status_code == 200
        assert reader.get(f"{path}/frames/1").status_code == 200
    _, sop = withdraw(hospital, samples, 2)
    looked_at(hospital, study)
    for path in (image, drawn):
        for rest in OBJECT_PATHS:
            assert reader.get(f"{path}{rest}").status_code == 404, rest
    everything = got(reader, f"/dicomweb/studies/{study}/metadata")
    assert len(everything) == 4  # three slices and the document
    assert sop not in str(everything)
    assert got(reader, f"/dicomweb/studies/{study}/series?Modality=SEG") == []


def test_what_was_drawn_on_other_images_stays(
    hospital: Hospital, samples: Samples, reader: TestClient
) -> None:
    study, _ = withdraw(hospital, samples, 4)
    looked_at(hospital, study)
    (row,) = got(reader, f"/dicomweb/studies/{study}/series?Modality=SEG")
    assert samples.segmentation is not None
    assert row["0020000E"]["Value"] == [samples.segmentation.SeriesInstanceUID]
