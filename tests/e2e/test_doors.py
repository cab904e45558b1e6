"""Every door at once and again and again: one instance each, one analysis of each version, a ledger that balances."""

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pydicom
import pytest
import urllib3
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom.data import get_testdata_file
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE

from firstread.demo.simulate import write_radiograph
from firstread.gathering.completeness import Closing
from firstread.messages import object_created
from firstread.order import Priority
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.study import AnalysisStatus, Study
from tests.support.dicoms import encode, header
from tests.support.ingest import MULTIPART, body
from tests.support.system import CALLER, STOW, TITLE, GatewayProcess, Run, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SERIES = Path(__file__).resolve().parents[3] / "shared/data/mr-brain-dicom/Study1/12-T1post-05670"
ROUNDS = 2
SLICES = 20


@pytest.fixture(scope="module")
def gateway(run: Run) -> Iterator[GatewayProcess]:
    started = GatewayProcess(run)
    started.start()
    yield started
    started.stop()


def real_series(folder: Path) -> list[Path]:
    """Copy a real series to a folder, and a radiograph that a model looks at."""
    found = sorted(SERIES.glob("*.dcm"))[:SLICES]
    if not found:
        found = [Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm")]
    for path in found:
        shutil.copyfile(path, folder / path.name)
    write_radiograph(folder / "radiograph.dcm", seed=41, when=datetime.now(UTC))
    return sorted(folder.iterdir())


def dcmtk(program: str, gateway: GatewayProcess) -> Callable[[list[Path]], None]:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} of DCMTK is not installed: real senders are NOT tested")

    def send(paths: list[Path]) -> None:
        options = ["-aet", CALLER, "-aec", TITLE, "127.0.0.1", str(gateway.port)]
        done = subprocess.run(
            [found, *options, *map(str, paths)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return send


def pynetdicom(gateway: GatewayProcess) -> Callable[[list[Path]], None]:
    def send(paths: list[Path]) -> None:
        datasets = [pydicom.dcmread(path) for path in paths]
        entity = AE(CALLER)
        for sop_class in sorted({each.SOPClassUID for each in datasets}):
            entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", gateway.port, ae_title=TITLE)
        assert association.is_established
        try:
            assert {association.send_c_store(each).Status for each in datasets} == {0}
        finally:
            association.release()

    return send


def dicomweb(run: Run) -> Callable[[list[Path]], None]:
    def send(paths: list[Path]) -> None:
        session = create_session()
        session.headers["Authorization"] = f"Bearer {run.token_file(STOW).read_text()}"
        try:
            client = DICOMwebClient(run.ingest_url, session=session, stow_url_prefix="ingest")
            answer = client.store_instances([pydicom.dcmread(path) for path in paths])
        finally:
            session.close()
        assert len(answer.ReferencedSOPSequence) == len(paths)

    return send


def push(run: Run) -> Callable[[list[Path]], None]:
    def send(paths: list[Path]) -> None:
        sent = run.push(*paths)
        assert all(each["receipt"] for each in sent)
        assert len(sent) == len(paths)

    return send


def balance(run: Run) -> dict[str, int]:
    found: dict[str, int] = json.loads(run.firstread("ledger", "--json", check=False).stdout)
    return found


def at_rest(run: Run, gateway: GatewayProcess | None = None) -> None:
    def rests() -> bool:
        if gateway is not None and gateway.waiting():
            return False
        now = run.status()
        if now["pending"] or any(now["waiting"].values()):
            return False
        busy = (AnalysisStatus.RECEIVING, AnalysisStatus.ANALYSING)
        with run.records():
            return all(each.status not in busy for each in StudyRepository().worklist())

    wait_for("everything to be at rest", rests)


def records_of(run: Run, study_uids: set[str]) -> dict[str, Any]:
    """Return all that is recorded of some studies."""
    with run.records():
        heads = {uid: StudyRepository().get(uid) for uid in study_uids}
        return {
            uid: (
                head,
                InstanceRepository().of_study(uid),
                [ResultRepository().of_version(uid, n + 1) for n in range(head.version if head else 0)],
            )
            for uid, head in heads.items()
        }


def receipts_since(run: Run, known: set[str]) -> list[Receipt]:
    with run.records():
        incoming: Any = boto3.client("s3").get_paginator("list_object_versions")
        pages = incoming.paginate(Bucket=os.environ["FIRSTREAD_INCOMING_BUCKET"], Prefix="in/")
        identities = [
            (each["Key"], each["VersionId"])
            for page in pages
            for each in page.get("Versions", [])
            if each["Key"] not in known
        ]
        found = LedgerRepository().get_many(identities)
    assert len(found) == len(identities)
    return found


def one_analysis_each(head: Study, results: list[list[Any]]) -> None:
    for version in results[:-1]:
        assert len({each.model_id for each in version}) == len(version)
    assert sorted(each.model_id for each in results[-1]) == sorted({*head.models, *head.beside})


def test_five_senders_at_once_and_again(run: Run, gateway: GatewayProcess, tmp_path: Path) -> None:
    paths = real_series(tmp_path)
    before = balance(run)
    known = {each.object_key for each in receipts_since(run, set())}
    senders = [
        dcmtk("storescu", gateway),
        dcmtk("dcmsend", gateway),
        pynetdicom(gateway),
        dicomweb(run),
        push(run),
    ]
    with ThreadPoolExecutor(len(senders)) as pool:
        for _ in range(ROUNDS):
            for sent in [pool.submit(send, paths) for send in senders]:
                sent.result()
    at_rest(run, gateway)
    after = balance(run)
    came = len(senders) * ROUNDS * len(paths)
    assert after["received"] - before["received"] == came
    assert after["stored"] - before["stored"] == len(paths)
    assert after["duplicate"] - before["duplicate"] == came - len(paths)
    assert after["quarantined"] == before["quarantined"]
    assert (after["pending"], after["balanced"]) == (0, True)
    receipts = receipts_since(run, known)
    found = records_of(run, {each.study_uid for each in receipts})
    assert len({each.sop_uid for each in receipts}) == len(paths)
    for head, instances, results in found.values():
        assert len({each.sop_uid for each in instances}) == len(instances) == head.version_count
        # On a busy machine a sender may be done before another has begun, which makes versions; each has one analysis.
        assert head.version >= 1 and head.closed_by in (Closing.BATCH, Closing.QUIET)
        one_analysis_each(head, results)
    assert sum(len(instances) for _, instances, _ in found.values()) == len(paths)
    counted = [each for _, _, results in found.values() for each in results[-1] if not each.beside]
    assert len(counted) == 1


def test_events_that_come_five_times_and_shuffled_change_nothing(run: Run, tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - the same order each time
    study = "1.2.826.0.1.3680043.8.498.55"
    paths = []
    for number in range(1, 13):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(
            encode(header(StudyInstanceUID=study, SOPInstanceUID=f"{study}.{number}", PatientAge="003Y"))
        )
        paths.append(path)
    receipts = [Receipt.model_validate(each["receipt"]) for each in run.push(*paths, paths[0])]

    def again() -> None:
        with run.records():
            bucket, url = os.environ["FIRSTREAD_INCOMING_BUCKET"], os.environ["FIRSTREAD_INGEST_QUEUE_URL"]
            events = [
                object_created(bucket, each.object_key, each.version_id, each.size, each.received_at)
                for each in receipts
                for _ in range(chance.randint(1, 5))
            ]
            chance.shuffle(events)
            queue: Any = boto3.client("sqs")
            for event in events:
                queue.send_message(QueueUrl=url, MessageBody=event.model_dump_json(by_alias=True))

    again()  # together with those of the bucket
    at_rest(run)
    with run.records():
        settled = LedgerRepository().get_many((each.object_key, each.version_id) for each in receipts)
    assert Counter(each.outcome for each in settled) == {Outcome.STORED: 12, Outcome.DUPLICATE: 1}
    (study_uid,) = {each.study_uid for each in settled}
    before = records_of(run, {study_uid})
    head, instances, results = before[study_uid]
    assert (len(instances), head.version_count, head.status) == (12, 12, AnalysisStatus.ANALYSED)
    one_analysis_each(head, results)
    again()
    at_rest(run)
    assert records_of(run, {study_uid}) == before
    assert balance(run)["balanced"]


def test_an_urgent_radiograph_overtakes_a_ct_of_324_slices(run: Run, tmp_path: Path) -> None:
    study = "1.2.826.0.1.3680043.8.498.56"
    slices = [
        encode(
            header(
                SOPClassUID=CTImageStorage,
                Modality="CT",
                StudyInstanceUID=study,
                SOPInstanceUID=f"{study}.{number}",
                InstanceNumber=number,
                ViewPosition=None,
            )
        )
        for number in range(1, 325)
    ]
    headers = {"Authorization": f"Bearer {run.token_file(STOW).read_text()}", "Content-Type": MULTIPART}
    with urllib3.PoolManager(timeout=120) as pool:
        answer = pool.request("POST", f"{run.ingest_url}/ingest/studies", headers=headers, body=body(*slices))
    assert answer.status == 200
    urgent = pydicom.dcmread(write_radiograph(tmp_path / "x.dcm", seed=42, when=datetime.now(UTC)))
    assert urgent.SOPClassUID == DigitalXRayImageStorageForPresentation
    urgent.RequestedProcedurePriority = "STAT"
    urgent.save_as(tmp_path / "x.dcm")
    (sent,) = run.push(tmp_path / "x.dcm")
    assert sent["receipt"]["object_key"].startswith("in/urgent/")
    at_rest(run)
    with run.records():
        (receipt,) = LedgerRepository().get_many(
            [(sent["receipt"]["object_key"], sent["receipt"]["version_id"])]
        )
        radiograph = StudyRepository().get(receipt.study_uid)
        (ct,) = [each for each in StudyRepository().worklist() if each.version_count == len(slices)]
    assert radiograph is not None
    assert (ct.version, ct.closed_by) == (1, Closing.BATCH)
    assert radiograph.completed_at < ct.completed_at
    assert radiograph.priority is Priority.STAT
