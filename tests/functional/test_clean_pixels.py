"""Objects whose pixels are looked at: handed over, cleaned or held, however often they are asked for."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from firstread.deid.burned_in import TextBox
from firstread.handling import Event
from firstread.messages import CleanPixelsRequest
from firstread.receipt import Outcome
from firstread.records.tables import InstanceRow
from firstread.study import InstanceState
from functions.clean_pixels import handler as clean_pixels
from functions.deidentify import handler as deidentify
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.events import CONTEXT
from tests.support.hospital import Hospital

ROWS = COLUMNS = 24
NAME = TextBox(0, 2, 6, 5)
PIXELS = np.random.default_rng(1).integers(100, 4000, (ROWS, COLUMNS)).astype("<u2")


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def ultrasound(**values: object) -> bytes:
    described = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1",
        "Modality": "US",
        "Rows": ROWS,
        "Columns": COLUMNS,
    }
    return encode(header(**described | values), pixels=PIXELS.tobytes())


def outcomes(hospital: Hospital) -> Counter[str]:
    return Counter(row["outcome"]["S"] for row in hospital.cloud.rows("ledger_table"))


def handed_over(hospital: Hospital) -> Event:
    """Let `deidentify` have what arrived, and return the batch that `clean_pixels` gets."""
    for delivery in hospital.arrivals():
        hospital.deliver(delivery)
    return events.sqs(*hospital.cloud.waiting("clean-pixels"))


def stored(hospital: Hospital) -> pydicom.Dataset:
    (data,) = hospital.cloud.objects("studies").values()
    return pydicom.dcmread(io.BytesIO(data))


def test_an_object_that_may_carry_text_is_handed_over_and_stays_pending(hospital: Hospital) -> None:
    identity = hospital.put(ultrasound())
    (record,) = handed_over(hospital)["Records"]
    request = CleanPixelsRequest.model_validate_json(record["body"])
    assert (request.object_key, request.version_id) == identity
    assert outcomes(hospital) == {"pending": 1}
    assert hospital.cloud.objects("studies") == {}
    assert hospital.cloud.rows("instances_table") == []


def test_images_of_a_detector_are_looked_at_cheaply_where_no_codec_is_needed(hospital: Hospital) -> None:
    hospital.put(encode(header()))
    assert handed_over(hospital)["Records"] == []
    assert outcomes(hospital) == {"stored": 1}
    assert stored(hospital).BurnedInAnnotation == "NO"


@pytest.mark.parametrize(
    "data",
    [encode(header(), pixels=bytes(range(128, 192)) * 2), encode(header(), JPEGBaseline8Bit)],
    ids=["a trace of text", "compressed"],
)
def test_images_of_a_detector_that_need_more_are_handed_over(hospital: Hospital, data: bytes) -> None:
    hospital.put(data)
    assert len(handed_over(hospital)["Records"]) == 1
    assert outcomes(hospital) == {"pending": 1}


def test_a_name_in_the_pixels_is_blanked_and_the_rest_travels(hospital: Hospital) -> None:
    hospital.detector.where = [NAME]
    hospital.put(ultrasound())
    assert clean_pixels.handle(handed_over(hospital), CONTEXT) == {"batchItemFailures": []}
    assert outcomes(hospital) == {"stored": 1}
    found = stored(hospital)
    assert found.BurnedInAnnotation == "NO"
    assert found.PatientIdentityRemoved == "YES"
    assert "Quimby" not in str(found.PatientName)
    after = found.pixel_array
    assert len(np.unique(after[2:5, 0:6])) == 1
    changed = np.argwhere(after != PIXELS)
    assert changed.max(axis=0)[0] < 12 and changed.max(axis=0)[1] < 12
    (row,) = hospital.cloud.rows("instances_table")
    assert row["state"]["S"] == InstanceState.STORED.value


def test_pixels_without_text_are_passed_on_as_they_are(hospital: Hospital) -> None:
    hospital.put(ultrasound())
    clean_pixels.handle(handed_over(hospital), CONTEXT)
    assert hospital.detector.seen > 0
    assert stored(hospital).PixelData == PIXELS.tobytes()


@pytest.mark.parametrize("times", [2, 3])
def test_asked_for_again_nothing_is_done_twice(hospital: Hospital, times: int) -> None:
    hospital.detector.where = [NAME]
    hospital.put(ultrasound())
    batch = handed_over(hospital)
    for _ in range(times):
        assert clean_pixels.handle(batch, CONTEXT) == {"batchItemFailures": []}
    seen = hospital.detector.seen
    clean_pixels.handle(batch, CONTEXT)
    assert hospital.detector.seen == seen
    assert outcomes(hospital) == {"stored": 1}
    puts = [each for each in hospital.cloud.wire.sent("PutObject") if each["Bucket"] == "studies"]
    assert len(puts) == 1


def test_handed_over_twice_the_second_finds_the_receipt_settled(hospital: Hospital) -> None:
    hospital.put(ultrasound())
    (delivery,) = hospital.arrivals()
    hospital.deliver(delivery)
    hospital.deliver(delivery)
    batch = events.sqs(*hospital.cloud.waiting("clean-pixels"))
    assert len(batch["Records"]) == 2
    assert clean_pixels.handle(batch, CONTEXT) == {"batchItemFailures": []}
    assert outcomes(hospital) == {"stored": 1}
    assert deidentify.handle(delivery.event, CONTEXT) == {"batchItemFailures": []}
    assert hospital.cloud.waiting("clean-pixels") == []


def test_two_at_once_leave_one_instance(hospital: Hospital) -> None:
    hospital.put(ultrasound())
    batch = handed_over(hospital)
    before = hospital.cloud.wire.before

    def other_first(operation: str, _parameters: dict[str, object]) -> None:
        if operation == "TransactWriteItems":
            hospital.cloud.wire.before = before
            assert clean_pixels.handle(batch, CONTEXT) == {"batchItemFailures": []}

    hospital.cloud.wire.before = other_first
    assert clean_pixels.handle(batch, CONTEXT) == {"batchItemFailures": []}
    assert outcomes(hospital) == {"stored": 1}
    assert len(hospital.cloud.rows("instances_table")) == 1


@pytest.mark.parametrize("stubborn", [False, True])
def test_sent_again_it_is_a_duplicate_that_nobody_looks_at(hospital: Hospital, stubborn: bool) -> None:
    hospital.detector.where, hospital.detector.stubborn = [NAME], stubborn
    hospital.put(ultrasound())
    clean_pixels.handle(handed_over(hospital), CONTEXT)
    seen = hospital.detector.seen
    hospital.put(ultrasound())
    clean_pixels.handle(handed_over(hospital), CONTEXT)
    assert hospital.detector.seen == seen
    assert outcomes(hospital) == {"quarantined" if stubborn else "stored": 1, "duplicate": 1}


def test_other_content_under_its_uid_is_a_conflict(hospital: Hospital) -> None:
    for comment in ("one", "two"):
        hospital.put(ultrasound(SeriesDescription=comment))
        clean_pixels.handle(handed_over(hospital), CONTEXT)
    assert outcomes(hospital) == {"stored": 1, "quarantined": 1}
    (row,) = hospital.ledger.needing_attention(Outcome.QUARANTINED)
    assert row.reason == "conflict"


def test_text_that_stays_holds_the_instance_with_its_facts(hospital: Hospital) -> None:
    hospital.detector.where, hospital.detector.stubborn = [NAME], True
    hospital.put(ultrasound())
    clean_pixels.handle(handed_over(hospital), CONTEXT)
    (row,) = hospital.cloud.rows("instances_table")
    instance = json.loads(row["instance"]["S"])
    assert (instance["state"], instance["reason"]) == ("held", "may_contain_burned_in_text")
    assert (instance["facts"]["modality"], instance["studies_key"]) == ("US", "")
    assert hospital.cloud.objects("studies") == {}
    (receipt,) = hospital.ledger.needing_attention(Outcome.QUARANTINED)
    assert receipt.study_uid == instance["study_uid"]


def test_frames_that_cannot_be_decoded_hold_the_instance(hospital: Hospital) -> None:
    hospital.put(encode(header(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1"), JPEGBaseline8Bit))
    clean_pixels.handle(handed_over(hospital), CONTEXT)
    (row,) = hospital.cloud.rows("instances_table")
    assert (row["state"]["S"], json.loads(row["instance"]["S"])["reason"]) == ("held", "unreadable")


def test_what_takes_too_long_is_held_before_the_function_is_stopped(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.put(ultrasound())
    batch = handed_over(hospital)
    monkeypatch.setattr(type(CONTEXT), "get_remaining_time_in_millis", lambda *_: -1)
    assert clean_pixels.handle(batch, CONTEXT) == {"batchItemFailures": []}
    assert hospital.detector.seen == 0
    (receipt,) = hospital.ledger.needing_attention(Outcome.QUARANTINED)
    assert (receipt.reason, bool(receipt.study_uid)) == ("pixels_take_too_long", True)


def test_an_outage_gives_the_message_back(hospital: Hospital) -> None:
    hospital.put(ultrasound())
    batch = handed_over(hospital)

    def before(operation: str, parameters: dict[str, object]) -> None:
        if operation == "PutObject" and parameters["Bucket"] == "studies":
            raise ConnectionError

    hospital.cloud.wire.before = before
    assert len(clean_pixels.handle(batch, CONTEXT)["batchItemFailures"]) == 1
    assert outcomes(hospital) == {"pending": 1}


def test_a_message_that_names_a_patient_field_is_refused(hospital: Hospital) -> None:
    hospital.put(ultrasound())
    (record,) = handed_over(hospital)["Records"]
    bad = json.loads(record["body"]) | {"patient": "x"}
    assert len(clean_pixels.handle(events.sqs(bad), CONTEXT)["batchItemFailures"]) == 1
    assert outcomes(hospital) == {"pending": 1}


def test_the_object_of_a_request_that_is_gone_stops_nobody(hospital: Hospital, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(ultrasound())
    hospital.push(path)
    batch = handed_over(hospital)
    row = hospital.cloud.rows("ledger_table")[0]
    hospital.cloud.s3.delete_object(
        Bucket="incoming", Key=row["object_key"]["S"], VersionId=row["version_id"]["S"]
    )
    assert clean_pixels.handle(batch, CONTEXT) == {"batchItemFailures": []}
    assert outcomes(hospital) == {"pending": 1}


def test_what_was_given_up_may_come_again(hospital: Hospital) -> None:
    hospital.detector.where, hospital.detector.stubborn = [NAME], True
    hospital.put(ultrasound())
    hospital.pump()
    (row,) = hospital.cloud.rows("instances_table")
    held = hospital.instances.get(row["study_uid"]["S"], row["sop_uid"]["S"])
    assert held is not None and held.state is InstanceState.HELD
    given_up = held.model_copy(update={"state": InstanceState.DISCARDED})
    InstanceRow(
        study_uid=held.study_uid,
        sop_uid=held.sop_uid,
        digest=held.digest,
        object_key=held.object_key,
        state=given_up.state.value,
        instance=given_up.model_dump(mode="json"),
    ).save()
    hospital.detector.stubborn = False
    hospital.put(ultrasound())
    hospital.pump()
    again = hospital.instances.get(held.study_uid, held.sop_uid)
    assert again is not None and again.state is InstanceState.STORED
