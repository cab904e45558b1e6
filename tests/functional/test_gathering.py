"""Completeness, versions, corrections and withdrawals, through the real handlers and records."""

from collections import Counter
from datetime import timedelta

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
)

from firstread.clock import from_text
from firstread.deid.burned_in import TextBox
from firstread.dicom.objects import COMPREHENSIVE_3D_SR
from firstread.messages import AnalyzeRequest, QuietTimer
from firstread.order import Order, Priority
from firstread.records.quarantine import QuarantineRepository
from firstread.records.studies import CLOSED, StudyRepository
from firstread.refs import open_references
from firstread.study import AnalysisStatus, Risk
from functions.deidentify.handler import Settings
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.dicoms import PIXELS, encode, header
from tests.support.hospital import Delivery, Hospital

STUDY = str(header().StudyInstanceUID)
IMAGE = str(header().SOPInstanceUID)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


def outcomes(hospital: Hospital) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in hospital.cloud.rows("ledger_table"):
        receipt = hospital.ledger.get(row["object_key"]["S"], row["version_id"]["S"])
        assert receipt is not None
        found[receipt.outcome.value, receipt.reason] += 1
    return found


def slices(hospital: Hospital, numbers: range, batch: str = "b1", **values: object) -> None:
    for number in numbers:
        made = header(SOPInstanceUID=f"1.2.3.4.{number}", Modality="CT", SOPClassUID=CTImageStorage, **values)
        hospital.put(encode(made), batch=batch)


def test_an_ended_batch_completes_a_study_long_before_its_quiet_time(hospital: Hospital) -> None:
    slices(hospital, range(5))
    hospital.end("b1", {STUDY: 5})
    before = hospital.clock.moment
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version, study.closed_by, study.version_count) == (1, "batch", 5)
    assert study.gathering.correlation_id == "b1"
    waited = from_text(study.completed_at) - before
    assert waited < timedelta(seconds=2000), "a CT is quiet after 2000 s here"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_order_and_repetition_there_is_one_version(hospital: Hospital, seed: int) -> None:
    slices(hospital, range(4))
    hospital.end("b1", {STUDY: 4})
    hospital.end("b1", {STUDY: 4})
    hospital.pump(seed, times=3)
    (study,) = hospital.studies.worklist()
    assert (study.version, study.version_count) == (1, 4)
    assert outcomes(hospital) == {("stored", ""): 4}
    # a request and a result per model, and one request for the metadata
    assert len(hospital.cloud.rows("outbox_table")) == len(study.models) * 2 + 1


def test_what_a_batch_brought_again_counts_as_come_through(hospital: Hospital) -> None:
    slices(hospital, range(3), batch="aborted")
    slices(hospital, range(5), batch="b2")
    hospital.end("b2", {STUDY: 5})
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert outcomes(hospital) == {("stored", ""): 5, ("duplicate", ""): 3}
    assert (study.version, study.version_count) == (1, 5)


def test_the_end_of_a_batch_of_many_studies_is_looked_at_study_by_study(hospital: Hospital) -> None:
    """One look takes a fraction of a second, a function has one minute, and a backfill has a thousand studies."""
    studies = {f"1.2.3.{number}": 2 for number in range(12)}
    for uid in studies:
        for number in (1, 2):
            values = {"StudyInstanceUID": uid, "SOPInstanceUID": f"{uid}.{number}"}
            image = header(Modality="CT", SOPClassUID=CTImageStorage, **values)
            hospital.put(encode(image), batch="b1", study_ref=open_references(Settings()).study(uid))
    for delivery in hospital.arrivals():
        hospital.deliver(delivery)
    for delivery in hospital.streams():
        hospital.deliver(delivery)
    hospital.messages()  # the timers of the quiet time: they would come much later
    hospital.end("b1", studies)
    (hint,) = hospital.messages()
    hospital.deliver(hint)
    looks = hospital.messages()
    timers = [QuietTimer.model_validate_json(each.event["Records"][0]["body"]) for each in looks]
    assert {each.study_uid for each in timers} == {each.study_uid for each in hospital.studies.worklist()}
    assert [each.last_arrival for each in timers] == [""] * 12, "in any case, and none was looked at before"
    hospital.clock.forward(seconds=2)
    for delivery in looks:
        hospital.deliver(delivery)
    assert [each.closed_by for each in hospital.studies.worklist()] == ["batch"] * 12


def test_an_announced_number_that_is_reached_closes_at_once(hospital: Hospital) -> None:
    slices(hospital, range(3), NumberOfStudyRelatedInstances=3)
    before = hospital.clock.moment
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version, study.closed_by) == (1, "expected")
    assert from_text(study.completed_at) - before < timedelta(seconds=901), "without a timer"


