"""One study as its page shows it: images, findings, models that do not apply, held instances, alerts."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from firstread.gathering.summary import present
from firstread.policy import Action, Actor, can
from firstread.study import Instance, InstanceState, Study
from portal.logic.alerts import AlertView, alert_view
from portal.logic.communications import (
    ChoiceView,
    CommunicationView,
    read_choices,
    read_communications,
)
from portal.logic.display import person, reason_words, version_words, when
from portal.logic.models import ModelView, read_models, title_of
from portal.logic.records import Records, resource_for
from portal.logic.worklist import View, WorklistRow, make_row


class ImageView(View):
    """One stored image; frames are numbered from 1 as in DICOMweb (PS3.18 8.2)."""

    sop_uid: str
    number: int | None
    frames: int
    rows: int
    columns: int


class SeriesView(View):
    """The stored images of one series, in order."""

    series_uid: str
    number: int | None
    modality: str
    body_part: str
    view: str
    description: str
    images: tuple[ImageView, ...]

    @property
    def frame_total(self) -> int:
        """Return the number of frames of all images."""
        return sum(image.frames for image in self.images)


class HeldView(View):
    """An instance that was not passed on."""

    modality: str
    received: str
    reason: str


class NotApplicableView(View):
    """A model that was not asked, and why."""

    model_id: str
    title: str
    reason: str


class StudyView(View):
    """All that the page of a study shows.

    Parameters
    ----------
    version_words
        Which version it is, what it supersedes, why it was closed.
    is_behind
        Whether something changed after the analysed version was complete.
    is_reopened
        Whether something came after a reader had signed.
    withdrawn_count
        How many images a rejection note withdraws; they are not shown.
    communications, choices
        Communications of critical results, and the findings that one may be about; for those who may record one.
    """

    summary: WorklistRow
    person: str
    version: int
    version_words: str
    is_behind: bool
    is_reopened: bool
    withdrawn_count: int
    shows_findings: bool
    series: tuple[SeriesView, ...]
    held: tuple[HeldView, ...]
    models: tuple[ModelView, ...]
    not_applicable: tuple[NotApplicableView, ...]
    alerts: tuple[AlertView, ...]
    may_communicate: bool
    communications: tuple[CommunicationView, ...]
    choices: tuple[ChoiceView, ...]


def read_study(
    records: Records, study: Study, actor: Actor, moment: datetime, *, kept_back: bool = False
) -> StudyView:
    """Return a study for a reader who may see it.

    Parameters
    ----------
    records
        Where the rest of the study is.
    study
        Its head.
    actor
        The reader.
    moment
        The present.
    kept_back
        Whether findings are to be kept from the reader for now.
    """
    resource = resource_for(records, study, actor)
    shows_findings = can(actor, Action.FINDING_VIEW, resource).allowed and not kept_back
    shows_alerts = can(actor, Action.ALERT_VIEW, resource).allowed
    instances = records.instances.of_study(study.study_uid)
    alerts = records.alerts.of_study(study.study_uid) if shows_alerts or shows_findings else []
    communicates = can(actor, Action.COMMUNICATION_RECORD, resource).allowed
    communications = read_communications(records, study) if communicates else ()
    communicated = {each.alert_id for each in communications}
    known = {model.model_id: model for model in records.models.all()}
    current = next((alert for alert in alerts if alert.alert_id == study.alert_id), None)
    return StudyView(
        summary=make_row(study, current, actor, moment, resource),
        person=person(study.gathering.age_years, study.gathering.sex),
        version=study.version,
        version_words=version_words(study),
        is_behind=0 < study.version and study.gathering.fingerprint != study.version_fingerprint,
        is_reopened=study.is_reopened,
        withdrawn_count=study.gathering.withdrawn_count,
        shows_findings=shows_findings,
        series=series_of(instances) if can(actor, Action.IMAGE_VIEW, resource).allowed else (),
        held=tuple(_held(i) for i in instances if i.state is InstanceState.HELD),
        models=read_models(records, study, known, actor) if shows_findings else (),
        not_applicable=tuple(
            NotApplicableView(model_id=model_id, title=title_of(known, model_id), reason=reason)
            for model_id, reason in sorted(study.not_applicable.items())
        ),
        alerts=tuple(alert_view(alert, actor, communicated) for alert in alerts) if shows_alerts else (),
        may_communicate=communicates,
        communications=communications,
        choices=read_choices(records, study) if communicates else (),
    )


def is_image(instance: Instance) -> bool:
    """Return whether a reader can look at an instance: stored, with rows and columns, and no result of ours."""
    facts = instance.facts
    if instance.state is not InstanceState.STORED or facts.made_here:
        return False
    return bool(facts.rows) and bool(facts.columns)


def series_of(instances: Iterable[Instance]) -> tuple[SeriesView, ...]:
    """Return the images among the instances of a study, by series and in order."""

    def order(instance: Instance) -> tuple[int, str, int, str]:
        facts = instance.facts
        return (facts.series_number or 0, facts.series_uid, facts.instance_number or 0, instance.sop_uid)

    images = sorted((instance for instance in present(instances) if is_image(instance)), key=order)
    return tuple(
        _one_series(list(members)) for _, members in groupby(images, key=lambda i: i.facts.series_uid)
    )


def _one_series(members: list[Instance]) -> SeriesView:
    first = members[0].facts
    return SeriesView(
        series_uid=first.series_uid,
        number=first.series_number,
        modality=first.modality,
        body_part=first.body_part,
        view=first.view_position,
        description=first.series_description,
        images=tuple(
            ImageView(
                sop_uid=instance.sop_uid,
                number=instance.facts.instance_number,
                frames=max(1, instance.facts.frames),
                rows=instance.facts.rows or 0,
                columns=instance.facts.columns or 0,
            )
            for instance in members
        ),
    )


def _held(instance: Instance) -> HeldView:
    return HeldView(
        modality=instance.facts.modality,
        received=when(instance.received_at),
        reason=reason_words(instance.reason),
    )
