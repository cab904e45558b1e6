"""Nothing that names a patient leaves the incoming bucket: not in objects, keys, records, messages, alerts or logs."""

import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from firstread import handling
from firstread.demo.samples import SAMPLES
from firstread.demo.simulate import write_radiograph
from firstread.dicom.silence import quiet
from firstread.policy import MACHINES, Actor, Role, can
from firstread.policy import Action as PolicyAction
from firstread.records.studies import CLOSED, OPEN
from functions.apply_feed import handler as apply_feed
from functions.clean_pixels import handler as clean_pixels
from functions.deidentify import handler as deidentify
from model_service.log import logger
from portal.app import create_app
from portal.settings import PortalSettings
from tests.functional.portal.conftest import browser
from tests.functional.portal.seeding import URL, open_session
from tests.support import events
from tests.support.cloud import BUCKETS, Cloud
from tests.support.dicoms import encode, header
from tests.support.emf import lines
from tests.support.hl7 import merge, message, order, patient, report
from tests.support.hospital import Hospital

NUMBERS = (
    "AccessionNumber",
    "PatientID",
    "OtherPatientIDs",
    "StudyID",
    "AdmissionID",
    "PatientTelephoneNumbers",
)
ORDINARY = {"chest", "phantom", "simulated", "test", "unknown", "anonymous", "anonymized"}
"""Words of names that are words of descriptions as well."""
LONG = 6
MRN = "MRN-9988776655"
"""Numbers here have ten digits: digests, UIDs and microseconds spell six of them by chance."""


def planted(**values: object) -> Dataset:
    """Return a header with identifiers wherever somebody might put them."""
    inner = Dataset()
    with quiet():
        inner.PatientID = "ALT-3133742421"
        inner.RequestedProcedureDescription = "for Theodora Quimby, born 3 May 1962, call +49 30 9018204455"
        inner.ScheduledProcedureStepID = "SPS88123"
        inner.PlacerOrderNumberImagingServiceRequest = "ORD-7744112211"
        found = header(
            PatientName="Quimby^Theodora^Maximiliane",
            OtherPatientIDs=["OTHER-5511", "OTHER-5512"],
            OtherPatientIDsSequence=[inner],
            RequestAttributesSequence=[inner],
            ReferringPhysicianName="Ferencz^Attila",
            OperatorsName="Wojciechowska^Ida",
            InstitutionName="Saint Nowhere Hospital",
            StudyID="STUDY-4242",
            PatientID=MRN,
            StudyDescription=f"Chest of QUIMBY, {MRN}, seen 26.08.2004, 6 mm nodule",
            SeriesDescription="theodora_quimby 20040826",
            ImageComments="Mail t.quimby@example.org; prior 1.2.826.0.1.3680043.8.498.77",
            ProtocolName="ACC4711",
            BodyPartExamined="CHEST",
            PatientTelephoneNumbers="+49 30 9018204455",
            PerformedStationName="QUIMBY",
            SoftwareVersions="OTHER-5511",
            **values,
        )
        found.private_block(0x0029, "Quimby Systems", create=True).add_new(1, "LO", "Theodora")
    return found


def strings(value: object) -> Iterator[str]:
    if value is None:
        return
    parts = value if isinstance(value, MultiValue | list) else [value]
    yield from (str(part).strip() for part in parts if str(part).strip())


def identifiers(data: bytes) -> set[str]:
    """Return what identifies the patient, the order or the objects of one file."""
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        found: set[str] = set()
        for element in dataset.iterall():
            if element.VR == "PN":
                parts = (part for name in strings(element.value) for part in re.split(r"[\^=\s,]+", name))
                found |= {part for part in parts if len(part) >= 3}
            elif element.VR == "UI":
                found |= {uid for uid in strings(element.value) if not UID(uid).type}
            elif element.keyword in NUMBERS:
                found |= {number for number in strings(element.value) if len(number) >= 4}
        found |= {birth for birth in strings(dataset.get("PatientBirthDate")) if len(birth) == 8}
    return {each for each in found if each.lower() not in ORDINARY}


