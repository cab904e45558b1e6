"""Reading a study through the API: who holds it, drafts, hand-in, signing, addenda, and two at once."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
import pytest
from fastapi import FastAPI
from pydicom import dcmread
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from firstread.policy import Role
from firstread.records.audit import AuditTrail, digest_of
from firstread.records.reviews import ReviewRepository
from firstread.records.studies import SIGNED, StudyRepository
from firstread.study import AnalysisStatus, ReviewStatus, Risk
from portal.app import create_app
from portal.logic.review.overlay import OverlayPolicy
from tests.functional.portal.conftest import Clock, SignIn, browser
from tests.functional.portal.reading import consistent, finding, radiograph, tracking
from tests.functional.portal.seeding import MODEL, RESULTS, Hospital, open_session, settings, uid

MASS = {"value": "4147007", "scheme": "SCT"}
SQUARE = [{"x": x, "y": y} for x, y in ((1.0, 1.0), (5.0, 1.0), (5.0, 5.0), (1.0, 5.0))]
HOLE = [{"x": x, "y": y} for x, y in ((2.0, 2.0), (4.0, 2.0), (4.0, 4.0), (2.0, 4.0))]
OWN = "2.25.4711"
Json = dict[str, Any]


class Reader:
    """Somebody at the study of this test."""

    def __init__(self, client: TestClient, study_uid: str) -> None:
        self.client = client
        self.study_uid = study_uid

    def path(self, rest: str) -> str:
        return f"/api/studies/{self.study_uid}/{rest}"

    def look(self) -> Json:
        answer = self.client.get(self.path("review"))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def save(self, status: int = 200, **values: object) -> Json:
        body = {"version": 1, "findings": [], "impression": ""} | self.draft() | values
        answer = self.client.put(self.path("review"), json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def draft(self) -> Json:
        draft = self.look()["draft"]
        return {"number": draft["number"], "revision": draft["revision"]} if draft else {}

    def post(self, rest: str, status: int = 200, **values: object) -> Json:
        answer = self.client.post(self.path(rest), json=values)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def act(self, rest: str, status: int = 200, **values: object) -> Json:
        return self.post(f"review/{rest}", status, **({**self.draft(), **values}))


@pytest.fixture
def study(hospital: Hospital) -> str:
    """A radiograph with one flagged finding, one that was not flagged, and nothing else."""
    images = consistent(radiograph(), 1)
    study_uid = hospital.study(images)
    first = f"{study_uid}.1.1"
    found = (finding(1, first), finding(2, first, 0.1, label="Other"))
    hospital.result(study_uid, findings=found, engine="onnx")
    hospital.change(study_uid, status=AnalysisStatus.ANALYSED, risk=Risk.HIGH, models=(MODEL,))
    return study_uid


@pytest.fixture
def ann(study: str, sign_in: SignIn) -> Reader:
    return Reader(sign_in(Role.RADIOLOGIST), study)


@pytest.fixture
def rae(study: str, sign_in: SignIn) -> Reader:
    """A resident."""
    return Reader(sign_in(Role.RESIDENT), study)


@pytest.fixture
def bob(study: str, app: FastAPI) -> Reader:
    """Another radiologist."""
    client = browser(app)
    client.cookies.set(*open_session(app, Role.RADIOLOGIST, user="bob"))
    return Reader(client, study)


@pytest.fixture
def app(hospital: Hospital, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest) -> FastAPI:
    assert hospital.moment == clock()
    made = settings(tmp_path)
    policy = OverlayPolicy(getattr(request, "param", "hidden"))
    return create_app(made.model_copy(update={"overlay_policy": policy}), clock)


def accepted(number: int = 1, **values: object) -> Json:
    return {"finding_id": tracking(number), "verdict": "accepted"} | values


def missed(**values: object) -> Json:
    return {"finding_id": OWN, "verdict": "missed", "code": MASS} | values


def region(study_uid: str, image: int = 1, **values: object) -> Json:
    series = f"{study_uid}.1"
    return {"series_uid": series, "sop_uid": f"{series}.{image}", "outline": SQUARE, "holes": [HOLE]} | values


def read(reader: Reader, report: Json, index: int = 0) -> Dataset:
    """Return an object of a report, as it is downloaded."""
    return dcmread(io.BytesIO(reader.client.get(report["objects"][index]["url"]).content))


def trail(study_uid: str) -> list[dict[str, Any]]:
    """Return the audit trail of a study, whose chain holds."""
    found = AuditTrail().of(f"study#{study_uid}")
    previous = "0" * 64
    for number, body in enumerate(found, start=1):
        assert (body["number"], body["previous"]) == (number, previous)
        previous = digest_of(f"study#{study_uid}", number, previous, body)
    return found


def actions(study_uid: str) -> list[str]:
    return [each["action"] for each in trail(study_uid)]


def kept_objects() -> list[str]:
    listed = boto3.client("s3", region_name="us-east-1").list_objects_v2(Bucket=RESULTS, Prefix="reviews/")
    return [each["Key"] for each in listed.get("Contents", [])]


def test_what_there_is_to_read(ann: Reader) -> None:
    seen = ann.look()
    assert (seen["status"], seen["version"], seen["draft"], seen["kept_back"]) == ("unread", 1, None, False)
    flagged, other = seen["findings"]
    assert flagged["band"] == "at or above 0.43"
    assert flagged["operating_point"]["threshold"] == 0.43
    assert (flagged["model_id"], flagged["model_version"]) == (MODEL, "0.1.0")
    assert flagged["local"] == {"n": 0, "ppv": None}
    assert flagged["place"]["series_uid"] == f"{ann.study_uid}.1"
    assert (flagged["needs_verdict"], other["needs_verdict"]) == (True, False)
    assert other["band"] == "below 0.43"
    assert seen["undecided"] == [tracking(1)]
    assert seen["may"]["claim"] and seen["may"]["write"] and not seen["may"]["sign"]
    words = ann.client.get("/api/vocabulary").json()
    assert MASS["value"] in {each["value"] for each in words["findings"]}
    assert len(words["rejections"]) == 7


def test_one_holds_the_study_and_another_is_told(ann: Reader, bob: Reader, clock: Clock) -> None:
    held = ann.post("claim")["claim"]
    assert (held["reader"], held["mine"]) == ("radiologist", True)
    refused = bob.post("claim", 409)
    assert (refused["reason"], refused["holder"], refused["since"]) == ("held", "radiologist", held["since"])
    assert refused["current"]["may"]["take_over"]
    assert bob.save(409, impression="mine")["reason"] == "held"
    clock.forward(minutes=10)
    assert bob.look()["claim"]["reader"] == "radiologist"
    assert ann.post("claim")["claim"]["since"] == held["since"]  # longer, and no event
    clock.forward(minutes=10)
    assert bob.post("claim", 409)["reason"] == "held"
    assert bob.post("claim", take_over=True)["claim"]["mine"]
    assert ann.save(409, impression="late")["holder"] == "bob"
    bob.client.delete(bob.path("claim"))
    assert ann.look()["claim"]["reader"] == ""
    found = trail(ann.study_uid)
    assert [each["action"] for each in found] == ["study.claim", "study.take_over", "study.release"]
    assert (found[1]["before"], found[1]["actor"]) == ("radiologist", "bob")


def test_a_claim_ends_by_itself(ann: Reader, bob: Reader, clock: Clock) -> None:
    ann.save(impression="a")
    clock.forward(minutes=14)
    assert bob.save(409, impression="b", number=0, revision=0)["reason"] == "held"
    ann.save(impression="a")  # nothing new, but it holds the study for longer
    clock.forward(minutes=14)
    assert bob.save(409, impression="b", number=0, revision=0)["reason"] == "held"
    assert ann.look()["claim"]["mine"]
    clock.forward(minutes=2)
    theirs = bob.save(impression="b", number=0, revision=0)
    assert theirs["draft"]["author"] == "bob"
    # The draft of the first one is still theirs.
    assert [(each["author"], each["status"]) for each in theirs["others"]] == [("radiologist", "in progress")]
    assert ann.look()["draft"]["impression"] == "a"


def test_a_stale_draft_is_refused_with_what_there_is(ann: Reader) -> None:
    ann.save(impression="one")
    old = ann.draft()
    ann.save(impression="two")
    refused = ann.save(409, **old, impression="three")
    assert (refused["reason"], refused["current"]["draft"]["impression"]) == ("stale", "two")
    assert refused["title"] == "Somebody was faster"
    # The same once more: the answer was lost, nothing is.
    assert ann.save(**old, impression="two")["draft"]["revision"] == 2


def test_the_trail_tells_verdicts_and_no_word(ann: Reader) -> None:
    ann.save(findings=[accepted()], impression="Quimby has an opacity")
    other = {"finding_id": tracking(1), "verdict": "rejected", "rejection": "artefact", "note": "of Quimby"}
    ann.save(findings=[other], impression="Theodora has none")
    first, second = trail(ann.study_uid)
    name = tracking(1)
    assert json.loads(first["after"]) == {name: "accepted, SCT 128309002, at SCT 39607008"}
    assert json.loads(second["before"]) == json.loads(first["after"])
    assert json.loads(second["after"]) == {name: "rejected, SCT 128309002, at SCT 39607008, artefact"}
    assert second["impression_changed"] and second["notes_changed"]
    assert "uimby" not in repr(trail(ann.study_uid)) and "Theodora" not in repr(trail(ann.study_uid))


@pytest.mark.parametrize(
    "entry",
    [
        {"finding_id": tracking(1), "verdict": "rejected"},
        {"finding_id": tracking(1), "verdict": "accepted", "rejection": "artefact"},
        {"finding_id": tracking(1), "verdict": "accepted", "code": MASS},
        {"finding_id": tracking(1), "verdict": "modified"},
        {"finding_id": tracking(1), "verdict": "missed", "code": MASS},
        {"finding_id": tracking(1), "verdict": "modified", "code": {"value": "1", "scheme": "SCT"}},
        {"finding_id": "2.25.5", "verdict": "accepted"},
        {"finding_id": "1.2.3", "verdict": "missed", "code": MASS},
        {"finding_id": "2.25.5", "verdict": "missed"},
        missed(site={"value": "1", "scheme": "SCT"}),
        missed(regions=[region(uid(1), outline=[{"x": 9.0, "y": 1.0}, *SQUARE[1:]])]),
        missed(regions=[region(uid(1), frame=2)]),
        missed(regions=[region(uid(1), image=2)]),
        missed(regions=[region(uid(1), series_uid="1.2.3")]),
    ],
)
def test_what_does_not_hold_together_is_refused(ann: Reader, entry: Json) -> None:
    answer = ann.save(422, findings=[entry])
    assert answer["detail"].startswith("finding 1: ")
    assert not trail(ann.study_uid)


def test_a_finding_twice_and_too_many_points(ann: Reader) -> None:
    assert ann.save(422, findings=[accepted(), accepted()])["detail"] == "a finding is there twice"
    assert ann.save(422, version=True)["detail"] == "body.version"  # true is not version 1
    assert ann.post("review/sign", 422, number=True, revision=True)["status"] == 422
    many = [{"x": 1.0 + n / 4096, "y": 1.0} for n in range(4096)]
    counts = (4096, 4096, 4096, 1800)
    drawn = [region(uid(1), outline=many[:count], holes=[]) for count in counts]
    assert ann.save(413, findings=[missed(regions=drawn)])["detail"] == "a review with fewer points, please"


def test_signing(ann: Reader, clock: Clock) -> None:
    clock.forward(minutes=1)
    ann.save(findings=[], impression="An opacity")
    assert ann.act("sign", 409)["undecided"] == [tracking(1)]
    ann.save(findings=[accepted()], impression="An opacity")
    signed = ann.act("sign")
    assert (signed["number"], signed["signed_by"], signed["current"]) == (1, "radiologist", True)
    assert signed["text"][1:] == ["Opacity, Lung: confirmed", "Impression: An opacity"]
    head = StudyRepository().get(ann.study_uid)
    assert head is not None
    assert (head.review, head.signed_version, head.is_signed) == (ReviewStatus.SIGNED, 1, True)
    assert [each.study_uid for each in StudyRepository().worklist(which=SIGNED)] == [ann.study_uid]
    assert StudyRepository().worklist() == []
    (label,) = ReviewRepository().labels(ann.study_uid)
    assert (label.model_id, label.flagged, label.is_confirmed) == (MODEL, True, True)
    last = trail(ann.study_uid)[-1]
    assert (last["action"], last["accepted"], last["rejected"]) == ("review.sign", 1, 0)
    # Once more is the same.
    again = ann.post("review/sign", number=1, revision=2)
    assert again == signed
    assert actions(ann.study_uid).count("review.sign") == 1
    (file,) = signed["objects"]
    assert kept_objects() == [f"reviews/{ann.study_uid}/{file['url'].rpartition('/')[2]}.dcm"]
    answer = ann.client.get(file["url"])
    assert answer.headers["content-disposition"] == 'attachment; filename="structured_report-1.dcm"'
    report = dcmread(io.BytesIO(answer.content))
    assert (report.VerificationFlag, report.CompletionFlag) == ("VERIFIED", "COMPLETE")
    assert ann.save(409, number=1, revision=3, findings=[accepted()])["reason"] == "signed"
    assert ann.client.delete(ann.path("review?number=1&revision=3")).status_code == 409


def test_how_often_readers_agree(hospital: Hospital, sign_in: SignIn) -> None:
    client = sign_in(Role.RADIOLOGIST)
    readers = []
    for count in range(1, 13):
        study_uid = hospital.study(consistent(radiograph(), count))
        hospital.result(study_uid, findings=(finding(count, f"{study_uid}.1.1"),))
        hospital.change(study_uid, models=(MODEL,))
        readers.append(Reader(client, study_uid))
    for count, reader in enumerate(readers[:11], start=1):
        expected = {"n": count - 1, "ppv": None if count < 11 else 0.4}
        assert reader.look()["findings"][0]["local"] == expected
        rejected = {"verdict": "rejected", "rejection": "artefact"} if count > 4 else {}
        reader.save(findings=[accepted(count) | rejected])
        reader.act("sign")
    assert readers[11].look()["findings"][0]["local"] == {"n": 11, "ppv": pytest.approx(4 / 11)}
    # An addendum changes its mind, and counts no finding twice.
    readers[0].save(
        amends=1,
        number=0,
        revision=0,
        findings=[accepted(1, verdict="rejected", rejection="known and unchanged")],
    )
    readers[0].act("sign")
    assert readers[11].look()["findings"][0]["local"] == {"n": 11, "ppv": pytest.approx(3 / 11)}


def test_a_resident_hands_in_and_an_attending_signs(ann: Reader, rae: Reader) -> None:
    rae.save(findings=[accepted()], impression="An opacity")
    assert rae.client.post(rae.path("review/sign"), json=rae.draft()).status_code == 404
    assert ann.post("review/sign", 409, **rae.draft())["reason"] == "held"
    rae.act("submit")
    assert ann.look()["status"] == "preliminary"
    assert rae.save(409, findings=[])["reason"] == "handed in"
    # The attending hands it back, it comes again, the attending corrects it and signs.
    ann.act("recall")
    assert ann.look()["status"] == "in progress"
    rae.act("submit")
    modified = accepted(1, verdict="modified", code=MASS)
    seen = ann.save(findings=[modified], impression="A mass")
    assert (seen["draft"]["author"], seen["draft"]["status"]) == ("resident", "preliminary")
    signed = ann.act("sign")
    assert (signed["author"], signed["signed_by"]) == ("resident", "radiologist")
    report = read(ann, signed)
    assert report.VerifyingObserverSequence[0].VerifyingObserverName == "radiologist^"
    observers = [each for each in report.ContentSequence if each.get("PersonName")]
    assert [str(each.PersonName) for each in observers] == ["resident^"]
    assert actions(ann.study_uid) == [
        "review.save",
        "review.submit",
        "review.recall",
        "review.submit",
        "review.save",
        "review.sign",
    ]


def test_images_that_come_change_what_can_be_signed(ann: Reader, hospital: Hospital) -> None:
    ann.save(findings=[accepted()], impression="An opacity")
    hospital.change(ann.study_uid, version=2)
    refused = ann.act("sign", 409)
    assert (refused["reason"], refused["current"]["draft"]["stale"]) == ("changed", "changed")
    assert ann.save(409, findings=[accepted()], impression="An opacity")["reason"] == "changed"
    moved = ann.save(version=2, impression="An opacity, as before")
    assert (moved["draft"]["version"], moved["draft"]["stale"]) == (2, "")
    ann.act("sign")
    assert ann.look()["status"] == "signed"


def test_after_signing_there_are_addenda(ann: Reader, bob: Reader, rae: Reader, hospital: Hospital) -> None:
    ann.save(findings=[accepted()])
    first = ann.act("sign")
    assert bob.save(409, impression="late", number=0, revision=0)["reason"] == "signed"
    hospital.change(ann.study_uid, version=2, review=ReviewStatus.UNREAD)
    assert bob.look()["reopened"]
    rae.save(number=0, revision=0, version=2, amends=1, impression="A mass", findings=[missed()])
    rae.act("submit")
    second = ann.act("sign")
    assert (second["number"], second["amends"], second["version"], second["current"]) == (2, 1, 2, True)
    assert second["text"][0].startswith("Addendum 2 to report 1, written by resident, signed by radiologist")
    reports = ann.client.get(ann.path("reports")).json()
    assert [(each["number"], each["current"]) for each in reports] == [(2, True), (1, False)]
    assert reports[1] | {"current": True} == first
    report = read(ann, second)
    before = read(ann, first)
    (study,) = report.PredecessorDocumentsSequence
    (instance,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert instance.ReferencedSOPInstanceUID == before.SOPInstanceUID


def test_a_draft_is_given_up(ann: Reader, bob: Reader) -> None:
    ann.save(findings=[accepted()], impression="An opacity")
    mine = ann.draft()
    path = bob.path(f"review?number={mine['number']}&revision={mine['revision']}")
    assert bob.client.delete(path).status_code == 409
    assert ann.client.delete(path).json()["draft"] is None
    (kept,) = ReviewRepository().of_study(ann.study_uid)
    assert (kept.findings, kept.impression, bool(kept.discarded_at)) == ((), "", True)
    assert ann.save(impression="again")["draft"]["number"] == 2


@pytest.mark.parametrize("app", ["after_first_read"], indirect=True)
def test_what_models_say_is_kept_back_until_the_first_read(ann: Reader) -> None:
    seen = ann.look()
    assert seen["kept_back"] and seen["findings"] == [] and not seen["may"]["sign"]
    assert ann.client.get(f"/api/studies/{ann.study_uid}").json()["models"] == []
    assert ann.post("overlay", 409, shown=True)["reason"] == "kept back"
    ann.save(findings=[missed(note="left")], impression="A mass")
    seen = ann.act("first-read")
    assert not seen["kept_back"] and len(seen["findings"]) == 2
    assert ann.client.get(f"/api/studies/{ann.study_uid}").json()["models"]
    ann.save(findings=[accepted()], impression="No mass, an opacity")
    (kept,) = ReviewRepository().of_study(ann.study_uid)
    assert kept.first_read is not None
    assert (kept.first_read.impression, kept.first_read.findings[0].finding_id) == ("A mass", OWN)
    assert ann.act("first-read", 409)["reason"] == "shown"


def test_overlays_that_are_switched_are_written_down(ann: Reader) -> None:
    for shown in (True, False):
        answer = ann.client.post(ann.path("overlay"), json={"shown": shown, "model_id": MODEL})
        assert answer.status_code == 204
    found = trail(ann.study_uid)
    assert [(each["action"], each["model"]) for each in found] == [
        ("overlay.show", MODEL),
        ("overlay.hide", MODEL),
    ]


def at_once(*acts: Callable[[], int]) -> list[int]:
    """Do things at the same time, and return their statuses in order."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], int]) -> int:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))


