"""A review as a reader sees it: what models found, what the reader says of it, who else is at it."""

from collections.abc import Mapping
from typing import Literal

from firstread.policy import Action, can
from firstread.result import Code, Finding, OperatingPoint, Region
from firstread.review import DrawnRegion, LocalCounts, Rejection, Review, ReviewedFinding, Verdict
from firstread.routing import RegisteredModel
from firstread.study import ReviewStatus, Risk
from portal.logic.models import digest_of_overlay, quantity, title_of
from portal.logic.records import Records, resource_of
from portal.logic.review.desk import Desk
from portal.logic.review.findings import Proposed, proposed
from portal.logic.review.measured import MeasuredView, measured_views
from portal.logic.review.overlay import OverlayPolicy, keeps_back
from portal.logic.worklist import View

MIN_LOCAL = 10
"""Findings below which a share says nothing."""


class LocalValue(View):
    """How often readers here agreed with a model under one label, at or above its operating point.

    Parameters
    ----------
    n
        Findings that were signed.
    ppv
        The share that was accepted or modified; None for fewer than `MIN_LOCAL`.
    """

    n: int
    ppv: float | None


class PlaceView(View):
    """Where a finding is; frames are numbered from 1."""

    series_uid: str
    sop_uid: str
    frame: int
    region: Region | None


class SaidView(View):
    """What the reader says of a finding."""

    verdict: Verdict | None
    code: Code
    site: Code | None
    rejection: Rejection | None
    regions: tuple[DrawnRegion, ...]
    note: str


class ProposedView(View):
    """A finding of a model, and what the review says of it.

    Parameters
    ----------
    band
        ``at or above 0.43`` or ``below 0.43``; "" for what was only measured.
    local
        None for what was only measured.
    needs_verdict
        Nobody may sign before it has one.
    said
        None where the review says nothing of it.
    """

    finding_id: str
    result_id: str
    model_id: str
    model_title: str
    model_version: str
    label: str
    code: Code
    site: Code | None
    probability: float | None
    operating_point: OperatingPoint | None
    risk: Risk | None
    band: str
    local: LocalValue | None
    place: PlaceView
    measurements: tuple[tuple[str, str], ...]
    overlay_url: str
    needs_verdict: bool
    said: SaidView | None


class MissedView(SaidView):
    """A finding that no model has named."""

    finding_id: str


class ClaimView(View):
    """Who reads the study."""

    reader: str
    since: str
    until: str
    mine: bool


class DraftView(View):
    """The review that is being written, or waits to be signed.

    Parameters
    ----------
    stale
        Why nobody can go on with it: ``changed`` for a study with another version, ``signed`` where somebody has
        signed since; "" where one can. Saved with the current version, a changed one moves on to it.
    """

    number: int
    revision: int
    version: int
    status: ReviewStatus
    stale: Literal["", "changed", "signed"]
    amends: int
    author: str
    author_role: str
    impression: str
    started_at: str
    saved_at: str
    first_read_at: str
    submitted_by: str
    submitted_at: str


class OtherView(View):
    """A review by somebody else: that it is there, not what it says."""

    number: int
    version: int
    status: ReviewStatus
    amends: int
    author: str
    started_at: str
    signed_by: str
    signed_at: str


class May(View):
    """What the reader may do now."""

    claim: bool
    take_over: bool
    write: bool
    first_read: bool
    submit: bool
    recall: bool
    discard: bool
    sign: bool


class ReviewView(View):
    """The reading of a study.

    Parameters
    ----------
    status
        Where it stands.
    kept_back
        Findings of models are kept from the reader until they have said what they see; `findings` is empty then.
    amends
        The signed review that a new one adds to; 0 for none.
    reopened
        Images came, or were withdrawn, after somebody had signed.
    draft
        The reader's own, else one that waits to be signed; None for none.
    undecided
        Findings that need a verdict before it can be handed in or signed.
    missed
        Findings of the reader that no model has named.
    measurements
        What the reader has measured.
    others
        Further reviews of the study.
    """

    study_uid: str
    version: int
    status: ReviewStatus
    overlay_policy: OverlayPolicy
    kept_back: bool
    claim: ClaimView
    may: May
    amends: int
    reopened: bool
    draft: DraftView | None
    findings: tuple[ProposedView, ...]
    undecided: tuple[str, ...]
    missed: tuple[MissedView, ...]
    measurements: tuple[MeasuredView, ...]
    others: tuple[OtherView, ...]


def read_review(records: Records, desk: Desk, policy: OverlayPolicy, number: int = 0) -> ReviewView:
    """Return the reading of a study for a reader.

    Parameters
    ----------
    records, desk
        Where the rest is; the study and its reviews as they lie before the reader.
    policy
        When findings of models are shown.
    number
        A review that waits to be signed, instead of the reader's own; 0 for what is usual.
    """
    study = desk.study
    shown = next((each for each in desk.open if each.number == number and _is_handed_in(each)), None)
    draft = shown or desk.mine or desk.handed_in
    kept_back = keeps_back(policy, study, desk.actor, desk.reviews)
    found = {} if kept_back else proposed(records.results, study)
    said = {each.finding_id: each for each in draft.findings} if draft else {}
    return ReviewView(
        study_uid=study.study_uid,
        version=study.version,
        status=study.review,
        overlay_policy=policy,
        kept_back=kept_back,
        claim=_claim(desk),
        may=_may(desk, draft, kept_back, policy),
        amends=desk.amends,
        reopened=study.is_reopened,
        draft=_draft(desk, draft) if draft else None,
        findings=_Findings(records, desk).of(found, said),
        undecided=undecided(found, draft),
        missed=tuple(_missed(each) for each in said.values() if each.verdict is Verdict.MISSED),
        measurements=measured_views(draft.measurements) if draft else (),
        others=tuple(_other(each) for each in desk.reviews if each is not draft and not each.discarded_at),
    )


