import hashlib
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from firstread.policy import Role
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.studies import StudyRepository
from firstread.result import Code, Finding, Measurement, ObjectKind, Recognised, ResultObject
from firstread.storage import Bucket, result_key
from tests.functional.portal.conftest import Clock, SignIn
from tests.functional.portal.morning import HOSTILE, heat_map
from tests.functional.portal.seeding import MODEL, RESULTS, STUDIES, Hospital

ORDER = [
    "high",
    "simulated",
    "ct",
    "hostile",
    "cine",
    "failed",
    "held",
    "analysing",
    "receiving",
    "unflagged",
]


def words(text: str) -> str:
    """Return a page's text as a reader sees it."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def row_of(page: str, uid: str) -> str:
    start = page.index(f'data-study="{uid}"')
    return words(page[page.rindex("<tr", 0, start) : page.index("</tr>", start)])


def test_worklist_sorts_and_hides_nothing(radiologist: TestClient, morning: dict[str, str]) -> None:
    page = radiologist.get("/").text
    shown = re.findall(r'<tr [^>]*data-study="([^"]+)"', page)
    assert shown == [morning[name] for name in ORDER]
    rows = radiologist.get("/api/worklist").json()["rows"]
    assert [row["study_uid"] for row in rows] == shown


@pytest.mark.parametrize("name", ["high", "hostile", "cine"])
def test_a_study_page_brings_what_the_api_says_to_the_viewer(
    radiologist: TestClient, morning: dict[str, str], name: str
) -> None:
    page = radiologist.get(f"/studies/{morning[name]}").text
    (entry,) = re.findall(r" data-entry='(.*?)' ", page)
    said = radiologist.get(f"/api/studies/{morning[name]}").json()
    assert json.loads(entry) == {"series": said["series"], "models": said["models"]}
    assert not set("<>&") & set(entry)


def test_worklist_says_what_is_known(radiologist: TestClient, morning: dict[str, str]) -> None:
    page = radiologist.get("/").text
    high = row_of(page, morning["high"])
    for part in ("High", "91 %", "13 min", "CR", "Chest", "Chest ap", "FR-07919-X", "AI done", "Waiting"):
        assert part in high
    assert "SIMULATED" in row_of(page, morning["simulated"])
    assert "SIMULATED" not in high
    assert "Not assessed" in row_of(page, morning["ct"])
    assert "No model applies" in row_of(page, morning["ct"])
    assert 'title="chest_xray_opacity@0.1.0: modality is CT"' in page
    assert "1 + 2 held" in row_of(page, morning["cine"])
    assert "AI failed" in row_of(page, morning["failed"])
    assert "Held" in row_of(page, morning["held"])
    assert "Not flagged" in row_of(page, morning["unflagged"])
    assert "does not mean normal" in words(page)
    assert "normal" not in " ".join(row_of(page, uid) for uid in morning.values()).lower()


def test_a_study_of_which_a_part_is_held_is_partly_assessed(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital
) -> None:
    from firstread.study import Risk

    hospital.change(morning["unflagged"], risk=Risk.UNKNOWN)
    assert "Partly assessed" in row_of(radiologist.get("/").text, morning["unflagged"])


def test_a_long_worklist_goes_on_by_links(radiologist: TestClient, morning: dict[str, str]) -> None:
    seen: list[str] = []
    path = "/?limit=3"
    while path:
        page = radiologist.get(path).text
        seen += re.findall(r'<tr [^>]*data-study="([^"]+)"', page)
        found = re.search(r'id="more" href="([^"]+)"', page)
        path = html.unescape(found[1]) if found else ""
    assert seen == [morning[name] for name in ORDER]
    assert "End of the list" in words(page) and "Back to the top" in words(page)
    answer = radiologist.get("/api/worklist?limit=3").json()
    assert answer["next"] and [row["study_uid"] for row in answer["rows"]] == seen[:3]
    assert not radiologist.get("/api/worklist").json()["next"]


def test_the_fingerprint_follows_what_is_shown_but_not_the_clock(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital, clock: Clock
) -> None:
    def prints() -> dict[str, str]:
        rows = radiologist.get("/api/worklist").json()["rows"]
        return {row["study_uid"]: row["fingerprint"] for row in rows}

    before = prints()
    clock.forward(minutes=5)
    assert prints() == before
    hospital.analysed(morning["analysing"], 0.66)
    after = prints()
    assert {uid for uid in after if after[uid] != before[uid]} == {morning["analysing"]}


def test_an_empty_worklist(radiologist: TestClient) -> None:
    assert "No studies" in words(radiologist.get("/").text)


def test_who_sees_no_findings_cannot_tell_them_from_the_order(
    sign_in: SignIn, morning: dict[str, str]
) -> None:
    client = sign_in(Role.TECHNOLOGIST)
    worklist = client.get("/api/worklist").json()
    waits = [row["waiting_since"] for row in worklist["rows"]]
    assert len(waits) == len(morning)
    assert waits == sorted(waits)
    for row in worklist["rows"]:
        assert (row["risk"], row["probability"], row["alert"]) == (None, None, None)
    for text in (client.get("/").text, client.get(f"/studies/{morning['high']}").text):
        assert "91 %" not in words(text).replace("\xa0", " ")
        assert "High" not in words(text)
        assert "Acknowledge" not in words(text)
        assert "Pulmonary" not in words(text)


def test_a_student_sees_simulated_studies_only(sign_in: SignIn, morning: dict[str, str]) -> None:
    client = sign_in(Role.STUDENT)
    rows = client.get("/api/worklist").json()["rows"]
    assert [row["study_uid"] for row in rows] == [morning["simulated"]]
    assert client.get(f"/studies/{morning['simulated']}").status_code == 200
    assert client.get(f"/studies/{morning['high']}").status_code == 404


def test_study_page_of_a_finding(radiologist: TestClient, morning: dict[str, str]) -> None:
    text = words(radiologist.get(f"/studies/{morning['high']}").text)
    for part in (
        "Research use only",
        "Pulmonary opacity",
        "128309002 · SCT · Opacity",
        "91 %",
        "Threshold 0.43 chosen on validation: sensitivity 94 %, specificity 87 %",
        "Chest X-ray opacity",
        MODEL,
        "4 years, female",
        "Alert: read this study first",
        "Acknowledge",
        "A study without a flag is not normal",
    ):
        assert part in text


def test_study_pages_of_what_was_not_analysed(radiologist: TestClient, morning: dict[str, str]) -> None:
    def page(name: str) -> str:
        return words(radiologist.get(f"/studies/{morning[name]}").text)

    assert "No model applies. No model looked at this study" in page("ct")
    assert "Modality is CT" in page("ct")
    assert "may contain burned in text" in page("held")
    assert "No image to show" in page("held")
    assert "may contain burned in text" in page("cine")
    assert "truncated" in page("cine")
    assert "The analysis failed: out of memory" in page("failed")
    assert "No result yet" in page("analysing")
    assert "not complete yet" in page("receiving")
    assert "SIMULATED" in page("simulated")


def test_late_images_are_not_part_of_the_findings(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital
) -> None:
    hospital.change(morning["high"], version_fingerprint="another")
    text = words(radiologist.get(f"/studies/{morning['high']}").text)
    assert "Images arrived after version 1 was complete" in text


def test_hostile_text_is_escaped(radiologist: TestClient, morning: dict[str, str]) -> None:
    for path in ("/", f"/studies/{morning['hostile']}"):
        page = radiologist.get(path).text
        assert "<script>alert" not in page
        assert "49" not in re.findall(r"&amp;\{\{7\*7\}\}|&amp;49", page)
        assert html.escape(HOSTILE, quote=False).split('"')[0] in page.replace("&#39;", "'")
    assert radiologist.get(f"/api/studies/{morning['hostile']}").json()["summary"]["description"] == HOSTILE


def test_pages_have_no_inline_code_and_no_other_site(
    radiologist: TestClient, morning: dict[str, str]
) -> None:
    for path in ("/", "/sign-in", *(f"/studies/{uid}" for uid in morning.values())):
        page = radiologist.get(path).text
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)\s*=", page), path
        assert not re.search(r"<script(?![^>]* src=)|<style", page), path
        assert not re.search(r'(src|href|action)="(?!/|#)', page), path


def test_acknowledging_twice_is_one_event(sign_in: SignIn, morning: dict[str, str], clock: Clock) -> None:
    uid = morning["high"]
    (alert,) = AlertRepository().of_study(uid)
    first, second = sign_in(Role.RADIOLOGIST), sign_in(Role.RESIDENT)
    answer = first.post(f"/alerts/{alert.alert_id}/acknowledge")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{uid}#alerts")
    clock.forward(minutes=1)
    for client in (first, second):
        assert client.post(f"/alerts/{alert.alert_id}/acknowledge").status_code == 303
    page = words(second.get(f"/studies/{uid}").text)
    assert "Alert acknowledged by radiologist on 2026-03-02 08:30:00 UTC" in page
    assert "Acknowledge " not in page
    events = AuditTrail().of(f"study#{uid}")
    done = [(event["action"], event["actor"]) for event in events]
    assert done == [("alert.acknowledge", "radiologist"), ("study.view", "resident")]
    told = sign_in(Role.AUDITOR).get(f"/api/studies/{uid}/audit").json()
    assert told[:-1] == events
    assert (told[-1]["action"], told[-1]["actor"]) == ("audit.view", "auditor")
    assert "Acknowledged" in row_of(first.get("/").text, uid)


def test_acknowledging_needs_a_post_from_here(radiologist: TestClient, morning: dict[str, str]) -> None:
    (alert,) = AlertRepository().of_study(morning["high"])
    path = f"/alerts/{alert.alert_id}/acknowledge"
    assert radiologist.get(path).status_code == 405
    assert radiologist.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert AuditTrail().of(f"study#{morning['high']}") == []


def test_some_roles_see_an_alert_and_cannot_acknowledge(sign_in: SignIn, morning: dict[str, str]) -> None:
    (alert,) = AlertRepository().of_study(morning["high"])
    client = sign_in(Role.DATA_STEWARD)
    page = words(client.get(f"/studies/{morning['high']}").text)
    assert "Alert: read this study first" in page
    assert "Acknowledge" not in page
    assert client.post(f"/alerts/{alert.alert_id}/acknowledge").status_code == 404
    assert {each["action"] for each in AuditTrail().of(f"study#{morning['high']}")} == {"study.view"}


def test_the_link_of_a_notice(anonymous: TestClient, sign_in: SignIn, morning: dict[str, str]) -> None:
    (alert,) = AlertRepository().of_study(morning["high"])
    link = f"/alerts/{alert.alert_id}"
    assert anonymous.get(link).headers["location"] == f"/sign-in?next=%2Falerts%2F{alert.alert_id}"
    client = sign_in(Role.RADIOLOGIST)
    assert client.get(link).headers["location"] == f"/studies/{morning['high']}#alerts"
    assert AuditTrail().of(f"study#{morning['high']}") == []
    assert sign_in(Role.TECHNOLOGIST).get(link).status_code == 404


def test_frames(radiologist: TestClient, morning: dict[str, str]) -> None:
    cine = f"/studies/{morning['cine']}/instances/{morning['cine']}.1.1/frames"
    first, last = radiologist.get(f"{cine}/1.png"), radiologist.get(f"{cine}/30.png")
    assert first.headers["content-type"] == "image/png"
    assert first.headers["cache-control"] == "no-store"
    assert first.content != last.content
    assert Image.open(io.BytesIO(last.content)).size == (320, 240)
    assert radiologist.get(f"{cine}/31.png").status_code == 404
    small = Image.open(io.BytesIO(radiologist.get(f"{cine}/1.png?side=64").content))
    assert small.size == (64, 48)


def test_window(radiologist: TestClient, morning: dict[str, str]) -> None:
    path = f"/studies/{morning['ct']}/instances/{morning['ct']}.1.1/frames/1.png"
    bone = np.asarray(Image.open(io.BytesIO(radiologist.get(f"{path}?c=480&w=2500").content)))
    brain = np.asarray(Image.open(io.BytesIO(radiologist.get(f"{path}?c=40&w=80").content)))
    assert (brain == 255).mean() > (bone == 255).mean()


def test_an_image_that_cannot_be_decoded(radiologist: TestClient, hospital: Hospital) -> None:
    from tests.functional.portal.morning import sample

    broken = sample("CT_small.dcm")
    broken.PixelData = broken.PixelData[:50]
    uid = hospital.study([broken], modality="CT")
    answer = radiologist.get(f"/studies/{uid}/instances/{uid}.1.1/frames/1.png")
    assert answer.status_code == 422
    assert answer.json()["detail"] == "not_decoded"


def test_an_object_that_is_gone(radiologist: TestClient, morning: dict[str, str]) -> None:
    import boto3

    s3 = boto3.client("s3")
    uid = morning["ct"]
    for each in s3.list_objects_v2(Bucket=STUDIES, Prefix=f"studies/{uid}/")["Contents"]:
        s3.delete_object(Bucket=STUDIES, Key=each["Key"])
    assert radiologist.get(f"/studies/{uid}/instances/{uid}.1.1/frames/1.png").status_code == 404


def test_overlay(radiologist: TestClient, sign_in: SignIn, morning: dict[str, str]) -> None:
    study = radiologist.get(f"/api/studies/{morning['high']}").json()
    (finding,) = study["models"][0]["findings"]
    answer = radiologist.get(finding["overlay_url"])
    assert answer.content == heat_map(391, 368)
    assert answer.headers["content-type"] == "image/png"
    assert sign_in(Role.TECHNOLOGIST).get(finding["overlay_url"]).status_code == 404


def test_an_overlay_that_no_current_result_names_is_not_served(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital
) -> None:
    stray = heat_map(8, 8)
    key = result_key(morning["high"], hashlib.sha256(stray).hexdigest(), "png")
    Bucket(RESULTS).put(key, stray, "image/png")
    name = key.rsplit("/", 1)[-1]
    assert radiologist.get(f"/studies/{morning['high']}/overlays/{name}").status_code == 404
    old = radiologist.get(f"/api/studies/{morning['high']}").json()["models"][0]["findings"][0]["overlay_url"]
    hospital.change(morning["high"], version=2)
    assert radiologist.get(old).status_code == 404


def test_unreachable_records_are_said(radiologist: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    def fail(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://secret.internal")

    monkeypatch.setattr(StudyRepository, "waiting", fail)
    for path in ("/", "/api/worklist"):
        answer = radiologist.get(path)
        assert answer.status_code == 503
        assert "secret.internal" not in answer.text


def test_nothing_of_the_samples_identifies_somebody(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital
) -> None:
    from tests.functional.portal.morning import sample

    planted = sample("CT_small.dcm")
    planted.PatientName, planted.PatientID, planted.AccessionNumber = "Plant^Ed", "MRN4711", "ACC0815"
    original = str(planted.StudyInstanceUID)
    uid = hospital.study([planted], modality="CT")
    everything = radiologist.get("/").text + radiologist.get("/api/worklist").text
    for each in (*morning.values(), uid):
        everything += radiologist.get(f"/studies/{each}").text + radiologist.get(f"/api/studies/{each}").text
    for secret in ("Plant", "MRN4711", "ACC0815", original):
        assert secret not in everything


VOLUME = Finding(
    label="Hippocampus, head",
    code=Code(value="72251007", scheme="SCT", meaning="Head of hippocampus"),
    sop_uid="2.25.1",
    measurements=(
        Measurement(
            name=Code(value="118565006", scheme="SCT", meaning="Volume"),
            value=1623.4,
            unit=Code(value="mm3", scheme="UCUM", meaning="cubic millimeter"),
        ),
    ),
)


def written(body: bytes, kind: ObjectKind, content_type: str, study_uid: str) -> ResultObject:
    sha256 = hashlib.sha256(body).hexdigest()
    key = result_key(study_uid, sha256, "html")
    Bucket(RESULTS).put(key, body, content_type)
    return ResultObject(kind=kind, key=key, content_type=content_type, size=len(body), sha256=sha256)


def test_what_was_measured_and_the_files_of_a_result_are_there_to_be_saved(
    radiologist: TestClient, sign_in: SignIn, morning: dict[str, str], hospital: Hospital
) -> None:
    uid = morning["high"]
    report = written(b"<p>report</p>", ObjectKind.HTML_REPORT, "text/html", uid)
    picture = written(b"png", ObjectKind.THUMBNAIL, "image/png", uid)
    hospital.result(
        uid, findings=(VOLUME,), model="hippocampus@0.1.0", objects=(report, picture), remarks=("one_remark",)
    )
    page = words(radiologist.get(f"/studies/{uid}").text)
    assert "Measured" in page and "1623 mm3 Volume" in page and "One remark" in page
    url = f"/studies/{uid}/objects/{report.sha256}"
    answer = radiologist.get(url)
    assert answer.content == b"<p>report</p>"
    assert answer.headers["content-disposition"] == 'attachment; filename="html_report.html"'
    assert radiologist.get(f"/studies/{uid}/objects/{picture.sha256}").status_code == 404
    assert radiologist.get(f"/studies/{uid}/objects/{'0' * 64}").status_code == 404
    assert sign_in(Role.TECHNOLOGIST).get(url).status_code == 404


def test_a_model_in_shadow_is_shown_to_nobody(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital
) -> None:
    uid = morning["high"]
    report = written(b"<p>secret</p>", ObjectKind.HTML_REPORT, "text/html", uid)
    before = radiologist.get(f"/api/studies/{uid}").json()["models"]
    hospital.result(uid, findings=(VOLUME,), model="tried@0.1.0", objects=(report,), beside=True, shadow=True)
    assert radiologist.get(f"/api/studies/{uid}").json()["models"] == before
    assert "tried" not in radiologist.get(f"/studies/{uid}").text
    assert radiologist.get(f"/studies/{uid}/objects/{report.sha256}").status_code == 404


def test_an_aid_says_what_the_pixels_look_like(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital
) -> None:
    uid = morning["high"]
    kinds = tuple(
        Recognised(series_uid=f"2.25.{number}", label=label, probability=0.9)
        for number, label in enumerate(("hand X-ray", "", ""))
    )
    hospital.result(
        uid, model="kind@0.1.0", beside=True, recognised=kinds, remarks=("the header says body part CHEST",)
    )
    page = words(radiologist.get(f"/studies/{uid}").text)
    assert "The pixels look like: hand X-ray, unknown." in page
    assert "The header says body part CHEST" in page