def test_a_study_that_never_comes_to_rest_is_closed_at_the_maximum(hospital: Hospital) -> None:
    slices(hospital, range(1), NumberOfStudyRelatedInstances=9)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    version = hospital.studies.version(study.study_uid, 1)
    assert version is not None and version.is_partial
    assert study.closed_by in ("quiet", "forced")


def test_a_late_image_supersedes_and_a_signed_version_stays_as_it_was(hospital: Hospital) -> None:
    hospital.put(encode(header()))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    StudyRepository().change(
        study.study_uid, lambda head: head and head.model_copy(update={"signed_version": 1})
    )
    signed = hospital.studies.version(study.study_uid, 1)
    hospital.put(encode(header(SOPInstanceUID="1.2.3.9")))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version, study.signed_version, study.is_reopened) == (2, 1, True)
    assert hospital.studies.version(study.study_uid, 1) == signed


def rejection(*uids: str) -> bytes:
    title, study, series = Dataset(), Dataset(), Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = (
        "113001",
        "DCM",
        "Rejected for Quality Reasons",
    )
    series.SeriesInstanceUID = "1.2.3.2"
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", uid
        items.append(item)
    series.ReferencedSOPSequence = Sequence(items)
    study.StudyInstanceUID, study.ReferencedSeriesSequence = STUDY, Sequence([series])
    note = header(
        SOPClassUID=KeyObjectSelectionDocumentStorage,
        SOPInstanceUID="1.2.3.77",
        SeriesInstanceUID="1.2.3.70",
        Modality="KO",
        Rows=None,
        Columns=None,
        ConceptNameCodeSequence=Sequence([title]),
        CurrentRequestedProcedureEvidenceSequence=Sequence([study]),
    )
    return encode(note, pixels=None)


@pytest.mark.parametrize("note_first", [False, True])
def test_a_rejected_image_is_not_part_of_the_next_version(hospital: Hospital, note_first: bool) -> None:
    images = [encode(header(SOPInstanceUID=f"1.2.3.{n}")) for n in (4, 5)]
    for data in [rejection("1.2.3.5"), *images] if note_first else [*images, rejection("1.2.3.5")]:
        hospital.put(data)
        if not note_first:
            hospital.pump()
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version_count, study.gathering.withdrawn_count) == (1, 1)
    (result,) = hospital.results.of_version(study.study_uid, study.version)
    assert len(result.findings) == 1


def test_a_study_of_which_all_is_rejected_says_so(hospital: Hospital) -> None:
    hospital.put(encode(header()))
    hospital.put(rejection(IMAGE))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.version_count, study.risk) == (AnalysisStatus.WITHDRAWN, 0, Risk.UNKNOWN)


def test_a_correction_changes_whose_it_is_and_asks_no_model(hospital: Hospital) -> None:
    hospital.put(encode(header(PatientID="wrong", PatientName="Wrong^Name")))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    first = study.gathering.patient
    corrected = encode(header(PatientID="right", PatientName="Right^Name"))
    hospital.put(corrected)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert study.version == 1 and study.gathering.patient != first
    assert outcomes(hospital) == {("stored", ""): 1, ("duplicate", "correction"): 1}
    right = study.gathering.patient
    for late in (corrected, encode(header(PatientID="wrong", PatientName="Wrong^Name"))):
        hospital.put(late)
        hospital.pump()
    (study,) = hospital.studies.worklist()
    assert study.gathering.patient == right, "what was corrected does not come back"
    assert outcomes(hospital) == {("stored", ""): 1, ("duplicate", "correction"): 1, ("duplicate", ""): 2}


def test_two_corrections_at_once_need_no_second_try(hospital: Hospital) -> None:
    """As when two senders write the same image anew: a failed record would be hidden for half an hour."""
    hospital.put(encode(header(PatientID="wrong")))
    hospital.pump()
    for _ in range(2):
        hospital.put(encode(header(PatientID="right")))
    hospital.put(encode(header(PatientID="another")))
    deliveries = [each for each in hospital._new() if each.step == "deidentify"]
    events = [{"Records": [record]} for delivery in deliveries for record in delivery.event["Records"]]
    assert len(events) == 3

    def others_first(operation: str, parameters: dict[str, object]) -> None:
        if operation == "TransactWriteItems" and "instances_table" in str(parameters) and events:
            assert hospital.deliver(Delivery("deidentify", events.pop())) == {"batchItemFailures": []}

    hospital.cloud.wire.before = others_first
    assert hospital.deliver(Delivery("deidentify", events.pop())) == {"batchItemFailures": []}
    assert not events
    hospital.pump()
    assert hospital.failures == []
    assert outcomes(hospital) == {("stored", ""): 1, ("duplicate", "correction"): 2, ("duplicate", ""): 1}


