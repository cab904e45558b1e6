"""A worklist of a size: studies as a busy department has them, the same for each run."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from firstread.alert import Alert, AlertState
from firstread.clock import to_text
from firstread.order import Priority
from firstread.study import AnalysisStatus, Risk, Study, StudyGathering

_KINDS = (
    ("CR", "CHEST"),
    ("CT", "HEAD"),
    ("CT", "ABDOMEN"),
    ("MR", "KNEE"),
    ("US", "ABDOMEN"),
    ("MG", "BREAST"),
)
_EVERY_MINUTES = 0.9
_PATIENTS = 3  # studies of one, on average


def studies(count: int, moment: datetime) -> Iterator[Study]:
    """Return that many studies, of which one in 40 is at high risk and one in 30 STAT.

    With 1,000 the oldest has waited for 15 hours, with 100,000 for 62 days: a backlog without end.
    """
    chance = random.Random(7)
    for number in range(count):
        arrived = moment - timedelta(minutes=_EVERY_MINUTES * number + chance.random())
        modality, part = chance.choice(_KINDS)
        risk = chance.choices(list(Risk), (1, 25, 14))[0]
        uid = f"2.25.{chance.getrandbits(120)}"
        yield Study(
            gathering=StudyGathering(
                study_uid=uid,
                study_ref=f"{chance.getrandbits(128):032x}",
                order_refs=(f"{chance.getrandbits(128):032x}",),
                sources=("ct1",),
                patient=f"FR-{chance.randrange(max(1, count // _PATIENTS)):08d}",
                stored_count=chance.randrange(1, 400),
                held_count=0,
                first_arrival=to_text(arrived),
                last_arrival=to_text(arrived),
                modalities=(modality,),
                body_parts=(part,),
                description=f"{part.capitalize()} {modality}",
                age_years=50.0,
                sex="F",
                is_recent=True,
                simulated=False,
                study_date=f"{arrived:%Y%m%d}",
            ),
            version=1,
            priority=chance.choices(list(Priority), (1, 4, 25))[0],
            status=AnalysisStatus.ANALYSED if risk is not Risk.UNKNOWN else AnalysisStatus.NO_MODEL,
            risk=risk,
            probability=None if risk is Risk.UNKNOWN else 0.5,
            models=("chest_xray_opacity@0.1.0",),
            alert_id=f"{chance.getrandbits(128):032x}" if risk is Risk.HIGH else "",
        )


def alert_of(study: Study) -> Alert:
    """Return the alert of a study at high risk."""
    return Alert(
        alert_id=study.alert_id,
        study_uid=study.study_uid,
        result_id="v000001#chest_xray_opacity@0.1.0",
        risk=study.risk,
        model_id="chest_xray_opacity@0.1.0",
        simulated=False,
        state=AlertState.DELIVERED,
        created_at=study.gathering.first_arrival,
    )
