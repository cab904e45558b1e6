"""An instance was recorded -> the study's counts on its head, and a timer for its quiet time."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from firstread.environment import QuietSettings
from firstread.messages import QuietTimer
from firstread.queues import MAX_DELAY_SECONDS, Queue
from firstread.records.instances import InstanceRepository
from firstread.records.studies import StudyRepository
from firstread.study import AnalysisStatus, Instance, InstanceState, Study, StudyGathering


def gathering(study_uid: str, instances: Iterable[Instance]) -> StudyGathering:
    """Return what the instances of a study say together; there must be at least one."""
    found = sorted(instances, key=lambda instance: (instance.received_at, instance.sop_uid))
    facts = [instance.facts for instance in found]
    return StudyGathering(
        study_uid=study_uid,
        patient=found[0].patient,
        stored_count=sum(instance.state is InstanceState.STORED for instance in found),
        held_count=sum(instance.state is InstanceState.HELD for instance in found),
        first_arrival=found[0].received_at,
        # The moment of recording: what the timer waits for is that nothing new gets recorded.
        last_arrival=max(instance.stored_at for instance in found),
        modalities=tuple(sorted({fact.modality for fact in facts if fact.modality})),
        body_parts=tuple(sorted({fact.body_part for fact in facts if fact.body_part})),
        description=next(
            (text for fact in facts for text in (fact.study_description, fact.series_description) if text), ""
        ),
        age_years=next((fact.age_years for fact in facts if fact.age_years is not None), None),
        sex=next((fact.sex for fact in facts if fact.sex), ""),
        # One undated image must not silence an alert, and one marked image must not discount the others.
        is_recent=any(fact.is_recent for fact in facts),
        simulated=all(fact.simulated for fact in facts),
    )


def merged(study: Study | None, seen: StudyGathering) -> Study | None:
    """Return the study with a newer gathering, or None where it already knows as much.

    Parameters
    ----------
    study
        The head as it is, or None for a new study.
    seen
        What a Query found. Counts only grow, so an older look never replaces a newer one.
    """
    if study is None:
        return Study(gathering=seen)
    if seen.count <= study.gathering.count:
        return None
    # A version that was closed between the Query of this look and its write may have these instances already.
    status = AnalysisStatus.RECEIVING if seen.count > study.version_count else study.status
    return study.model_copy(update={"gathering": seen, "status": status})


@dataclass(frozen=True)
class Gather:
    """The step `gather`.

    Parameters
    ----------
    instances, studies
        The records.
    timers
        Queue of quiet-time checks.
    quiet
        Quiet time per modality.
    """

    instances: InstanceRepository
    studies: StudyRepository
    timers: Queue
    quiet: QuietSettings

    def study(self, study_uid: str) -> None:
        """Count a study's instances; where they are more than it knew, wait for it to become quiet."""
        found = self.instances.of_study(study_uid)
        if not found:
            return
        seen = gathering(study_uid, found)
        self.studies.change(study_uid, lambda study: merged(study, seen))
        head = self.studies.get(study_uid)
        if head is None or head.gathering.last_arrival != seen.last_arrival:
            return  # somebody saw more, and starts the timer that counts
        # Also where the head was written before: a process that died between the two writes sent no timer.
        # A second timer of the same arrival is harmless.
        wait = self.quiet.quiet_time(frozenset(seen.modalities))
        self.timers.send(
            QuietTimer(study_uid=study_uid, last_arrival=seen.last_arrival),
            delay_seconds=min(ceil(wait), MAX_DELAY_SECONDS),
        )
