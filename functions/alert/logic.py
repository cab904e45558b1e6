"""A result was recorded -> the study's place on the worklist and, where the risk is high, an alert."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from firstread.alert import Alert, AlertState, Call, Closing, closing_of, covered, high_findings
from firstread.alerting import AlertingPolicy, patient_class_of
from firstread.clock import now, to_text
from firstread.errors import TransientError
from firstread.gathering.requests import requests
from firstread.gathering.summary import present
from firstread.messages import AlertLook, ResultRecorded
from firstread.notices import Notices
from firstread.policy import Actor, Role
from firstread.recognition import completed, recognised
from firstread.records.alerts import AlertRepository, creation, new_alert
from firstread.records.audit import audited
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.outbox import posted
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.records.transactions import Addition, ConditionFailedError
from firstread.result import Result, ResultStatus
from firstread.routing import RegisteredModel, route
from firstread.schedules import Schedules
from firstread.study import AnalysisStatus, Instance, Risk, Study

_ACTOR = Actor("alert", Role.SERVICE)
_TRIES = 5


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


def alert_for(
    study: Study, results: Sequence[Result], last: Alert | None, policy: AlertingPolicy, at: datetime
) -> Alert | None:
    """Return the new alert that a study needs, or None.

    Parameters
    ----------
    study
        The head; `results` are those on its current version.
    last
        The study's last alert. While it is open it also stands for what is new; afterwards only findings that it did
        not call for make another alert.
    policy
        Which studies alert at all.
    at
        The present moment.
    """
    found = high_findings(results)
    if not found or closing_of(study) is not None or not policy.may_alert(study, at):
        return None
    known = covered(last)
    if (last is not None and last.is_open) or found <= known:
        return None
    high = [result for result in results if high_findings([result]) - known]
    first = min(high, key=lambda result: result.model_id)
    return Alert(
        alert_id=uuid.uuid4().hex,
        study_uid=study.study_uid,
        result_id=first.result_id,
        risk=Risk.HIGH,
        model_id=first.model_id,
        simulated=study.gathering.simulated,
        state=AlertState.CREATED,
        created_at=to_text(at),
        version=study.version,
        findings=tuple(sorted(found | known)),
        patient_class=patient_class_of(study.patient_class).value,
    )


@dataclass(frozen=True)
class RankAndAlert:
    """The step `alert`.

    Parameters
    ----------
    studies, results, alerts, instances, models
        The records.
    notices
        Calls people.
    deadlines
        Where looks at alerts are scheduled.
    policy
        When, whom and how an alert calls.
    created
        Told of an alert that was created.
    clock
        The present moment.
    """

    studies: StudyRepository
    results: ResultRepository
    alerts: AlertRepository
    instances: InstanceRepository
    models: ModelRepository
    notices: Notices
    deadlines: Schedules
    policy: AlertingPolicy = field(default_factory=AlertingPolicy)
    created: Callable[[Alert], None] = lambda _alert: None
    clock: Callable[[], datetime] = now

    def result(self, event: ResultRecorded) -> Alert | None:
        """Rank the study and alert; a result on a version that is no longer current changes nothing.

        Returns
        -------
        Alert or None
            The alert whose notice was published because of this event.

        Raises
        ------
        TransientError
            If others kept changing the study or writing about it.
        """
        self._rank(event)
        study = self.studies.get(event.study_uid)
        if study is None or not study.alert_id:
            return None
        if study.version == event.version:
            self._follow(study)
        return self._deliver(study, event.correlation_id)

    def _rank(self, event: ResultRecorded) -> None:
        for _ in range(_TRIES):
            try:
                self._ranked(event)
            except ConditionFailedError:
                continue  # somebody else wrote about the study in its audit trail
            return
        raise TransientError("others kept writing about the study")

    def _ranked(self, event: ResultRecorded) -> None:
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
            last = self.alerts.get(study.alert_id) if study.alert_id else None
            alert = alert_for(changed, results, last, self.policy, self.clock())
            if alert is not None:
                changed = changed.model_copy(update={"alert_id": alert.alert_id})
            return None if changed == study else changed

        def also(changed: Study) -> list[Addition]:
            more = set(changed.models) | set(changed.beside)
            found = [posted(requests(changed, sorted(more - before)))] if more - before else []
            return found + ([new_alert(alert), audited(creation(alert, _ACTOR))] if alert else [])

        written = self.studies.change(event.study_uid, decide, also=also)
        if written is not None and alert is not None:
            self.created(alert)

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

    def _follow(self, study: Study) -> None:
        """Let the study's alert follow its newest version: stand for what is new, or be retired."""
        alert = self.alerts.get(study.alert_id)
        if alert is None or alert.state is AlertState.CLOSED:
            return
        at = to_text(self.clock())
        found = high_findings(self.results.of_version(study.study_uid, study.version))
        if found and alert.is_open:
            self.alerts.inherit(alert.alert_id, study.version, found, _ACTOR, at)
        elif not found and study.version > alert.version and study.risk is not Risk.HIGH:
            # High risk stands for as long as an answer is awaited: see `ranked`.
            self.alerts.close(alert.alert_id, Closing.RETIRED, _ACTOR, at)

    def _deliver(self, study: Study, correlation_id: str) -> Alert | None:
        """Call the first level of an alert that nobody was told of; at least once, and never for one further along.

        Every later level gets its deadline now: the loss of one must not silence those after it.
        """
        alert = self.alerts.get(study.alert_id)
        if alert is None or alert.state is not AlertState.CREATED:
            return None
        at = self.clock()
        urgency = patient_class_of(study.patient_class)
        first, *later = self.policy.calls(urgency, at)
        self.notices.call(alert, first.group, first.level, correlation_id)
        for each in later:
            look = AlertLook(alert_id=alert.alert_id, level=each.level, correlation_id=correlation_id)
            self.deadlines.once(f"{alert.alert_id}-{each.level}", each.at, look)
        call = Call(level=first.level, group=first.group, at=to_text(self.clock()))
        due_at = to_text(self.policy.deadline(urgency, at))
        return self.alerts.deliver(alert.alert_id, call, due_at, _ACTOR)
