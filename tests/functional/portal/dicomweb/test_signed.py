"""SR and SEG of signed reviews: series of their study for those who may read reports, and nothing for anybody else."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from firstread.policy import Role
from firstread.records.audit import AuditTrail
from portal.app import create_app
from tests.functional.portal.conftest import Clock
from tests.functional.portal.dicomweb.conftest import Served
from tests.functional.portal.dicomweb.samples import Samples, store_analysed
from tests.functional.portal.reading import consistent, slices
from tests.functional.portal.seeding import RESULTS, Hospital, account, name_of, settings
from tests.support.loopback import served as listening

MASS = {"value": "4147007", "scheme": "SCT"}
OUTLINE = [{"x": x, "y": y} for x, y in ((20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (20.0, 60.0))]
READERS = (Role.RADIOLOGIST, Role.RESIDENT, Role.DATA_STEWARD)
WITHOUT_IMAGES = (Role.ADMIN, Role.AUDITOR, Role.SERVICE)
REST = (
    "",
    "/metadata",
    "/thumbnail",
    "/instances/{sop}",
    "/instances/{sop}/metadata",
    "/instances/{sop}/frames/1",
    "/instances/{sop}/bulkdata/7FE00010",
    "/instances/{sop}/rendered",
    "/instances/{sop}/frames/1/rendered",
    "/instances/{sop}/thumbnail",
)


@dataclass(frozen=True)
class Report:
    """A signed study and the objects of its review."""

    study_uid: str
    document: Dataset
    regions: Dataset

    @property
    def objects(self) -> tuple[Dataset, Dataset]:
        """Both of them."""
        return self.document, self.regions

    @property
    def series(self) -> set[str]:
        """Their series."""
        return {str(each.SeriesInstanceUID) for each in self.objects}


@dataclass(frozen=True)
class Ward:
    """A served portal with two signed studies: a simulated one that a model analysed, and a teaching case."""

    portal: Served
    analysed: Report
    case: Report
    _sessions: dict[Role, requests.Session] = field(default_factory=dict)

    def session(self, role: Role) -> requests.Session:
        """Return the one session of a role: too many would end the first."""
        if role not in self._sessions:
            self._sessions[role] = self.portal.session(role)
        return self._sessions[role]

    def client(self, role: Role) -> DICOMwebClient:
        """Return a client of somebody."""
        return DICOMwebClient(f"{self.portal.origin}/dicomweb", session=self.session(role))

    def asked(self, role: Role, path: str) -> tuple[int, bytes]:
        """Return status and body of what somebody asks for below the root."""
        answer = self.session(role).get(f"{self.portal.origin}/dicomweb{path}")
        return answer.status_code, answer.content

    def own_series(self, report: Report) -> set[str]:
        """Return the series of the images."""
        return {f"{report.study_uid}.1"}

    def of_models(self) -> set[str]:
        """Return the series that a model made of the analysed study."""
        segmentation = self.portal.samples.segmentation
        assert segmentation is not None
        return {str(segmentation.SeriesInstanceUID), self.portal.samples.pdf_series}

    def allowed(self, role: Role) -> set[str]:
        """Return the series of the analysed study that a role has."""
        report = self.analysed
        found = self.own_series(report)
        if role in (*READERS, Role.STUDENT):
            found |= self.of_models()
        if role in (*READERS, Role.REFERRING_CLINICIAN):
            found |= report.series
        return found


def stored() -> list[bytes]:
    """Return the objects of signed reviews, as they lie there."""
    s3 = boto3.client("s3", region_name="us-east-1")
    listed = s3.list_objects_v2(Bucket=RESULTS, Prefix="reviews/")["Contents"]
    return [s3.get_object(Bucket=RESULTS, Key=each["Key"])["Body"].read() for each in listed]


def sign(portal: Served, study_uid: str) -> Report:
    """Find something and sign, as a radiologist does; read the objects as they are stored."""
    session = portal.session()

    def ask(method: str, rest: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = session.request(method, f"{portal.origin}/api/studies/{study_uid}/{rest}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    series = f"{study_uid}.1"
    region = {"series_uid": series, "sop_uid": f"{series}.1", "outline": OUTLINE, "holes": []}
    finding = {"finding_id": "2.25.4711", "verdict": "missed", "code": MASS, "regions": [region]}
    ask("POST", "claim", {})
    draft = {"version": 1, "findings": [finding], "impression": "A mass."}
    saved = ask("PUT", "review", draft)["draft"]
    ask("POST", "review/sign", {"number": saved["number"], "revision": saved["revision"]})
    objects = [dcmread(io.BytesIO(each)) for each in stored()]
    made = {each.SOPClassUID: each for each in objects if each.StudyInstanceUID == study_uid}
    return Report(study_uid, made[Comprehensive3DSRStorage], made[SegmentationStorage])


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_REGION", "us-east-1")
        with account():
            clock, samples = Clock(), Samples()
            hospital = Hospital(clock())
            case = hospital.study(consistent(slices(), 1), modality="CT", description="case")
            hospital.change(case)
            store_analysed(hospital, samples)
            app = create_app(settings(tmp_path_factory.mktemp("portal")), clock)
            with listening(app) as origin:
                portal = Served(origin, app, samples)
                made = Ward(portal, sign(portal, samples.studies["analysed"]), sign(portal, case))
                wanted = {"collection": "chest", "title": "Chest", "points": "Look."}
                answer = portal.session().post(f"{origin}/api/studies/{case}/teaching", json=wanted)
                assert answer.status_code == 201, answer.text
                yield made


def series_of(client: DICOMwebClient, study_uid: str) -> dict[str, Any]:
    return {row["0020000E"]["Value"][0]: row for row in client.search_for_series(study_uid)}


@pytest.mark.parametrize("role", [*READERS, Role.REFERRING_CLINICIAN])
def test_whoever_may_read_reports_finds_them_among_the_series(ward: Ward, role: Role) -> None:
    client, report = ward.client(role), ward.analysed
    found = series_of(client, report.study_uid)
    assert set(found) == ward.allowed(role)
    for dataset, modality in zip(report.objects, ("SR", "SEG"), strict=True):
        row = found[dataset.SeriesInstanceUID]
        assert row["00080060"]["Value"] == [modality]
        assert row["0008103E"]["Value"] == [dataset.SeriesDescription]
        assert row["00200011"]["Value"] == [dataset.SeriesNumber]
        assert row["00201209"]["Value"] == [1]
        filters = {"SeriesInstanceUID": dataset.SeriesInstanceUID}
        (only,) = client.search_for_series(report.study_uid, search_filters=filters)
        assert only == row
        for searched in (
            client.search_for_instances(report.study_uid, dataset.SeriesInstanceUID),
            client.search_for_instances(
                report.study_uid, search_filters={"SOPInstanceUID": dataset.SOPInstanceUID}
            ),
            client.search_for_instances(
                report.study_uid, search_filters={"SOPClassUID": dataset.SOPClassUID, **filters}
            ),
        ):
            (instance,) = searched
            assert instance["00080018"]["Value"] == [dataset.SOPInstanceUID]
            assert instance["00080016"]["Value"] == [dataset.SOPClassUID]
            assert instance["00200013"]["Value"] == [dataset.InstanceNumber]


@pytest.mark.parametrize("role", [Role.RADIOLOGIST, Role.REFERRING_CLINICIAN])
def test_they_come_back_as_they_are_stored(ward: Ward, role: Role) -> None:
    report = ward.analysed
    session = ward.session(role)
    for dataset in report.objects:
        path = f"studies/{report.study_uid}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"
        answer = session.get(f"{ward.portal.origin}/dicomweb/{path}", headers={"Accept": "application/dicom"})
        assert answer.headers["content-type"] == "application/dicom"
        assert answer.content in stored()
        client = ward.client(role)
        for found in (
            client.retrieve_instance(report.study_uid, dataset.SeriesInstanceUID, dataset.SOPInstanceUID),
            *client.retrieve_series(report.study_uid, dataset.SeriesInstanceUID),
            *(
                each
                for each in client.retrieve_study(report.study_uid)
                if each.SOPInstanceUID == dataset.SOPInstanceUID
            ),
        ):
            assert found == dataset
    assert report.document.VerificationFlag == "VERIFIED"


def test_their_metadata_is_whole(ward: Ward) -> None:
    report = ward.analysed
    client = ward.client(Role.REFERRING_CLINICIAN)
    (told,) = client.retrieve_series_metadata(report.study_uid, report.document.SeriesInstanceUID)
    read = Dataset.from_json(told, lambda *_: b"")
    assert read.ContentSequence == report.document.ContentSequence
    assert read.VerifyingObserverSequence == report.document.VerifyingObserverSequence
    (told,) = client.retrieve_series_metadata(report.study_uid, report.regions.SeriesInstanceUID)
    read = Dataset.from_json(told, lambda *_: b"")
    for keyword in ("SegmentSequence", "PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"):
        assert read[keyword].value == report.regions[keyword].value
    assert read.ReferencedSeriesSequence[0].SeriesInstanceUID in ward.own_series(report)
    (pixels,) = client.retrieve_bulkdata(f"{ward.portal.origin}{told['7FE00010']['BulkDataURI']}")
    assert pixels == report.regions.PixelData


@pytest.mark.parametrize("role", [Role.RADIOLOGIST, Role.REFERRING_CLINICIAN])
def test_a_picture_of_a_region_is_one_and_a_report_has_none(ward: Ward, role: Role) -> None:
    document, regions = ward.analysed.objects
    for dataset, kinds in ((regions, ("rendered", "thumbnail", "frames/1/rendered")), (document, ())):
        root = f"/studies/{ward.analysed.study_uid}/series/{dataset.SeriesInstanceUID}"
        for kind in ("rendered", "thumbnail", "frames/1/rendered", "frames/1"):
            status, body = ward.asked(role, f"{root}/instances/{dataset.SOPInstanceUID}/{kind}")
            if kind in kinds:
                assert status == 200
                assert Image.open(io.BytesIO(body)).size == (regions.Columns, regions.Rows)
            elif dataset is document:
                assert 400 <= status < 500, kind
        assert ward.asked(role, f"{root}/thumbnail")[0] == 404  # no image of a patient
    status, body = ward.asked(role, f"/studies/{ward.analysed.study_uid}/thumbnail")
    assert status == 200
    assert Image.open(io.BytesIO(body)).size == (128, 128)


@pytest.mark.parametrize("role", [Role.TECHNOLOGIST, Role.STUDENT])
def test_who_may_not_read_reports_sees_none_in_lists_nor_by_uid(ward: Ward, role: Role) -> None:
    """After somebody who may: what was kept of the study for one reader is not for the next."""
    report = ward.analysed
    for allowed in (Role.RADIOLOGIST, Role.REFERRING_CLINICIAN):
        ward.client(allowed).retrieve_study_metadata(report.study_uid)
        ward.client(allowed).retrieve_study(report.study_uid)
    client = ward.client(role)
    assert set(series_of(client, report.study_uid)) == ward.allowed(role)
    names = {str(each.SOPInstanceUID) for each in report.objects}
    for told in (
        client.retrieve_study_metadata(report.study_uid),
        client.search_for_instances(report.study_uid),
    ):
        assert told
        assert not {each["00080018"]["Value"][0] for each in told} & names
        assert {each["0020000E"]["Value"][0] for each in told} == ward.allowed(role)
    assert not {str(each.SOPInstanceUID) for each in client.retrieve_study(report.study_uid)} & names
    refused(ward, role, report)


def refused(ward: Ward, role: Role, report: Report) -> None:
    """Nothing of the report can be had by its UIDs, and it cannot be told from one that is not there."""
    root = f"/studies/{report.study_uid}"
    for dataset in report.objects:
        series, sop = str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)
        for rest in REST:
            status, body = ward.asked(role, f"{root}/series/{series}{rest.format(sop=sop)}")
            other = ward.asked(role, f"{root}/series/2.25.1{rest.format(sop='2.25.2')}")
            assert (status, body) == (
                404,
                other[1].replace(b"2.25.2", sop.encode()).replace(b"2.25.1", series.encode()),
            )
        assert ward.asked(role, f"{root}/series/{series}/instances")[1] == b"[]"
        for query in (f"SOPInstanceUID={sop}", f"SeriesInstanceUID={series}"):
            assert ward.asked(role, f"{root}/instances?{query}") == (200, b"[]")


@pytest.mark.parametrize("role", WITHOUT_IMAGES)
def test_who_may_not_see_images_gets_nothing_at_all(ward: Ward, role: Role) -> None:
    root = f"/studies/{ward.analysed.study_uid}"
    for dataset in ward.analysed.objects:
        series = f"{root}/series/{dataset.SeriesInstanceUID}"
        for path in (f"{root}/series", f"{root}/metadata", *(series + rest for rest in REST)):
            status, body = ward.asked(role, path.format(sop=dataset.SOPInstanceUID))
            assert status in (403, 404), path
            assert b"0020000E" not in body


def test_a_student_has_the_report_of_a_case_once_it_was_handed_in(ward: Ward) -> None:
    report = ward.case
    client = ward.client(Role.STUDENT)
    ward.client(Role.RADIOLOGIST).retrieve_study_metadata(report.study_uid)
    assert report.study_uid not in {row["0020000D"]["Value"][0] for row in client.search_for_studies()}
    assert set(series_of(client, report.study_uid)) == ward.own_series(report)
    assert len(client.retrieve_study_metadata(report.study_uid)) == len(slices())
    refused(ward, Role.STUDENT, report)
    student = ward.session(Role.STUDENT)
    case = f"{ward.portal.origin}/api/teaching/collections/chest/cases/1"
    assert student.post(f"{case}/start").status_code == 200
    assert student.post(f"{case}/submit", json={"findings": []}).status_code == 200
    assert set(series_of(client, report.study_uid)) == ward.own_series(report) | report.series
    (found,) = client.retrieve_series(report.study_uid, report.document.SeriesInstanceUID)
    assert found == report.document


def test_a_look_at_a_report_is_written_down_as_one(ward: Ward) -> None:
    """Whoever may see no overlay is not said to have seen one."""
    report = ward.analysed
    ward.client(Role.REFERRING_CLINICIAN).retrieve_series(report.study_uid, report.document.SeriesInstanceUID)
    looks = {
        (event["action"], event.get("through"))
        for event in AuditTrail().of(f"study#{report.study_uid}")
        if event["actor"] == name_of(Role.REFERRING_CLINICIAN)
    }
    assert ("report.view", "dicomweb") in looks
    assert "overlay.view" not in {action for action, _ in looks}