def undecided(found: Mapping[str, Proposed], draft: Review | None) -> tuple[str, ...]:
    """Return the findings that need a verdict and have none."""
    decided = {each.finding_id for each in draft.findings if each.verdict} if draft else set()
    return tuple(name for name, each in found.items() if each.needs_verdict and name not in decided)


class _Findings:
    def __init__(self, records: Records, desk: Desk) -> None:
        self._records = records
        self._desk = desk
        self._counts: dict[str, LocalCounts] = {}
        self._series: dict[str, str] = {}

    def of(
        self, found: Mapping[str, Proposed], said: Mapping[str, ReviewedFinding]
    ) -> tuple[ProposedView, ...]:
        known = {model.model_id: model for model in self._records.models.all()} if found else {}
        return tuple(self._one(each, known, said.get(name)) for name, each in found.items())

    def _one(
        self, each: Proposed, known: Mapping[str, RegisteredModel], said: ReviewedFinding | None
    ) -> ProposedView:
        finding, model_id = each.finding, each.result.model_id
        study = self._desk.study
        overlays = can(self._desk.actor, Action.OVERLAY_VIEW, resource_of(study)).allowed
        url = f"/studies/{study.study_uid}/overlays/{digest_of_overlay(finding.overlay_key)}.png"
        return ProposedView(
            finding_id=each.finding_id,
            result_id=each.result.result_id,
            model_id=model_id,
            model_title=title_of(known, model_id),
            model_version=model_id.partition("@")[2],
            label=finding.label,
            code=finding.code,
            site=finding.site,
            probability=finding.probability,
            operating_point=finding.operating_point,
            risk=finding.risk,
            band=_band(finding),
            local=self._local(model_id, finding.label) if finding.operating_point else None,
            place=PlaceView(
                series_uid=self._series_of(finding.sop_uid),
                sop_uid=finding.sop_uid,
                frame=finding.frame,
                region=finding.region,
            ),
            measurements=tuple((one.name.meaning, quantity(one)) for one in finding.measurements),
            overlay_url=url if overlays and finding.overlay_key else "",
            needs_verdict=each.needs_verdict,
            said=SaidView.model_validate(_of(said)) if said else None,
        )

    def _series_of(self, sop_uid: str) -> str:
        if sop_uid not in self._series:
            instance = self._records.instances.get(self._desk.study.study_uid, sop_uid)
            self._series[sop_uid] = instance.facts.series_uid if instance else ""
        return self._series[sop_uid]

    def _local(self, model_id: str, label: str) -> LocalValue:
        if model_id not in self._counts:
            self._counts[model_id] = self._records.reviews.counts(model_id)
        count = self._counts[model_id].labels.get(label)
        flagged, confirmed = (count.flagged, count.confirmed) if count else (0, 0)
        return LocalValue(n=flagged, ppv=confirmed / flagged if flagged >= MIN_LOCAL else None)


def _band(finding: Finding) -> str:
    point = finding.operating_point
    if finding.probability is None or point is None:
        return ""
    side = "at or above" if finding.risk is Risk.HIGH else "below"
    return f"{side} {point.threshold:.2f}"


def _claim(desk: Desk) -> ClaimView:
    study, held = desk.study, bool(desk.holder)
    return ClaimView(
        reader=desk.holder,
        since=study.claimed_at if held else "",
        until=study.claimed_until if held else "",
        mine=desk.holder == desk.actor.name,
    )


def _may(desk: Desk, draft: Review | None, kept_back: bool, policy: OverlayPolicy) -> May:
    resource = resource_of(desk.study)
    writes = can(desk.actor, Action.REVIEW_WRITE, resource).allowed
    claims = can(desk.actor, Action.STUDY_CLAIM, resource).allowed
    free = desk.holder in ("", desk.actor.name)
    open_one = draft if draft is not None and not _stale(desk, draft) else None
    mine = open_one is not None and open_one.author == desk.actor.name
    handed_in = open_one is not None and _is_handed_in(open_one)
    drafted = mine and not handed_in
    return May(
        claim=claims and free,
        take_over=claims and not free,
        write=writes and free and desk.study.version > 0 and (drafted or not handed_in or desk.signs),
        first_read=writes and free and drafted and kept_back and policy is OverlayPolicy.AFTER_FIRST_READ,
        submit=writes and free and drafted,
        recall=writes and free and handed_in and (mine or desk.signs),
        discard=draft is not None and draft.author == desk.actor.name and not _is_handed_in(draft),
        sign=desk.signs and free and (drafted or handed_in) and not kept_back,
    )


def _stale(desk: Desk, draft: Review) -> Literal["", "changed", "signed"]:
    if draft.amends != desk.amends:
        return "signed"
    return "changed" if draft.version != desk.study.version else ""


def _draft(desk: Desk, draft: Review) -> DraftView:
    names = set(DraftView.model_fields) - {"stale", "first_read_at"}
    values = {name: getattr(draft, name) for name in names}
    return DraftView(stale=_stale(desk, draft), first_read_at=draft.first_read_at, **values)


def _missed(finding: ReviewedFinding) -> MissedView:
    return MissedView.model_validate({**_of(finding), "finding_id": finding.finding_id})


def _of(finding: ReviewedFinding) -> dict[str, object]:
    return {name: getattr(finding, name) for name in SaidView.model_fields}


def _other(review: Review) -> OtherView:
    return OtherView.model_validate({name: getattr(review, name) for name in OtherView.model_fields})


def _is_handed_in(review: Review) -> bool:
    return review.status is ReviewStatus.PRELIMINARY