class Everything:
    """All that exists outside the incoming bucket, as lower-case bytes by place."""

    def __init__(self, cloud: Cloud, logs: str) -> None:
        self.places: dict[str, bytes] = {"log": logs.encode().lower()}
        for bucket in BUCKETS:
            objects = cloud.objects(bucket)
            self.places[f"keys of {bucket}"] = "\n".join(objects).encode().lower()
            if bucket != "incoming":
                self.places |= {f"{bucket}/{key}": body.lower() for key, body in objects.items()}
        for table in cloud.dynamodb.list_tables()["TableNames"]:
            self.places[f"table {table}"] = repr(cloud.rows(table)).encode().lower()
        for operation in (
            "SendMessage",
            "PutEvents",
            "Publish",
            "PutItem",
            "UpdateItem",
            "TransactWriteItems",
        ):
            self.places[f"calls of {operation}"] = repr(cloud.wire.sent(operation)).encode().lower()
        self.places["subscriber"] = "\n".join(cloud.waiting("alert-subscriber")).encode().lower()

    def holding(self, wanted: Iterable[str]) -> dict[str, list[str]]:
        """Return the places that hold one of the strings."""
        secrets = {each: _expression(each) for each in wanted}
        found = {
            place: sorted(name for name, secret in secrets.items() if _search(secret, name, content))
            for place, content in self.places.items()
        }
        return {place: names for place, names in found.items() if names}


_HEX = re.compile(rb"[0-9a-f]+")


def _expression(secret: str) -> re.Pattern[bytes]:
    body = re.escape(secret.lower().encode())
    if len(secret) < LONG:  # "Sim" is a name, and no part of "simulated"
        return re.compile(rb"(?<![a-z0-9])" + body + rb"(?![a-z0-9])")
    # What is longer is looked for inside of words as well; not inside of what may be a digest that spells it.
    return re.compile(rb"(?<![0-9a-f])" + body + rb"(?![0-9a-f])" if _HEX.fullmatch(body) else body)


def _search(expression: re.Pattern[bytes], secret: str, content: bytes) -> bool:
    """Search a place; compressed bytes hold every short string by chance, so those are sought before pixels."""
    if len(secret) < LONG:
        content = content.partition(b"\xe0\x7f\x10\x00")[0].partition(b"idat")[0]
    return bool(expression.search(content))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that any logger of the process writes, at every level."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    loggers = [
        logging.getLogger(),
        logging.getLogger("pydicom"),
        handling.logger._logger,
        logger._logger,
    ]
    for each in loggers:
        each.addHandler(handler)
        monkeypatch.setattr(each, "level", logging.INFO)
    yield target
    for each in loggers:
        each.removeHandler(handler)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def inputs(folder: Path, hospital: Hospital) -> dict[Path, set[str]]:
    """Return what is pushed, each with what must not be found of it."""
    found = {sample.path(): identifiers(sample.path().read_bytes()) for sample in SAMPLES}
    simulated = write_radiograph(folder / "simulated.dcm", seed=1, when=hospital.clock())
    found[simulated] = identifiers(simulated.read_bytes())
    data = encode(planted())
    named = folder / "Quimby_Theodora_19620503.dcm"
    named.write_bytes(data)
    extra = {
        "Quimby",
        "Theodora",
        "19620503",
        "1962-05-03",
        "3 May 1962",
        "26.08.2004",
        "20040826",
        "9018204455",
    }
    extra |= {"t.quimby", "example.org", "Saint Nowhere", "3133742421", "7744112211", "SPS88123", MRN[4:]}
    found[named] = identifiers(data) | extra
    screen = folder / "Quimby_screen.dcm"
    screen.write_bytes(encode(planted(SOPInstanceUID="1.2.3.4.5.79", BurnedInAnnotation="YES")))
    found[screen] = identifiers(screen.read_bytes()) | extra
    archive = folder / "Grandville^Peregrine.zip"
    scan = encode(header(SOPInstanceUID="1.2.3.4.5.77", PatientID=MRN, PatientName="Grandville^Peregrine"))
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr(
            "Grandville_Peregrine/scan.dcm",
            scan,
        )
        target.writestr("Peregrine.txt", b"Grandville Peregrine is no DICOM file")
    found[archive] = {"Grandville", "Peregrine"}
    broken = folder / "Hollingsworth.dcm"
    broken.write_bytes(
        encode(header(PatientName="Hollingsworth^Zebedee", PatientID=MRN, SOPInstanceUID="1.2.3.4.5.78"))[
            :-40
        ]
    )
    found[broken] = {"Hollingsworth", "Zebedee"}
    return found


