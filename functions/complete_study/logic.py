"""A quiet timer fired -> a new study version with its analyses, or another wait."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from firstread.clock import from_text, now, to_text
from firstread.environment import QuietSettings
from firstread.messages import AnalyzeRequest, Message, QuietTimer
from firstread.queues import MAX_DELAY_SECONDS, Queue
from firstread.records.instances import InstanceRepository
from firstread.records.results import ModelRepository
from firstread.records.studies import StudyRepository, new_version
from firstread.routing import Route, route
from firstread.study import AnalysisStatus, Instance, Risk, Study, StudyVersion


def complete(study: Study, instances: list[Instance], chosen: Route, at: datetime) -> Study | None:
    """Return the study with its next version, or None where the version it has is up to date.

    Parameters
    ----------
    study
        The head as it is.
    instances
        All its instances now.
    chosen
        The routing of these instances.
    at
        The moment of completion.
    """
    # Instances only get more: fewer are an older look, which never makes a version behind a newer one.
    if study.version_count >= len(instances):
        return None
    if not any(instance.studies_key for instance in instances):
        status = AnalysisStatus.HELD
    else:
        status = AnalysisStatus.ANALYSING if chosen.models else AnalysisStatus.NO_MODEL
    return study.model_copy(
        update={
            "version": study.version + 1,
            "version_count": len(instances),
            "completed_at": to_text(at),
            "status": status,
            # A high risk stands until the new version's own results say otherwise: a late image must not let
            # a study sink that somebody was alerted to.
            "risk": study.risk if study.risk is Risk.HIGH else Risk.UNKNOWN,
            "probability": study.probability if study.risk is Risk.HIGH else None,
            "models": chosen.models,
            "not_applicable": chosen.not_applicable,
        }
    )


def frozen(study: Study) -> StudyVersion:
    """Return the version record of a study that was just completed."""
    return StudyVersion(
        study_uid=study.study_uid,
        version=study.version,
        completed_at=study.completed_at,
        instance_count=study.version_count,
        held_count=study.gathering.held_count,
        models=study.models,
        not_applicable=study.not_applicable,
    )


@dataclass(frozen=True)
class CompleteStudy:
    """The step `complete_study`.

    Parameters
    ----------
    instances, studies, models
        The records.
    timers
        Queue of quiet-time checks, to wait longer than one delay.
    quiet
        Quiet time per modality.
    clock
        The present moment.
    """

    instances: InstanceRepository
    studies: StudyRepository
    models: ModelRepository
    timers: Queue
    quiet: QuietSettings
    clock: Callable[[], datetime] = now

    def check(self, timer: QuietTimer) -> None:
        """Complete the study if it has been quiet since the timer's arrival; wait on where it is too early."""
        study = self.studies.get(timer.study_uid)
        if study is None or study.gathering.last_arrival != timer.last_arrival:
            return  # a later arrival has a timer of its own
        wait = self.quiet.quiet_time(frozenset(study.gathering.modalities))
        left = from_text(timer.last_arrival) + timedelta(seconds=wait) - self.clock()
        if left > timedelta(0):
            self.timers.send(timer, delay_seconds=min(ceil(left.total_seconds()), MAX_DELAY_SECONDS))
            return
        self._complete(timer)

    def _complete(self, timer: QuietTimer) -> None:
        found = self.instances.of_study(timer.study_uid)
        chosen = route(self.models.all(), found)
        at = self.clock()

        def decide(study: Study | None) -> Study | None:
            if study is None or study.gathering.last_arrival != timer.last_arrival:
                return None
            return complete(study, found, chosen, at)

        self.studies.change(
            timer.study_uid, decide, also=lambda study: [new_version(frozen(study), requests(study))]
        )


def requests(study: Study) -> dict[str, Message]:
    """Return one analyze request per model, by outbox id."""
    return {
        f"analyze#{study.study_uid}#v{study.version:06d}#{model}": AnalyzeRequest(
            study_uid=study.study_uid, version=study.version, model_id=model
        )
        for model in study.models
    }
