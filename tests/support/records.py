"""Records made for tests."""

from firstread.alert import Alert, AlertState
from firstread.receipt import Outcome, Receipt
from firstread.result import Code, Finding, OperatingPoint, Result, ResultStatus, result_id
from firstread.study import Instance, InstanceFacts, InstanceState, Risk, Study, StudyGathering

STUDY = "2.25.1"
MODEL = "cxr_opacity@0.1.0"
T0, T1, T2 = (f"2004-08-26T18:54:3{second}.000000Z" for second in (4, 5, 6))


def receipt(key: str = "in/a", **values: object) -> Receipt:
    """Return a pending receipt of an event."""
    return Receipt.model_validate(
        {"object_key": key, "version_id": "v1", "source": "event", "received_at": T0} | values
    )


def handed_in(key: str = "in/a") -> Receipt:
    """Return the receipt of the door for the same object."""
    return receipt(key, source="push", received_at=T1, size=7, sha256="ab" * 32)


def settled(key: str = "in/a", outcome: Outcome = Outcome.STORED, **values: object) -> Receipt:
    """Return the settled receipt of an event."""
    return receipt(key, outcome=outcome, settled_at=T2, study_uid=STUDY, sop_uid="2.25.9", **values)


def instance(sop_uid: str = "2.25.9", **values: object) -> Instance:
    """Return a stored instance of `STUDY`."""
    facts = InstanceFacts(series_uid="2.25.2", sop_class_uid="1.2.840.10008.5.1.4.1.1.1", modality="CR")
    made = Instance(
        study_uid=STUDY,
        sop_uid=sop_uid,
        object_key=f"in/{sop_uid}",
        object_version="v1",
        digest=f"digest-{sop_uid}",
        state=InstanceState.STORED,
        studies_key=f"studies/{sop_uid}",
        patient="P1",
        received_at=T0,
        stored_at=T1,
        facts=facts,
    )
    return made.model_copy(update=values)


def study(**values: object) -> Study:
    """Return a study of one instance."""
    seen = StudyGathering(
        study_uid=STUDY,
        patient="P1",
        stored_count=1,
        held_count=0,
        first_arrival=T0,
        last_arrival=T1,
        modalities=("CR",),
        body_parts=("CHEST",),
        description="Chest PA",
        age_years=4.0,
        sex="F",
        is_recent=True,
        simulated=False,
    )
    return Study(gathering=seen).model_copy(update=values)


def result(version: int = 1, model: str = MODEL, risk: Risk = Risk.HIGH, **values: object) -> Result:
    """Return the result of a model with one finding."""
    finding = Finding(
        label="Opacity",
        code=Code(value="233604007", scheme="SCT", meaning="Pneumonia"),
        probability=0.9 if risk is Risk.HIGH else 0.1,
        operating_point=OperatingPoint(
            threshold=0.5, chosen_on="validation", sensitivity=0.9, specificity=0.9
        ),
        risk=risk,
        sop_uid="2.25.9",
    )
    made = Result(
        study_uid=STUDY,
        result_id=result_id(version, model),
        version=version,
        model_id=model,
        status=ResultStatus.DONE,
        findings=(finding,),
        started_at=T1,
        finished_at=T2,
    )
    return made.model_copy(update=values)


def alert(**values: object) -> Alert:
    """Return a new alert."""
    made = Alert(
        alert_id="a1",
        study_uid=STUDY,
        result_id=result_id(1, MODEL),
        risk=Risk.HIGH,
        model_id=MODEL,
        simulated=False,
        state=AlertState.CREATED,
        created_at=T1,
    )
    return made.model_copy(update=values)
