"""Which objects of a study a reader may have: its images, and the results on its current version."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import NamedTuple

from firstread.gathering.summary import present
from firstread.policy import Action, Actor, can
from firstread.result import ObjectKind, ResultObject
from firstread.study import InstanceFacts, InstanceState, Study
from portal.errors import MissingError
from portal.logic.dicomweb.keeping import Renewed
from portal.logic.records import Records, resource_for
from portal.logic.review.overlay import OverlayPolicy, is_kept_back

_SECONDS = 10.0
_KEPT_OBJECTS = 50_000


class Place(Enum):
    """Which bucket an object is in."""

    STUDIES = "studies"
    RESULTS = "results"


@dataclass(frozen=True)
class Held:
    """One DICOM object that a reader may have.

    Parameters
    ----------
    key
        In its bucket; names the content, so what is made of it can be kept.
    facts
        What is known of an image; None for an object of a result.
    shows
        What whoever has it looks at: images, what a model says, or a signed report.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    place: Place
    key: str
    facts: InstanceFacts | None = None
    shows: Action = Action.IMAGE_VIEW


class _Rights(NamedTuple):
    """Which kinds of objects of a study a reader may have."""

    images: bool
    reports: bool
    results: bool

    @classmethod
    def of(cls, records: Records, study: Study, actor: Actor, policy: OverlayPolicy) -> "_Rights":
        """Ask the policy; results of models are kept back until the reader has said what they see."""
        resource = resource_for(records, study, actor)
        images, reports, results = (
            can(actor, action, resource).allowed
            for action in (Action.IMAGE_VIEW, Action.REPORT_VIEW, Action.OVERLAY_VIEW)
        )
        return cls(images, reports, results and not is_kept_back(policy, study, actor, records.reviews))


def _objects_of(records: Records, study: Study, rights: _Rights) -> list[Held]:
    """Return the objects of a study, images first, each series in the order of its instances.

    Left out is what is held, withdrawn or discarded, what a model in shadow says, and what the reader may not have.
    """
    found: list[Held] = []
    if rights.images:
        found += _images(records, study)
    if rights.reports and study.signed_version > 0:
        for review in records.reviews.of_study(study.study_uid):
            found += _results(study, review.objects, Action.REPORT_VIEW)
    if rights.results and study.version > 0:
        for result in records.results.of_version(study.study_uid, study.version):
            if not result.shadow:
                found += _results(study, result.objects, Action.OVERLAY_VIEW)
    return found


def segmentations_of(records: Records, study: Study, version: int, model_id: str = "") -> list[Held]:
    """Return the segmentations of shown results on a version of a study.

    Parameters
    ----------
    version
        The current one, or one that it supersedes. Lists of DICOMweb hold the current one only.
    model_id
        Of one model; "" for all.
    """
    found: list[Held] = []
    for result in records.results.of_version(study.study_uid, version):
        if not result.shadow and model_id in ("", result.model_id):
            found += _results(
                study,
                (each for each in result.objects if each.kind is ObjectKind.SEGMENTATION),
                Action.OVERLAY_VIEW,
            )
    return found


class ObjectLists:
    """Lists of objects, kept for some seconds: a viewer asks for each slice of a series.

    A list is of one state of the study's head, so that a late, withdrawn or corrected image counts as soon as the head
    knows; what only a result changes counts after some seconds. One request reads a list anew, and those beside it
    take the one before meanwhile: a reader who scrolls has several frames on their way at once.

    Parameters
    ----------
    records
        Where the objects are named.
    policy
        When readers see what models say.
    tick
        Seconds from anywhere.
    """

    def __init__(
        self, records: Records, policy: OverlayPolicy, tick: Callable[[], float] = monotonic
    ) -> None:
        self._records = records
        self._policy = policy
        self._lists: Renewed[list[Held]] = Renewed(
            _KEPT_OBJECTS, lambda found: 1 + len(found), _SECONDS, tick
        )

    def of(self, study: Study, actor: Actor) -> list[Held]:
        """Return the objects of a study that a reader may have, as `_objects_of` does."""
        seen = study.gathering
        rights = _Rights.of(self._records, study, actor, self._policy)
        key = (
            study.study_uid,
            seen.fingerprint,
            seen.last_arrival,
            study.version,
            study.status,
            study.signed_at,
            rights,
        )
        return self._lists.get(key, lambda: _objects_of(self._records, study, rights))


def of_series(objects: Iterable[Held], series_uid: str) -> list[Held]:
    """Return the objects of one series.

    Raises
    ------
    MissingError
        If there are none.
    """
    found = [each for each in objects if each.series_uid == series_uid]
    if not found:
        raise MissingError("no such series")
    return found


def by_series(objects: Iterable[Held]) -> dict[str, list[Held]]:
    """Return the objects by series, in the order in which the series come."""
    found: dict[str, list[Held]] = {}
    for each in objects:
        found.setdefault(each.series_uid, []).append(each)
    return found


def _images(records: Records, study: Study) -> list[Held]:
    found = [
        Held(
            study_uid=study.study_uid,
            series_uid=each.facts.series_uid,
            sop_uid=each.sop_uid,
            sop_class_uid=each.facts.sop_class_uid,
            place=Place.STUDIES,
            key=each.studies_key,
            facts=each.facts,
        )
        for each in present(records.instances.of_study(study.study_uid))
        if each.state is InstanceState.STORED and each.studies_key
    ]
    return sorted(found, key=_order)


def _order(held: Held) -> tuple[int, str, int, str]:
    facts = held.facts
    series = facts.series_number if facts else None
    number = facts.instance_number if facts else None
    return (series or 0, held.series_uid, number or 0, held.sop_uid)


def _results(study: Study, objects: Iterable[ResultObject], shows: Action) -> list[Held]:
    return [
        Held(
            study_uid=study.study_uid,
            series_uid=each.series_uid,
            sop_uid=each.sop_uid,
            sop_class_uid=each.sop_class_uid,
            place=Place.RESULTS,
            key=each.key,
            shows=shows,
        )
        for each in objects
        if each.sop_class_uid and each.sop_uid and each.series_uid
    ]
