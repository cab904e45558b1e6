"""The versions of a study: what each had, what came or was withdrawn since, and what models said of it.

A version that is superseded is looked at and never judged: reviews are of the current one (`portal.logic.review`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from firstread.gathering.summary import fingerprint, present
from firstread.policy import Action, Actor, can
from firstread.result import Result
from firstread.routing import RegisteredModel
from firstread.study import Instance, Study, StudyVersion
from portal.errors import MissingError
from portal.logic.display import closing_words, when
from portal.logic.models import ModelView, digest_of_overlay, model_view, title_of
from portal.logic.records import Records, resource_for
from portal.logic.study import SeriesView, is_image, series_of
from portal.logic.worklist import View


class VersionModelView(View):
    """That a model has a result on a version."""

    model_id: str
    title: str
    state: str
    finished: str
    finding_count: int


class VersionView(View):
    """One version of a study, in a list.

    Parameters
    ----------
    words
        Which one it is, such as ``version 2 of 3, superseded``.
    closed_words
        Why it was closed; "" where nothing is recorded.
    change_words
        What came or was withdrawn since the version before; "" for the first one.
    image_count, held_count, withdrawn_count
        As it was closed; held instances are among the first number.
    series_uids
        Of the images that can be shown.
    models
        Empty for who may not see findings, or not yet.
    """

    version: int
    words: str
    is_current: bool
    completed: str
    closed_words: str
    change_words: str
    image_count: int
    held_count: int
    withdrawn_count: int
    series_uids: tuple[str, ...]
    shows_findings: bool
    models: tuple[VersionModelView, ...]


class VersionDetail(VersionView):
    """What one version of a study had, and what models said of it.

    Parameters
    ----------
    series
        Its images, as far as they still are part of the study: what was withdrawn since is shown in no version.
    gone_count
        How many of its images were withdrawn or given up since.
    is_exact
        Whether these are known to be its images: the fingerprint that was recorded is theirs. An image that was
        corrected or released since is not what it was.
    results
        What models said of it.
    """

    series: tuple[SeriesView, ...]
    gone_count: int
    is_exact: bool
    results: tuple[ModelView, ...]


@dataclass(frozen=True)
class Seen:
    """A version and its images, as far as they can be told.

    Parameters
    ----------
    here, gone
        Its instances that still are part of the study, and how many are not.
    """

    version: StudyVersion
    here: tuple[Instance, ...]
    gone: int
    is_exact: bool

    @property
    def images(self) -> frozenset[str]:
        """Return the SOP Instance UIDs of the images that can be shown."""
        return frozenset(each.sop_uid for each in self.here if is_image(each))


def read_versions(
    records: Records, study: Study, actor: Actor, *, kept_back: bool
) -> tuple[VersionView, ...]:
    """Return the versions of a study, the first one first.

    Parameters
    ----------
    records, study
        Where they are, and of which study.
    actor
        The reader, who may see the study.
    kept_back
        Whether findings are to be kept from the reader for now; what was said of an earlier version is one.
    """
    shows = _shows_findings(records, study, actor, kept_back=kept_back)
    known = {model.model_id: model for model in records.models.all()} if shows else {}
    everything = records.instances.of_study(study.study_uid) if _shows_images(records, study, actor) else []
    found = [each for each in records.studies.versions(study.study_uid) if each.version <= study.version]
    before: list[StudyVersion | None] = [None, *found]
    return tuple(
        VersionView.model_validate(
            _head(study, each, earlier, shows)
            | {
                "models": _summaries(_results(records, each), known) if shows else (),
                "series_uids": _series_uids(_see(each, everything).here),
            }
        )
        for each, earlier in zip(found, before, strict=False)
    )


def read_version(
    records: Records, study: Study, number: int, actor: Actor, *, kept_back: bool
) -> VersionDetail:
    """Return one version of a study; parameters are as in `read_versions`.

    Raises
    ------
    MissingError
        If there is no such version.
    """
    seen = see_version(records, study, number)
    earlier = records.studies.version(study.study_uid, number - 1)
    images = seen.here if _shows_images(records, study, actor) else ()
    shows = _shows_findings(records, study, actor, kept_back=kept_back)
    known = {model.model_id: model for model in records.models.all()} if shows else {}
    results = _results(records, seen.version) if shows else []
    overlays = can(actor, Action.OVERLAY_VIEW, resource_for(records, study, actor)).allowed
    return VersionDetail.model_validate(
        _head(study, seen.version, earlier, shows)
        | {
            "models": _summaries(results, known),
            "series_uids": _series_uids(images),
            "series": series_of(images),
            "gone_count": seen.gone,
            "is_exact": seen.is_exact,
            "results": tuple(
                _shown(model_view(each.model_id, each, known, overlays, version=number), seen.images)
                for each in results
            ),
        }
    )


def see_version(records: Records, study: Study, number: int) -> Seen:
    """Return a version with its images.

    Which images a version had is not written down: they are those that were recorded when it was closed, and the
    fingerprint says whether they are still the same.

    Raises
    ------
    MissingError
        If there is no such version.
    """
    version = records.studies.version(study.study_uid, number) if 0 < number <= study.version else None
    if version is None:
        raise MissingError("no such version")
    return _see(version, records.instances.of_study(study.study_uid))


def _see(version: StudyVersion, everything: Collection[Instance]) -> Seen:
    then = [each for each in everything if each.stored_at <= version.completed_at]
    now = {each.sop_uid for each in present(everything)}
    had = present(then)
    here = tuple(each for each in had if each.sop_uid in now)
    return Seen(version, here, len(had) - len(here), fingerprint(then) == version.fingerprint)


def find_version_overlay(records: Records, study: Study, number: int, digest: str) -> str | None:
    """Return the key of an overlay that a shown result on a version names, on an image that is still there, or None.

    Raises
    ------
    MissingError
        If there is no such version.
    """
    seen = see_version(records, study, number)
    for result in _results(records, seen.version):
        for finding in result.findings:
            key = finding.overlay_key
            if key and digest_of_overlay(key) == digest and finding.sop_uid in seen.images:
                return key
    return None


def _shows_findings(records: Records, study: Study, actor: Actor, *, kept_back: bool) -> bool:
    return not kept_back and can(actor, Action.FINDING_VIEW, resource_for(records, study, actor)).allowed


def _shows_images(records: Records, study: Study, actor: Actor) -> bool:
    return can(actor, Action.IMAGE_VIEW, resource_for(records, study, actor)).allowed


def _series_uids(instances: Collection[Instance]) -> tuple[str, ...]:
    return tuple(sorted({each.facts.series_uid for each in instances if is_image(each)}))


def _results(records: Records, version: StudyVersion) -> list[Result]:
    found = records.results.of_version(version.study_uid, version.version)
    return [each for each in found if not each.shadow]


def _head(
    study: Study, version: StudyVersion, earlier: StudyVersion | None, shows: bool
) -> dict[str, object]:
    is_current = version.version == study.version
    standing = "current" if is_current else "superseded"
    return {
        "version": version.version,
        "words": f"version {version.version} of {study.version}, {standing}",
        "is_current": is_current,
        "completed": when(version.completed_at),
        "closed_words": closing_words(version.closed_by),
        "change_words": change_words(version, earlier),
        "image_count": version.instance_count,
        "held_count": version.held_count,
        "withdrawn_count": version.withdrawn_count,
        "shows_findings": shows,
    }


def change_words(version: StudyVersion, earlier: StudyVersion | None) -> str:
    """Return what came or was withdrawn between two versions; "" where there is no earlier one."""
    if earlier is None:
        return ""
    withdrawn = version.withdrawn_count - earlier.withdrawn_count
    came = version.instance_count - earlier.instance_count + withdrawn
    said = [
        f"{count} {'image' if count == 1 else 'images'} {verb}"
        for count, verb in (
            (came, "came"),
            (withdrawn, "withdrawn"),
            (-came, "given up"),
            (-withdrawn, "back"),
        )
        if count > 0
    ]
    return ", ".join(said) or "images were corrected or released"


def _summaries(
    results: Collection[Result], known: Mapping[str, RegisteredModel]
) -> tuple[VersionModelView, ...]:
    return tuple(
        VersionModelView(
            model_id=each.model_id,
            title=title_of(known, each.model_id),
            state=each.status.value,
            finished=when(each.finished_at),
            finding_count=len(each.findings),
        )
        for each in results
    )


def _shown(model: ModelView, images: Collection[str]) -> ModelView:
    """Leave out what lies on an image that is not shown: a withdrawn one may be of somebody else."""
    findings = tuple(
        each
        if each.sop_uid in images
        else each.model_copy(update={"overlay_url": "", "region": None, "segment_number": None})
        for each in model.findings
    )
    return model.model_copy(update={"findings": findings})