def feed_messages(mrn: str) -> list[bytes]:
    """Return what the hospital says of the patient: an order, a report, a merge, and what cannot be applied."""
    named = (patient(f"{mrn}^^^HOSP"), *order(accession="ACC4711"))
    return [
        message("ORM^O01", *named),
        report(accession="ACC4711", control="2"),
        merge(old="ALT-3133742421^^^HOSP", into=f"{mrn}^^^HOSP", control="3"),
        merge(old=f"{mrn}^^^HOSP", into="ALT-3133742421^^^HOSP", control="4"),
        message("ADT^A08", patient()),
    ]


def said_by_portal(study_uids: list[str]) -> tuple[dict[str, bytes], str]:
    """Return what the portal says to every role, by role and path; and, apart from it, what it says of identities."""
    app = create_app(PortalSettings(portal_url=URL))
    places: dict[str, bytes] = {}
    identities = ""
    for role in sorted(set(Role) - MACHINES):
        client = browser(app)
        client.cookies.set(*open_session(app, role))
        paths = ["/", "/api/worklist", "/audit", "/api/audit"]
        for uid in study_uids:
            paths += [f"/api/studies/{uid}", f"/api/studies/{uid}/audit"]
            named = [f"/studies/{uid}", f"/api/studies/{uid}/identity"]
            if can(Actor(role.value, role), PolicyAction.IDENTITY_VIEW).allowed:
                identities += "".join(client.get(path).text for path in named)
            else:
                paths += named
        places |= {f"{role.value} {path}": client.get(path).content.lower() for path in paths}
    return places, identities


def test_no_identifying_string_of_any_input_is_found_anywhere(
    hospital: Hospital, tmp_path: Path, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    pushed = inputs(tmp_path, hospital)
    sent = hospital.push(*pushed)
    assert len(sent) == len(pushed) + 1
    mrn = planted().PatientID
    for said in (*feed_messages(mrn), b"Quimby, Theodora"):
        hospital.say(said)
    hospital.pump(seed=1, times=2)
    poisoned = events.sqs('{"Quimby": "Theodora"')
    for step in (deidentify, clean_pixels, apply_feed):
        assert len(step.handle(poisoned, events.CONTEXT)["batchItemFailures"]) == 1
    # The report from elsewhere may close its study before or after the rest is through.
    listed = [study for name in (OPEN, CLOSED) for study in hospital.studies.worklist(which=name)]
    answers, identities = said_by_portal([each.study_uid for each in listed])
    captured = capfd.readouterr()
    everything = Everything(hospital.cloud, log.getvalue() + captured.out + captured.err)
    everything.places |= answers
    secrets = set().union(*pushed.values())
    assert len(secrets) > 60
    assert len(answers) > 60
    # Three files say who this patient is, each another name; the one that came last counts.
    names = ("Quimby, Theodora Maximiliane", "Grandville, Peregrine", "Hollingsworth, Zebedee")
    assert any(name in identities for name in names), "those who may know are told"
    for told in ("1962-05-03", mrn):
        assert told in identities, "those who may know are told"
    assert everything.holding(secrets) == {}
    # The run was a real one.
    measured = {name for line in lines(captured.out) for name in line.values}
    assert {
        "ObjectsStored",
        "ObjectsQuarantined",
        "UnknownFacts",
        "StageSeconds",
        "RecordsFailed",
    } <= measured
    assert {dimension for line in lines(captured.out) for dimension in line.dimensions} == {
        "service",
        "stage",
    }
    assert any("object_key" in each["MessageBody"] for each in hospital.cloud.wire.sent("SendMessage"))
    for line in ("object settled", "feed message settled", "record failed"):
        assert line in log.getvalue()
    assert any(row["item"]["S"].startswith("study#") for row in hospital.cloud.rows("orders_table"))
    assert len(hospital.cloud.rows("audit_table")) >= 2
    assert len(hospital.cloud.objects("studies")) >= 6
    assert len(hospital.cloud.rows("alerts_table")) >= 1
    assert "6 mm nodule" in json.dumps(hospital.cloud.rows("instances_table"), default=str)
    # And it can fail.
    hospital.cloud.dynamodb.put_item(
        TableName="results_table", Item={"study_uid": {"S": "x"}, "result_id": {"S": "of THEODORA"}}
    )
    hospital.cloud.s3.put_object(Bucket="results", Key="results/ACC4711", Body=b"\x00QUIMBY\x00")
    found = Everything(hospital.cloud, "Hollingsworth").holding(secrets)
    expected = {
        "table results_table",
        "calls of PutItem",
        "keys of results",
        "results/results/ACC4711",
        "log",
    }
    assert set(found) == expected
