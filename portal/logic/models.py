"""What models say about a study, as its page shows it; models in shadow are shown to nobody."""

from collections.abc import Mapping

from firstread.policy import Action, Actor, can
from firstread.result import (
    Code,
    Finding,
    Measurement,
    ObjectKind,
    OperatingPoint,
    Region,
    Result,
    ResultObject,
    ResultStatus,
)
from firstread.routing import ModelState, RegisteredModel
from firstread.study import Risk, Study
from portal.logic.display import RISK_WORDS, reason_words, when
from portal.logic.records import Records, resource_for
from portal.logic.worklist import View

_OBJECT_WORDS = {
    ObjectKind.HTML_REPORT: "Report",
    ObjectKind.ENCAPSULATED_PDF: "Report, DICOM PDF",
    ObjectKind.STRUCTURED_REPORT: "DICOM SR",
    ObjectKind.SEGMENTATION: "DICOM SEG",
    ObjectKind.PRESENTATION_STATE: "DICOM presentation state",
    ObjectKind.PARAMETRIC_MAP: "DICOM parametric map",
}


class FindingView(View):
    """One finding of one model.

    Parameters
    ----------
    probability, operating_point, risk
        None for what was only measured.
    sop_uid, frame
        The image that shows it, and its frame, 1 first.
    measurements
        Name and value with its unit.
    overlay_url
        Path of its overlay; "" where it has none or the reader may not see it.
    segment_number
        Of the result's segmentation; None where there is none.
    """

    label: str
    code: Code
    probability: float | None
    operating_point: OperatingPoint | None
    risk: Risk | None
    risk_words: str
    sop_uid: str
    frame: int
    region: Region | None
    measurements: tuple[tuple[str, str], ...]
    overlay_url: str
    segment_number: int | None


class ObjectView(View):
    """A file of a result that a reader may take along."""

    words: str
    url: str


class ModelView(View):
    """What one model says about the current version of the study.

    Parameters
    ----------
    state
        ``done``, ``failed``, ``skipped`` or ``running``.
    kinds
        What kind of images an aid takes the series for; "unknown" among them.
    remarks
        What the reader should know of the input.
    """

    model_id: str
    title: str
    intended_use: str
    enabled: bool
    state: str
    reason: str
    finished: str
    simulated: bool
    findings: tuple[FindingView, ...]
    kinds: tuple[str, ...]
    remarks: tuple[str, ...]
    objects: tuple[ObjectView, ...]


def read_models(
    records: Records, study: Study, known: Mapping[str, RegisteredModel], actor: Actor
) -> tuple[ModelView, ...]:
    """Return what the models say on the current version, by model id.

    Parameters
    ----------
    records, study
        Where the results are, and of which study.
    known
        The registered models, by id.
    actor
        The reader.
    """
    if study.version == 0:
        return ()
    results = {
        result.model_id: result
        for result in records.results.of_version(study.study_uid, study.version)
        if not result.shadow
    }
    shows_overlays = can(actor, Action.OVERLAY_VIEW, resource_for(records, study, actor)).allowed
    ids = sorted({*results, *study.models})
    return tuple(model_view(model_id, results.get(model_id), known, shows_overlays) for model_id in ids)


def find_overlay(records: Records, study: Study, digest: str) -> str | None:
    """Return the key of an overlay that a shown result on the current version names, or None."""
    for result in records.results.of_version(study.study_uid, study.version):
        for finding in result.findings:
            if not result.shadow and finding.overlay_key and digest_of_overlay(finding.overlay_key) == digest:
                return finding.overlay_key
    return None


def find_object(records: Records, study: Study, digest: str) -> ResultObject | None:
    """Return an object that a shown result on the current version consists of, or None."""
    for result in records.results.of_version(study.study_uid, study.version):
        for each in result.objects:
            if not result.shadow and each.sha256 == digest and each.kind in _OBJECT_WORDS:
                return each
    return None


def title_of(known: Mapping[str, RegisteredModel], model_id: str) -> str:
    """Return the title of a model, or its id where it is no longer registered."""
    model = known.get(model_id)
    return model.title if model else model_id


def digest_of_overlay(key: str) -> str:
    """Return the digest that an overlay is known by, of its key."""
    return key.rsplit("/", 1)[-1].removesuffix(".png")


def model_view(
    model_id: str,
    result: Result | None,
    known: Mapping[str, RegisteredModel],
    shows_overlays: bool,
    *,
    version: int = 0,
) -> ModelView:
    """Return what one model says.

    Parameters
    ----------
    result
        None while there is none.
    known
        The registered models, by id.
    shows_overlays
        Whether the reader may see overlays.
    version
        The study version that was asked for by its number; its overlays have paths of their own, and its files are not
        to be saved: they look like those of the current one. 0 for the current one as it is.
    """
    model = known.get(model_id)
    shown = {
        "model_id": model_id,
        "title": title_of(known, model_id),
        "intended_use": model.intended_use if model else "",
        "enabled": model.state is not ModelState.OFF if model else True,
    }
    if result is None:
        nothing = {"reason": "", "finished": "", "simulated": False}
        empty = dict.fromkeys(("findings", "kinds", "remarks", "objects"), ())
        return ModelView.model_validate(shown | nothing | empty | {"state": "running"})
    root = f"/studies/{result.study_uid}" + (f"/versions/{version}" if version else "")
    return ModelView(
        **shown,
        state=result.status.value,
        reason=reason_words(result.reason) if result.status is not ResultStatus.DONE else "",
        finished=when(result.finished_at),
        simulated=result.simulated,
        findings=tuple(_finding(finding, root, shows_overlays) for finding in result.findings),
        kinds=tuple(dict.fromkeys(each.label or "unknown" for each in result.recognised)),
        remarks=tuple(reason_words(each) for each in result.remarks),
        objects=tuple(
            ObjectView(
                words=_OBJECT_WORDS[each.kind], url=f"/studies/{result.study_uid}/objects/{each.sha256}"
            )
            for each in result.objects
            if each.kind in _OBJECT_WORDS and not version
        ),
    )


def _finding(finding: Finding, root: str, shows_overlays: bool) -> FindingView:
    has_overlay = shows_overlays and bool(finding.overlay_key)
    return FindingView(
        label=finding.label,
        code=finding.code,
        probability=finding.probability,
        operating_point=finding.operating_point,
        risk=finding.risk,
        risk_words=RISK_WORDS[finding.risk] if finding.risk else "Measured",
        sop_uid=finding.sop_uid,
        frame=finding.frame,
        region=finding.region,
        measurements=tuple((each.name.meaning, quantity(each)) for each in finding.measurements),
        overlay_url=f"{root}/overlays/{digest_of_overlay(finding.overlay_key)}.png" if has_overlay else "",
        segment_number=finding.segment_number if shows_overlays else None,
    )


def quantity(measured: Measurement) -> str:
    """Return a value with its unit, to three digits: a model is not more exact than that."""
    value = f"{measured.value:.0f}" if abs(measured.value) >= 100 else f"{measured.value:.3g}"
    return f"{value} {measured.unit.value.strip('{}')}"