def test_the_same_image_in_other_encodings_is_a_duplicate(hospital: Hospital) -> None:
    plain = encode(header())
    hospital.put(plain)
    hospital.pump()
    hospital.put(encode(header(), syntax=ImplicitVRLittleEndian))
    hospital.put(run_lengths(plain))
    hospital.pump()
    assert outcomes(hospital) == {
        ("stored", ""): 1,
        ("duplicate", "correction"): 1,
        ("duplicate", "recoded"): 1,
    }


def run_lengths(plain: bytes) -> bytes:
    recoded = dcmread(DicomBytesIO(plain))
    recoded.compress(RLELossless, generate_instance_uid=False)
    target = DicomBytesIO()
    recoded.save_as(target, enforce_file_format=True)
    return target.getvalue()


def test_a_correction_in_another_encoding_counts_and_what_it_corrected_does_not_come_back(
    hospital: Hospital,
) -> None:
    wrong, right = (encode(header(PatientID=each, PatientName=f"{each}^Name")) for each in ("wrong", "right"))
    hospital.put(wrong)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    first = study.gathering.patient
    hospital.put(run_lengths(right))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    corrected = study.gathering.patient
    assert study.version == 1 and corrected != first
    for late in (run_lengths(wrong), run_lengths(right)):
        hospital.put(late)
        hospital.pump()
    (study,) = hospital.studies.worklist()
    assert study.gathering.patient == corrected
    assert outcomes(hospital)["duplicate", "recoded"] == 1


def test_an_image_that_cannot_be_read_makes_its_study_partial(hospital: Hospital) -> None:
    references = open_references(Settings())
    images = [encode(header(SOPInstanceUID=f"1.2.3.4.{number}")) for number in range(3)]

    def send(number: int, data: bytes) -> None:
        refs = {"study_ref": references.study(STUDY), "sop_ref": references.instance(f"1.2.3.4.{number}")}
        hospital.put(data, source="ct1", batch="b1", **refs)

    for number, data in enumerate(images):
        send(number, data[:300] if number == 2 else data)
    hospital.end("b1", {STUDY: 3})
    hospital.model.probability = 0.0
    hospital.pump()
    (study,) = hospital.studies.worklist()
    version = hospital.studies.version(study.study_uid, 1)
    assert version is not None and version.is_partial and version.unread_count == 1
    assert study.risk is Risk.UNKNOWN, "part of it was never looked at"
    send(2, images[2])
    hospital.pump()
    (study,) = hospital.studies.worklist()
    version = hospital.studies.version(study.study_uid, 2)
    assert version is not None and not version.is_partial
    assert study.risk is Risk.NOT_FLAGGED


def test_other_pixels_under_the_same_uid_are_kept_and_never_overwrite(hospital: Hospital) -> None:
    hospital.put(encode(header()))
    hospital.pump()
    before = hospital.cloud.objects("studies")
    hospital.put(encode(header(), pixels=bytes(len(PIXELS))))
    hospital.pump()
    assert outcomes(hospital)["quarantined", "conflict"] == 1
    assert hospital.cloud.objects("studies") == before


def test_an_image_with_unusable_pixels_is_held_and_a_good_copy_takes_its_place(hospital: Hospital) -> None:
    good = encode(header())
    hospital.put(good[:-10])
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.gathering.held_count) == (AnalysisStatus.HELD, 1)
    hospital.put(good)
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.status, study.version, study.gathering.held_count) == (AnalysisStatus.ANALYSED, 2, 0)


@pytest.mark.parametrize("by", ["lane", "tag", "order"])
def test_stat_goes_first_whoever_says_so(hospital: Hospital, by: str) -> None:
    values = {"RequestedProcedurePriority": "STAT"} if by == "tag" else {}
    hospital.put(
        encode(header(AccessionNumber="A1", **values)),
        lane="urgent" if by == "lane" else "routine",
        source="ct1",
    )
    if by == "order":
        ref = open_references(Settings()).order("A1")
        hospital.gather.orders.put(
            ref, Order(priority=Priority.STAT, updated_at="2004-08-26T18:00:00.000000Z")
        )
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert study.priority is Priority.STAT
    (sent,) = [each for each in hospital.cloud.wire.sent("SendMessage") if "/analyze" in each["QueueUrl"]]
    assert sent["QueueUrl"].endswith("analyze-urgent")
    assert AnalyzeRequest.model_validate_json(sent["MessageBody"]).urgent
    assert sent["MessageGroupId"] == "ct1"


