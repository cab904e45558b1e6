"""Studies that can be taught: a signed one with a finding of a model, and a simulated one; none may tell too soon."""

import re

import numpy as np
from pydicom import Dataset

from firstread.records.studies import StudyRepository
from firstread.records.tables import ReviewRow
from firstread.result import Code
from firstread.review import DrawnRegion, Point, Review, ReviewedFinding, Verdict
from firstread.study import ReviewStatus
from tests.functional.portal.morning import heat_map, sample
from tests.functional.portal.seeding import Hospital

EFFUSION = Code(value="60046008", scheme="SCT", meaning="Pleural effusion")
NODULE = Code(value="27925004", scheme="SCT", meaning="Nodule")
OPACITY = Code(value="128309002", scheme="SCT", meaning="Opacity")
IMPRESSION = "Effusion on the left, seen on two views."
POINTS = "Look at the costophrenic angle."
PROBABILITY = 0.9137
SECRETS = re.compile(
    r'Pulmonary opacity|\b91\s*%|0\.9137|costophrenic|seen on two views|chip-high|"risk": ?"high"'
)
"""What tells a learner what is to be found."""
CASE = "/api/teaching/collections/chest/cases/1"


def chest() -> Dataset:
    """Return an image of 120 x 100 that is quickly drawn."""
    dataset = sample("CT_small.dcm")
    dataset.Rows, dataset.Columns = 120, 100
    y, x = np.mgrid[0:120, 0:100]
    dataset.PixelData = (200 + 4 * np.hypot(x - 50, y - 60)).astype(np.int16).tobytes()
    dataset.SeriesNumber = 1
    return dataset


def box(study_uid: str, left: float, top: float, right: float, bottom: float) -> DrawnRegion:
    """Return a box on the first image."""
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return DrawnRegion(
        series_uid=f"{study_uid}.1",
        sop_uid=f"{study_uid}.1.1",
        outline=tuple(Point(x=x, y=y) for x, y in corners),
    )


def signed(hospital: Hospital) -> str:
    """Store a real study that a model flagged and in which a radiologist saw an effusion instead."""
    study_uid = hospital.study([chest()], waits=70, description="Chest ap", age_years=4.2, sex="F")
    hospital.analysed(study_uid, PROBABILITY, overlay=heat_map(120, 100))
    findings = (
        ReviewedFinding(
            finding_id="2.25.31",
            verdict=Verdict.MISSED,
            code=EFFUSION,
            regions=(box(study_uid, 10, 10, 50, 50),),
        ),
        ReviewedFinding(finding_id="2.25.32", verdict=Verdict.REJECTED, code=OPACITY),
    )
    review = Review(
        study_uid=study_uid,
        number=1,
        version=1,
        status=ReviewStatus.SIGNED,
        author="radiologist",
        author_role="radiologist",
        findings=findings,
        impression=IMPRESSION,
        started_at=hospital.minutes_ago(20),
        saved_at=hospital.minutes_ago(10),
        signed_by="radiologist",
        signed_at=hospital.minutes_ago(10),
    )
    ReviewRow(
        study_uid=study_uid, item="review#000001", revision=1, body=review.model_dump(mode="json")
    ).save()
    study = StudyRepository().get(study_uid)
    assert study is not None
    hospital.change(study_uid, signed_version=study.version, review=ReviewStatus.SIGNED)
    return study_uid


def simulated(hospital: Hospital) -> str:
    """Store a simulated study that a model flagged."""
    study_uid = hospital.study([chest()], waits=60, description="Simulated", simulated=True)
    hospital.analysed(study_uid, PROBABILITY, overlay=heat_map(120, 100))
    return study_uid
