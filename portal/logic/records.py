"""The repositories the portal reads."""

from dataclasses import dataclass, field

from firstread.policy import Resource
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.communications import CommunicationRepository
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.reviews import ReviewRepository
from firstread.records.studies import StudyRepository
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


def resource_of(study: Study) -> Resource:
    """Return what the policy asks about a study."""
    return Resource(
        study_uid=study.study_uid, simulated=study.gathering.simulated, signed=study.signed_version > 0
    )
