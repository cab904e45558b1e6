from firstread.demo.track import Way
from firstread.receipt import Outcome, Receipt
from firstread.study import AnalysisStatus, Study, StudyGathering

AT = "2026-11-21T03:00:00.000000Z"
LATER = "2026-11-21T03:00:02.500000Z"


def receipt(outcome: Outcome, study_uid: str = "") -> Receipt:
    return Receipt(
        object_key="in/1",
        version_id="v",
        source="push",
        received_at=AT,
        outcome=outcome,
        settled_at="" if outcome is Outcome.PENDING else LATER,
        study_uid=study_uid,
    )


def study(status: AnalysisStatus) -> Study:
    gathering = StudyGathering(
        study_uid="2.25.1",
        patient="P1",
        stored_count=1,
        held_count=0,
        first_arrival=AT,
        last_arrival=AT,
        modalities=("DX",),
        body_parts=(),
        description="",
        age_years=None,
        sex="",
        is_recent=True,
        simulated=False,
    )
    return Study(gathering=gathering, status=status)


def test_a_pending_object_is_not_accounted_for() -> None:
    assert not Way(receipt(Outcome.PENDING)).accounted_for


def test_an_object_in_quarantine_without_a_study_is_accounted_for() -> None:
    assert Way(receipt(Outcome.QUARANTINED)).accounted_for


def test_a_stored_object_is_accounted_for_when_its_study_is_at_rest() -> None:
    stored = receipt(Outcome.STORED, "2.25.1")
    assert not Way(stored).accounted_for
    assert not Way(stored, study(AnalysisStatus.RECEIVING)).accounted_for
    assert not Way(stored, study(AnalysisStatus.ANALYSING)).accounted_for
    for status in (
        AnalysisStatus.ANALYSED,
        AnalysisStatus.NO_MODEL,
        AnalysisStatus.FAILED,
        AnalysisStatus.HELD,
    ):
        assert Way(stored, study(status)).accounted_for


def test_seconds_count_from_arrival() -> None:
    way = Way(receipt(Outcome.STORED))
    assert way.seconds("de-identified") == 2.5
    assert way.seconds("analysed") is None
