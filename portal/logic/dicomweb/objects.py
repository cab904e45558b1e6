"""Which objects of a study a reader may have: its images, and the results on its current version."""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import NamedTuple

from firstread.dicomweb.held import Held, Place, images_of
from firstread.policy import Action, Actor, can
from firstread.result import ObjectKind, ResultObject
from firstread.study import Study
from portal.errors import MissingError
from portal.logic.dicomweb.covered import is_whole
from portal.logic.dicomweb.documents import Documents
from portal.logic.dicomweb.keeping import Renewed
from portal.logic.records import Records, resource_for
from portal.logic.review.overlay import OverlayPolicy, is_kept_back

_SECONDS = 10.0
_KEPT_OBJECTS = 50_000


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


def _objects_of(records: Records, study: Study, rights: _Rights, documents: Documents) -> list[Held]:
    """Return the objects of a study, images first, each series in the order of its instances.

    Left out is what is held, withdrawn or discarded, what a model in shadow says, what it drew on an image that was
    withdrawn since, and what the reader may not have.
    """
    images = images_of(records.instances.of_study(study.study_uid))
    found = list(images) if rights.images else []
    if rights.reports and study.signed_version > 0:
        for review in records.reviews.of_study(study.study_uid):
            found += _results(study, review.objects, Action.REPORT_VIEW)
    if rights.results and study.version > 0:
        for result in records.results.of_version(study.study_uid, study.version):
            if not result.shadow:
                kept = _still_covered(study, result.objects, images, documents)
                found += _results(study, kept, Action.OVERLAY_VIEW)
    return found


def _still_covered(
    study: Study, objects: Iterable[ResultObject], images: Iterable[Held], documents: Documents
) -> Iterator[ResultObject]:
    """Yield the objects of a result on the current version, less segmentations on images that are gone.

    A rejection note counts at once, and the version without the image is closed some time later.
    """
    changed = study.gathering.fingerprint != study.version_fingerprint
    here = {each.sop_uid for each in images}
    for each in objects:
        if changed and each.kind is ObjectKind.SEGMENTATION:
            for held in _results(study, [each], Action.OVERLAY_VIEW):
                if is_whole(documents.dataset([held], held), here):
                    yield each
        else:
            yield each


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
    documents
        The metadata of segmentations: which images they are drawn on.
    tick
        Seconds from anywhere.
    """

    def __init__(
        self,
        records: Records,
        policy: OverlayPolicy,
        documents: Documents,
        tick: Callable[[], float] = monotonic,
    ) -> None:
        self._records = records
        self._policy = policy
        self._documents = documents
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
        return self._lists.get(key, lambda: _objects_of(self._records, study, rights, self._documents))


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
