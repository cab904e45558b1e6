"""The worklist: every open study that the reader may see, highest risk first, then longest wait."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from firstread.alert import Alert, AlertState
from firstread.clock import to_text
from firstread.policy import Action, Actor, can
from firstread.records.studies import CLOSED, OPEN
from firstread.study import AnalysisStatus, Risk, Study
from portal.logic.display import ALERT_WORDS, PRIORITY_WORDS, STATUS_WORDS, risk_words, waiting
from portal.logic.records import Records, resource_of

MAX_ROWS = 500


class View(BaseModel):
    """Base of what pages and the API show; never a stored record itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WorklistRow(View):
    """One study on the worklist.

    Parameters
    ----------
    priority_words
        "STAT" or "Urgent" where the order, the source or a header asks for haste, else "".
    risk, risk_words, probability, alert, alert_words
        None or "" where the reader's role sees no findings.
    why
        Reasons behind the status, such as why no model applies.
    fingerprint
        Changes whenever anything shown in this row changes, except the waiting time.
    """

    study_uid: str
    risk: Risk | None
    risk_words: str
    probability: float | None
    priority_words: str
    waiting_since: str
    waiting: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    description: str
    patient: str
    stored_count: int
    held_count: int
    status: AnalysisStatus
    status_words: str
    why: tuple[str, ...]
    alert: AlertState | None
    alert_words: str
    simulated: bool
    fingerprint: str


class Worklist(View):
    """The worklist at one moment.

    Parameters
    ----------
    more
        Whether there are more studies than rows; nothing is left out silently.
    shows_findings
        Whether the reader's role sees risk and probability.
    read_elsewhere
        Whether these are the studies that somebody elsewhere has read, instead of the open ones.
    """

    at: str
    read_elsewhere: bool
    more: bool
    shows_findings: bool
    rows: tuple[WorklistRow, ...]


def read_worklist(
    records: Records, actor: Actor, moment: datetime, limit: int = MAX_ROWS, *, read_elsewhere: bool = False
) -> Worklist:
    """Return the worklist for a reader.

    Parameters
    ----------
    records
        Where studies and alerts are.
    actor
        The reader; studies that are not for them are left out.
    moment
        The present.
    limit
        How many studies to show at most.
    read_elsewhere
        The studies that were read elsewhere, instead of the open ones.
    """
    studies = records.studies.worklist(limit + 1, CLOSED if read_elsewhere else OPEN)
    visible = [
        study for study in studies[:limit] if can(actor, Action.STUDY_VIEW, resource_of(study)).allowed
    ]
    alerts = _alerts(records, visible)
    rows = [make_row(study, alerts.get(study.alert_id), actor, moment) for study in visible]
    shows_findings = can(actor, Action.FINDING_VIEW).allowed
    if not shows_findings:
        # The order would tell the risk.
        rows.sort(key=lambda row: (row.waiting_since, row.study_uid))
    return Worklist(
        at=to_text(moment),
        read_elsewhere=read_elsewhere,
        more=len(studies) > limit,
        shows_findings=shows_findings,
        rows=tuple(rows),
    )


def _alerts(records: Records, studies: Iterable[Study]) -> dict[str, Alert]:
    """Return the alerts of studies by id.

    Absence from the index of open alerts proves nothing, since the index lags: such an alert is read itself.
    """
    wanted = {study.alert_id for study in studies if study.alert_id}
    if not wanted:
        return {}
    found = {alert.alert_id: alert for alert in records.alerts.open_alerts(MAX_ROWS)}
    for alert_id in wanted - found.keys():
        alert = records.alerts.get(alert_id)
        if alert is not None:
            found[alert_id] = alert
    return found


def make_row(study: Study, alert: Alert | None, actor: Actor, moment: datetime) -> WorklistRow:
    """Return a study as one row of the worklist."""
    gathering = study.gathering
    resource = resource_of(study)
    shows = can(actor, Action.FINDING_VIEW, resource).allowed
    shows_alert = alert is not None and (shows or can(actor, Action.ALERT_VIEW, resource).allowed)
    row = WorklistRow(
        study_uid=study.study_uid,
        risk=study.risk if shows else None,
        risk_words=risk_words(study) if shows else "",
        probability=study.probability if shows else None,
        priority_words=PRIORITY_WORDS[study.priority],
        waiting_since=gathering.first_arrival,
        waiting=waiting(gathering.first_arrival, moment),
        modalities=gathering.modalities,
        body_parts=gathering.body_parts,
        description=gathering.description,
        patient=gathering.patient,
        stored_count=gathering.stored_count,
        held_count=gathering.held_count,
        status=study.status,
        status_words=STATUS_WORDS[study.status],
        why=tuple(f"{model}: {reason}" for model, reason in sorted(study.not_applicable.items())),
        alert=alert.state if alert is not None and shows_alert else None,
        alert_words=ALERT_WORDS[alert.state] if alert is not None and shows_alert else "",
        simulated=gathering.simulated,
        fingerprint="",
    )
    return row.model_copy(update={"fingerprint": _fingerprint(row)})


def _fingerprint(row: WorklistRow) -> str:
    shown = row.model_dump_json(exclude={"waiting", "fingerprint"})
    return hashlib.sha256(shown.encode()).hexdigest()[:16]