def test_a_report_from_elsewhere_closes_the_item(hospital: Hospital) -> None:
    hospital.put(encode(header(AccessionNumber="A1")))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    (ref,) = study.gathering.order_refs
    assert ref == open_references(Settings()).order("A1")
    hospital.gather.orders.put(
        ref, Order(read_elsewhere_at="2004-08-26T19:30:00.000000Z", updated_at="2004-08-26T19:30:00.000000Z")
    )
    assert hospital.gather.orders.studies(ref) == [study.study_uid]
    hospital.gather.look(study.study_uid)
    assert hospital.studies.worklist() == []
    closed = hospital.studies.get(study.study_uid)
    assert closed is not None and closed.read_elsewhere_at and closed.version == 1


def test_somebody_who_has_looked_lets_an_image_through(hospital: Hospital) -> None:
    hospital.detector.where, hospital.detector.stubborn = [TextBox(0, 0, 2, 2)], True
    hospital.put(encode(header(BurnedInAnnotation="YES")))
    hospital.pump()
    assert outcomes(hospital) == {("quarantined", "may_contain_burned_in_text"): 1}
    (row,) = hospital.cloud.rows("ledger_table")
    receipt = hospital.ledger.get(row["object_key"]["S"], row["version_id"]["S"])
    assert receipt is not None and receipt.study_ref
    repository = QuarantineRepository()
    assert repository.release(receipt, True, lambda _transaction: None)
    event = events.object_created("incoming", receipt.object_key, receipt.version_id)
    hospital.deliver(Delivery("deidentify", events.sqs(event)))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version, study.gathering.held_count, study.gathering.stored_count) == (2, 0, 1)
    assert outcomes(hospital) == {("stored", ""): 1}


def test_a_study_of_which_nothing_can_be_read_is_on_the_worklist(hospital: Hospital) -> None:
    hospital.put(encode(header())[:-162])
    hospital.pump()
    ((_, reason),) = outcomes(hospital)
    assert reason == "truncated"
    (study,) = hospital.studies.worklist()
    assert (study.status, study.gathering.held_count, study.risk) == (AnalysisStatus.HELD, 1, Risk.UNKNOWN)
    hospital.put(encode(header()))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.gathering.held_count, study.gathering.stored_count, study.version) == (0, 1, 2)
    assert study.gathering.patient


def test_what_comes_after_a_report_from_elsewhere_is_open_again(hospital: Hospital) -> None:
    hospital.put(encode(header(AccessionNumber="A1")))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    at = "2004-08-26T19:30:00.000000Z"
    hospital.gather.orders.put(study.gathering.order_refs[0], Order(read_elsewhere_at=at, updated_at=at))
    hospital.gather.look(study.study_uid)
    assert hospital.studies.worklist() == []
    assert [each.study_uid for each in hospital.studies.worklist(which=CLOSED)] == [study.study_uid]
    hospital.put(encode(header(AccessionNumber="A1", SOPInstanceUID="1.2.3.9")))
    hospital.pump()
    (again,) = hospital.studies.worklist()
    assert (again.version, again.read_elsewhere_at) == (2, at)


def test_a_correction_corrects_what_is_said_of_the_patient(hospital: Hospital) -> None:
    hospital.put(encode(header(PatientAge="004Y", PatientSex="F")))
    hospital.pump()
    hospital.put(encode(header(PatientAge="044Y", PatientSex="M")))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.version, study.gathering.age_years, study.gathering.sex) == (1, 44, "M")


def test_a_broken_copy_of_a_stored_image_says_what_is_broken(hospital: Hospital) -> None:
    good = encode(header())
    hospital.put(good)
    hospital.pump()
    hospital.put(good[:-10])
    hospital.pump()
    assert outcomes(hospital)["stored", ""] == 1
    ((outcome, reason),) = set(outcomes(hospital)) - {("stored", "")}
    assert outcome == "quarantined" and reason != "conflict"


@pytest.mark.parametrize(("manufacturer", "versions"), [("FirstRead", 1), ("Another", 2)])
def test_a_result_object_of_our_own_that_comes_back_makes_no_version(
    hospital: Hospital, manufacturer: str, versions: int
) -> None:
    hospital.put(encode(header()))
    hospital.pump()
    report = header(
        SOPClassUID=COMPREHENSIVE_3D_SR,
        SOPInstanceUID="2.25.4711",
        SeriesInstanceUID="2.25.4712",
        Modality="SR",
        Manufacturer=manufacturer,
        **dict.fromkeys(("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")),
        **dict.fromkeys(("SamplesPerPixel", "PhotometricInterpretation", "ImageType", "BodyPartExamined")),
    )
    hospital.put(encode(report, pixels=None))
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert study.version == versions
    assert study.gathering.arrived_count == 2
    assert outcomes(hospital) == {("stored", ""): 2}
