"""The repositories the portal reads."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from firstread.policy import Actor, Resource, Role, Teaching
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.communications import CommunicationRepository
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.reviews import ReviewRepository
from firstread.records.studies import StudyRepository
from firstread.records.teaching import TeachingRepository, handed_in
from firstread.study import Study


@dataclass(frozen=True)
class Records:
    """One of each repository; tests may put others in their place."""

    studies: StudyRepository = field(default_factory=StudyRepository)
    instances: InstanceRepository = field(default_factory=InstanceRepository)
    results: ResultRepository = field(default_factory=ResultRepository)
    models: ModelRepository = field(default_factory=ModelRepository)
    alerts: AlertRepository = field(default_factory=AlertRepository)
    reviews: ReviewRepository = field(default_factory=ReviewRepository)
    audit: AuditTrail = field(default_factory=AuditTrail)
    communications: CommunicationRepository = field(default_factory=CommunicationRepository)
    teaching: TeachingRepository = field(default_factory=TeachingRepository)


def resource_of(study: Study) -> Resource:
    """Return what the policy asks about a study, but for what it is to a learner: that stays unknown."""
    return Resource(
        study_uid=study.study_uid, simulated=study.gathering.simulated, signed=study.signed_version > 0
    )


def resource_for(records: Records, study: Study, actor: Actor) -> Resource:
    """Return what the policy asks about a study that somebody wants to see."""
    resource = resource_of(study)
    if actor.role is not Role.STUDENT:
        return resource
    is_case = records.teaching.is_case(study.study_uid)
    done = is_case and bool(handed_in(records.teaching.attempts(actor.name, study.study_uid)))
    return replace(resource, teaching=_standing(is_case, done))


def resources_for(records: Records, actor: Actor) -> Callable[[Study], Resource]:
    """Return what gives `resource_for` of many studies, with two queries for all of them."""
    if actor.role is not Role.STUDENT:
        return resource_of
    cases, done = records.teaching.studies(), handed_in(records.teaching.attempts(actor.name))
    return lambda study: replace(
        resource_of(study), teaching=_standing(study.study_uid in cases, study.study_uid in done)
    )


def _standing(is_case: bool, done: bool) -> Teaching:
    if not is_case:
        return Teaching.NONE
    return Teaching.REVEALED if done else Teaching.CASE
