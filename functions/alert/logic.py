"""A result was recorded -> the study's place on the worklist and, where the risk is high, an alert."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from firstread.clock import now, to_text
from firstread.messages import AlertNotice, ResultRecorded
from firstread.queues import Topic
from firstread.records.alerts import AlertRepository, new_alert
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.result import Result, ResultStatus
from firstread.study import Alert, AlertState, AnalysisStatus, Risk, Study

_SUBJECT = "FirstRead: a study needs to be read first"


def ranked(study: Study, results: Sequence[Result]) -> Study:
    """Return the study with the risk and status that its results give it.

    Parameters
    ----------
    study
        The head; `results` are those on its current version.
    results
        In any order; each looked at anew each time, so that order and repetition do not matter.
    """
    waiting = set(study.models) - {result.model_id for result in results}
    failed = any(result.status is ResultStatus.FAILED for result in results)
    if waiting:
        status = AnalysisStatus.ANALYSING
    else:
        status = AnalysisStatus.FAILED if failed else AnalysisStatus.ANALYSED
    risks = [result.risk for result in results] + [Risk.UNKNOWN] * bool(waiting or not results)
    unfinished = bool(waiting) or failed
    if unfinished and study.risk is Risk.HIGH:
        risks.append(Risk.HIGH)  # what an earlier version was flagged for stands until this one is complete
    risk = min(risks, key=lambda each: each.order)
    seen = study.gathering
    if (seen.held_count or seen.unread_count) and risk is Risk.NOT_FLAGGED:
        risk = Risk.UNKNOWN  # part of the study was never looked at
    probabilities = [result.probability for result in results if result.probability is not None]
    if unfinished and study.probability is not None:
        probabilities.append(study.probability)
    return study.model_copy(
        update={"status": status, "risk": risk, "probability": max(probabilities, default=None)}
    )


def alert_for(study: Study, results: Sequence[Result], at: str) -> Alert | None:
    """Return the alert a study needs, or None; only recent studies alert (design.md §2.7)."""
    high = [result for result in results if result.risk is Risk.HIGH]
    if not high or study.alert_id or not study.gathering.is_recent:
        return None
    first = min(high, key=lambda result: result.model_id)
    return Alert(
        alert_id=uuid.uuid4().hex,
        study_uid=study.study_uid,
        result_id=first.result_id,
        risk=Risk.HIGH,
        model_id=first.model_id,
        simulated=study.gathering.simulated,
        state=AlertState.CREATED,
        created_at=at,
    )


@dataclass(frozen=True)
class RankAndAlert:
    """The step `alert`.

    Parameters
    ----------
    studies, results, alerts
        The records.
    topic
        Where notices are published.
    portal_url
        Root of the portal, without a slash at the end.
    clock
        The present moment.
    """

    studies: StudyRepository
    results: ResultRepository
    alerts: AlertRepository
    topic: Topic
    portal_url: str
    clock: Callable[[], datetime] = now

    def result(self, event: ResultRecorded) -> Alert | None:
        """Rank the study and alert; a result on a version that is no longer current changes nothing.

        Returns
        -------
        Alert or None
            The alert whose notice was published because of this event.
        """
        alert: Alert | None = None

        def decide(study: Study | None) -> Study | None:
            nonlocal alert
            alert = None
            if study is None or study.version != event.version:
                return None
            # After the study: whoever overtakes this look has changed the study, and the write fails.
            results = self.results.of_version(event.study_uid, event.version)
            changed = ranked(study, results)
            alert = alert_for(changed, results, to_text(self.clock()))
            if alert is not None:
                changed = changed.model_copy(update={"alert_id": alert.alert_id})
            return None if changed == study else changed

        self.studies.change(event.study_uid, decide, also=lambda _study: [new_alert(alert)] if alert else [])
        study = self.studies.get(event.study_uid)
        return self._publish(study.alert_id, event.correlation_id) if study and study.alert_id else None

    def _publish(self, alert_id: str, correlation_id: str) -> Alert | None:
        """Publish an alert that nobody was told of; at least once, and never for one further along."""
        alert = self.alerts.get(alert_id)
        if alert is None or alert.state is not AlertState.CREATED:
            return None
        notice = AlertNotice(
            alert_id=alert.alert_id,
            risk=alert.risk.value,
            model=alert.model_id,
            simulated=alert.simulated,
            link=f"{self.portal_url}/alerts/{alert.alert_id}",
            correlation_id=correlation_id,
        )
        subject = f"[SIMULATED] {_SUBJECT}" if alert.simulated else _SUBJECT
        self.topic.publish(notice, subject)
        delivered_at = to_text(self.clock())
        self.alerts.mark_delivered(alert, delivered_at)
        return alert.model_copy(update={"delivered_at": delivered_at})
