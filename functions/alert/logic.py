"""A result was recorded -> the study's place on the worklist and, where the risk is high, an alert."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from firstread.alert import Alert, AlertState
from firstread.clock import now, to_text
from firstread.gathering.requests import requests
from firstread.gathering.summary import present
from firstread.messages import AlertNotice, ResultRecorded
from firstread.queues import Topic
from firstread.recognition import completed, recognised
from firstread.records.alerts import AlertRepository, new_alert
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.outbox import posted
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.records.transactions import Addition
from firstread.result import Result, ResultStatus
from firstread.routing import RegisteredModel, route
from firstread.study import AnalysisStatus, Instance, Risk, Study

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
    if not study.models:
        return study  # only models beside the worklist had something to say
    # A model may have been put in shadow after it was asked: its answer still ends the waiting.
    waiting = set(study.models) - {result.model_id for result in results}
    results = [result for result in results if not result.beside]
    looked = [result for result in results if result.status is not ResultStatus.SKIPPED]
    failed = any(result.status is ResultStatus.FAILED for result in results)
    if waiting:
        status = AnalysisStatus.ANALYSING
    else:
        done = AnalysisStatus.ANALYSED if looked else AnalysisStatus.NO_MODEL
        status = AnalysisStatus.FAILED if failed else done
    # What was only measured says nothing of risk: it neither raises a study nor lets it sink.
    assessed = [result.risk for result in looked if result.status is ResultStatus.FAILED or result.assesses]
    risks = assessed + [Risk.UNKNOWN] * bool(waiting or not assessed)
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


def widened(
    study: Study, results: Sequence[Result], models: Iterable[RegisteredModel], instances: Iterable[Instance]
) -> Study:
    """Return the study with the models that apply once pixels have said what headers do not.

    Parameters
    ----------
    study
        The head; `results` are those on its current version.
    models, instances
        As for the routing of that version.
    """
    seen = recognised(results)
    if not seen:
        return study
    now_fits = route(models, completed(instances, seen))
    more = [model for model in now_fits.models if model not in study.models]
    beside = [model for model in now_fits.beside if model not in (*study.beside, *study.models)]
    if not more and not beside:
        return study
    refused = {model: reason for model, reason in study.not_applicable.items() if model not in more}
    return study.model_copy(
        update={
            "models": (*study.models, *more),
            "beside": (*study.beside, *beside),
            "not_applicable": refused,
        }
    )


def alert_for(study: Study, results: Sequence[Result], at: str) -> Alert | None:
    """Return the alert a study needs, or None; only recent studies alert (design.md §2.7)."""
    high = [result for result in results if result.risk is Risk.HIGH and not result.beside]
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
    studies, results, alerts, instances, models
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
    instances: InstanceRepository
    models: ModelRepository
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

        before: set[str] = set()

        def decide(study: Study | None) -> Study | None:
            nonlocal alert, before
            alert = None
            if study is None or study.version != event.version:
                return None
            before = {*study.models, *study.beside}
            # After the study: whoever overtakes this look has changed the study, and the write fails.
            results = self.results.of_version(event.study_uid, event.version)
            changed = ranked(self._widened(study, results), results)
            alert = alert_for(changed, results, to_text(self.clock()))
            if alert is not None:
                changed = changed.model_copy(update={"alert_id": alert.alert_id})
            return None if changed == study else changed

        def also(changed: Study) -> list[Addition]:
            more = set(changed.models) | set(changed.beside)
            asked = posted(requests(changed, sorted(more - before))) if more - before else None
            return [each for each in (asked, new_alert(alert) if alert else None) if each is not None]

        self.studies.change(event.study_uid, decide, also=also)
        study = self.studies.get(event.study_uid)
        return self._publish(study.alert_id, event.correlation_id) if study and study.alert_id else None

    def _widened(self, study: Study, results: Sequence[Result]) -> Study:
        if not recognised(results):
            return study  # the usual case needs no further reading
        version = self.studies.version(study.study_uid, study.version)
        found = [
            each
            for each in present(self.instances.of_study(study.study_uid))
            if version is not None and each.stored_at <= version.completed_at
        ]
        return widened(study, results, self.models.all(), found)

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