@pytest.mark.usefixtures("one_call_at_a_time")
def test_two_claim_at_once(ann: Reader, bob: Reader) -> None:
    claims = [lambda r=r: r.client.post(r.path("claim"), json={}).status_code for r in (ann, bob)]
    assert at_once(*claims) == [200, 409]
    assert actions(ann.study_uid) == ["study.claim"]


@pytest.mark.usefixtures("one_call_at_a_time")
def test_two_sign_at_once(ann: Reader, bob: Reader, rae: Reader) -> None:
    rae.save(findings=[accepted()], impression="An opacity")
    rae.act("submit")
    which = ann.draft()
    signs = [lambda r=r: r.client.post(r.path("review/sign"), json=which).status_code for r in (ann, bob)]
    assert at_once(*signs) == [200, 200]
    assert actions(ann.study_uid).count("review.sign") == 1
    (kept,) = ReviewRepository().of_study(ann.study_uid)
    signer = kept.signed_by
    report = dcmread(
        io.BytesIO(ann.client.get(ann.client.get(ann.path("reports")).json()[0]["objects"][0]["url"]).content)
    )
    assert report.VerifyingObserverSequence[0].VerifyingObserverName == f"{signer}^"
    assert ReviewRepository().counts(MODEL).labels["Pulmonary opacity"].flagged == 1
