"""A folder that is served: what the viewer asks, to whom it is answered, and that nothing changes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from portal.folder.app import create_app
from portal.folder.found import look
from portal.security import CONTENT_SECURITY_POLICY
from tests.support.folders import BOX, CT, PRIOR, STUDY, TWICE, Written, save, write_folder, write_series
from tests.support.phantoms import planes
from tests.unit.imaging.test_suv import ACTIVITY, Change, pet, sets
from tests.unit.portal.folder.test_volumes import write_nifti

TOKEN = "0123456789abcdef"
ROOT = f"/dicomweb/studies/{STUDY}/series"
NATIVE = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    path = tmp_path_factory.mktemp("folder")
    found = write_folder(path)
    write_series(path / "before", planes()[:4], "2.25.91", first=7500, StudyInstanceUID=PRIOR)
    return found


def client_of(path: Path, host: str = "127.0.0.1", peer: str = "127.0.0.1") -> TestClient:
    app = create_app(look(path), TOKEN)
    return TestClient(
        app, base_url=f"http://{host}:8123", client=(peer, 40000), raise_server_exceptions=False
    )


@pytest.fixture(scope="module")
def client(written: Written) -> Iterator[TestClient]:
    client = client_of(written.path)
    answer = client.get(f"/open/{TOKEN}")
    assert (answer.status_code, str(answer.url)) == (200, "http://127.0.0.1:8123/")
    yield client


def digests(path: Path) -> dict[str, tuple[str, int]]:
    return {
        str(each): (hashlib.sha256(each.read_bytes()).hexdigest(), each.stat().st_mtime_ns)
        for each in path.rglob("*")
        if each.is_file()
    }


PATHS = (
    "/",
    f"/studies/{STUDY}",
    f"/api/studies/{STUDY}",
    f"{ROOT}/{CT}/metadata",
    "/dicomweb/studies",
    "/nowhere",
)


@pytest.mark.parametrize("path", PATHS)
def test_nobody_without_the_token_sees_anything(written: Written, path: str) -> None:
    stranger = client_of(written.path)
    assert stranger.get(path).status_code == 403
    assert stranger.get("/open/").status_code == 403
    assert stranger.get(f"/open/{TOKEN[:-1]}").status_code == 403
    assert stranger.get("/open/ü").status_code == 403
    assert "set-cookie" not in stranger.get("/open/0").headers
    (name,) = client_of(written.path).get(f"/open/{TOKEN}", follow_redirects=False).cookies.keys()
    stranger.cookies.set(name, "another")
    assert stranger.get(path, headers={"Cookie": f"odd[]=1,2; {name}={TOKEN}"}).status_code != 403
    assert stranger.get(path).status_code == 403
    assert stranger.get("/static/portal.css").status_code == 200


def test_the_cookie_is_for_pages_of_this_server_alone(written: Written, client: TestClient) -> None:
    answer = client_of(written.path).get(f"/open/{TOKEN}", follow_redirects=False)
    told = answer.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        assert client.get(f"/api/studies/{STUDY}", headers=headers).status_code == 403
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).is_success


@pytest.mark.parametrize(
    ("host", "peer", "headers"),
    [
        ("evil.example", "127.0.0.1", {}),
        ("127.0.0.1", "10.0.0.7", {}),
        ("127.0.0.1", "127.0.0.1", {"X-Forwarded-For": "10.0.0.7"}),
    ],
)
def test_only_this_machine_is_answered(
    written: Written, host: str, peer: str, headers: dict[str, str]
) -> None:
    stranger = client_of(written.path, host, peer)
    assert stranger.get(f"/open/{TOKEN}", headers=headers, follow_redirects=False).status_code == 403
    assert stranger.get("/static/portal.css", headers=headers).status_code == 403


def test_every_answer_has_the_policy_of_the_portal(client: TestClient) -> None:
    for path in (*PATHS, "/static/portal.css"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert client.get("/").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(client: TestClient, method: str) -> None:
    for path in PATHS[:-1]:
        assert client.request(method, path).status_code == 405


def test_the_list_names_series_verdicts_and_what_is_missing(client: TestClient) -> None:
    page = client.get("/").text
    for words in (
        "Research use only",
        "CT · Axial",
        "mended: tilt corrected (28)",
        "refused: two slices at one position",
        "RTSTRUCT: Box, Small",
        "broken.dcm</span>: truncated",
        "Files that are no DICOM objects: 1",
    ):
        assert words in page
    assert "Sign out" not in page


def test_a_page_begins_with_the_series_that_is_asked_for(client: TestClient) -> None:
    assert f'id="viewer" data-series="{TWICE}"' in client.get(f"/studies/{STUDY}?series={TWICE}").text
    for series in ("", "?series=nothing"):
        assert f'id="viewer" data-series="{CT}"' in client.get(f"/studies/{STUDY}{series}").text


def test_metadata_and_frames_are_those_of_the_files(written: Written, client: TestClient) -> None:
    found = client.get(f"{ROOT}/{CT}/metadata").json()
    assert [each["00080018"]["Value"] for each in found] == [[one.SOPInstanceUID] for one in written.images]
    one = written.images[5]
    path = f"{ROOT}/{CT}/instances/{one.SOPInstanceUID}"
    (alone,) = client.get(f"{path}/metadata").json()
    assert alone == found[5]
    assert one.PixelData in client.get(f"{path}/frames/1", headers=NATIVE).content
    assert client.get(f"{path}/bulkdata/7FE00010").content == one.PixelData
    assert client.get(f"{path}/frames/2").status_code == 404
    picture = client.get(f"/studies/{STUDY}/instances/{one.SOPInstanceUID}/frames/1.png?side=64")
    assert picture.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "path",
    [
        "/studies/2.25.404",
        "/api/studies/2.25.404",
        "/api/studies/2.25.404/masks",
        f"{ROOT}/2.25.404/metadata",
        f"{ROOT}/{CT}/instances/2.25.404/frames/1",
        f"{ROOT}/{CT}/instances/..%2f..%2fct%2f7000.dcm/frames/1",
        f"/studies/{STUDY}/instances/2.25.404/frames/1.png",
        f"/studies/{STUDY}/instances/2.25.7000/frames/2.png",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_masks_are_segmentations_like_all_others(client: TestClient) -> None:
    masks = client.get(f"/api/studies/{STUDY}/masks").json()
    assert [(each["key"], each["reason"]) for each in masks] == [
        (f"{sop}#{number}", "") for sop in ("2.25.32.1", "2.25.31.1") for number in (1, 2)
    ]
    first = masks[0]
    assert first["colour"] == "#ff0000"
    (instance,) = client.get(f"{ROOT}/{first['series_uid']}/metadata").json()
    frames = instance["52009230"]["Value"]
    assert len(frames) == BOX[0].stop - BOX[0].start
    path = f"{ROOT}/{first['series_uid']}/instances/{first['sop_uid']}/frames/1"
    answer = client.get(path, headers=NATIVE)
    data = answer.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0].removesuffix(b"--")
    bits = np.unpackbits(np.frombuffer(data[: 48 * 64 // 8], np.uint8), bitorder="little").reshape(48, 64)
    assert bits[BOX[1:]].all()
    assert bits.sum() == (BOX[1].stop - BOX[1].start) * (BOX[2].stop - BOX[2].start)


def test_studies_of_a_patient_can_be_compared(client: TestClient) -> None:
    (own,) = client.get(f"/dicomweb/studies?StudyInstanceUID={STUDY}").json()
    assert own["00100020"]["Value"] == ["FOLDER1"]
    found = client.get("/dicomweb/studies?PatientID=FOLDER1").json()
    assert {each["0020000D"]["Value"][0] for each in found} == {STUDY, PRIOR}
    assert client.get("/dicomweb/studies?PatientID=NOBODY").json() == []
    assert client.get("/dicomweb/studies?PatientName=x").status_code == 400
    assert client.get(f"/api/studies/{PRIOR}").json()["series"][0]["no_planes"] == ""
    assert client.get(f"/api/studies/{STUDY}/versions").json() == []


def test_nothing_in_the_folder_changes(written: Written, client: TestClient) -> None:
    before = digests(written.path)
    for path in (*PATHS, f"/api/studies/{STUDY}/masks", f"/studies/{STUDY}?series={TWICE}"):
        client.get(path)
    assert digests(written.path) == before


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    write_series(tmp_path, planes()[:4], CT)
    client = client_of(tmp_path)
    client.get(f"/open/{TOKEN}")
    (tmp_path / "7001.dcm").unlink()
    (tmp_path / "7002.dcm").write_bytes(b"changed")
    for sop, status in (("2.25.7000", 200), ("2.25.7001", 404), ("2.25.7002", 422)):
        answer = client.get(f"{ROOT}/{CT}/instances/{sop}/frames/1", headers=NATIVE)
        assert answer.status_code == status
        assert str(tmp_path) not in answer.text


def test_stripped_images_are_served_under_the_uids_that_they_are_given(tmp_path: Path) -> None:
    write_series(tmp_path, planes()[:4], CT, SOPInstanceUID="", SeriesInstanceUID="", StudyInstanceUID="")
    client = client_of(tmp_path)
    client.get(f"/open/{TOKEN}")
    ((uid, study),) = look(tmp_path).studies.items()
    (series,) = study.series
    found = client.get(f"/dicomweb/studies/{uid}/series/{series.uid}/metadata").json()
    sops = [each["00080018"]["Value"][0] for each in found]
    assert sops == [each["sop_uid"] for each in series.images]
    for sop in sops:
        path = f"/dicomweb/studies/{uid}/series/{series.uid}/instances/{sop}/frames/1"
        assert client.get(path, headers=NATIVE).status_code == 200


def test_names_of_files_and_series_are_escaped(tmp_path: Path) -> None:
    write_series(tmp_path, planes()[:4], CT, SeriesDescription="<script>alert(1)</script>")
    (tmp_path / "<img src=x>.dcm").write_bytes((tmp_path / "7000.dcm").read_bytes()[:1500])
    client = client_of(tmp_path)
    for path in (f"/open/{TOKEN}", f"/studies/{STUDY}"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x>" not in page


def test_a_volume_is_asked_for_as_images_are(tmp_path: Path) -> None:
    values = (np.arange(4 * 5 * 6, dtype=np.float32) / 7).reshape(4, 5, 6)
    write_nifti(tmp_path / "scan.nii.gz", values, np.diag([-2.0, -2.0, 3.0, 1.0]))
    write_nifti(tmp_path / "scan_seg.nii.gz", (values > 9).astype(np.uint8), np.diag([-2.0, -2.0, 3.0, 1.0]))
    client = client_of(tmp_path)
    page = client.get(f"/open/{TOKEN}").text
    assert "scan.nii.gz" in page
    (study,) = client.get("/dicomweb/studies").json()
    uid = study["0020000D"]["Value"][0]
    (series,) = client.get(f"/api/studies/{uid}").json()["series"]
    root = f"/dicomweb/studies/{uid}/series/{series['series_uid']}"
    metadata = client.get(f"{root}/metadata").json()
    assert [each["00200032"]["Value"][2] for each in metadata] == [0, 3, 6, 9, 12, 15]
    for number, image in enumerate(metadata):
        frame = client.get(f"{root}/instances/{image['00080018']['Value'][0]}/frames/1", headers=NATIVE)
        assert values[:, :, number].T.tobytes() in frame.content
    sop = series["images"][2]["sop_uid"]
    assert client.get(f"/studies/{uid}/instances/{sop}/frames/1.png").content.startswith(b"\x89PNG")
    (mask,) = client.get(f"/api/studies/{uid}/masks").json()
    assert (mask["reason"], mask["segment"]) == ("", 1)
    (made,) = client.get(f"/dicomweb/studies/{uid}/series/{mask['series_uid']}/metadata").json()
    assert made["00620002"]["Value"][0]["00620005"]["Value"] == ["Region"]
    assert client.get(f"/studies/{uid}").status_code == 200
    (tmp_path / "scan.nii.gz").unlink()
    fresh = client.get(f"{root}/instances/{sop}/frames/1", headers=NATIVE)
    assert values[:, :, 2].T.tobytes() in fresh.content  # it was read once


def test_a_volume_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", np.ones((4, 5, 6), np.int16))
    path.write_bytes(path.read_bytes()[:-2])
    client = client_of(tmp_path)
    client.get(f"/open/{TOKEN}")
    uid = client.get("/dicomweb/studies").json()[0]["0020000D"]["Value"][0]
    (series,) = client.get(f"/api/studies/{uid}").json()["series"]
    answer = client.get(f"/dicomweb/studies/{uid}/series/{series['series_uid']}/metadata")
    assert answer.status_code == 422
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    ("change", "unit", "reason"),
    [
        (lambda _: None, "SUVbw", ""),
        (sets(PatientWeight=None), "", "no weight"),
        (sets(Units="CNTS"), "", "no private factor"),
    ],
)
def test_uptake_is_scaled_by_the_rules_or_left_as_it_is_stored(
    tmp_path: Path, change: Change, unit: str, reason: str
) -> None:
    for number, image in enumerate(pet(change)):
        image.SOPInstanceUID = f"2.25.{7600 + number}"
        save(image, tmp_path / f"{number}.dcm")
    client = client_of(tmp_path)
    client.get(f"/open/{TOKEN}")
    (study,) = client.get("/dicomweb/studies").json()
    uid = study["0020000D"]["Value"][0]
    (series,) = client.get(f"/api/studies/{uid}").json()["series"]
    scale = client.get(f"/api/studies/{uid}/series/{series['series_uid']}/scale").json()
    assert (scale["unit"], scale["reason"]) == (unit, reason)
    assert scale["factor"] == pytest.approx(8.0 / ACTIVITY if unit else 1.0, rel=1e-9)
    assert client.get(f"/api/studies/{uid}/series/2.25.404/scale").status_code == 404


def test_private_factors_of_vendors_reach_the_scale(tmp_path: Path) -> None:
    def philips(one: Dataset) -> None:
        one.Units = "CNTS"
        block = one.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.25")

    for number, image in enumerate(pet(philips)):
        image.SOPInstanceUID = f"2.25.{7600 + number}"
        save(image, tmp_path / f"{number}.dcm")
    client = client_of(tmp_path)
    client.get(f"/open/{TOKEN}")
    uid = client.get("/dicomweb/studies").json()[0]["0020000D"]["Value"][0]
    (series,) = client.get(f"/api/studies/{uid}").json()["series"]
    scale = client.get(f"/api/studies/{uid}/series/{series['series_uid']}/scale").json()
    assert (scale["unit"], scale["factor"], scale["rule"]) == ("SUVbw", 0.25, "philips_suv")
