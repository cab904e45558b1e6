"""The VERIFIED report of a signed review: Comprehensive 3D SR by template TID 1500 (PS3.16)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from highdicom import sr
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes

from firstread.objects.outline import Polyline
from firstread.objects.references import region, segment_frame, whole_segment
from firstread.objects.segments import SegmentFrame
from firstread.objects.written import MANUFACTURER, Written, coded, own_code, own_codes
from firstread.result import ObjectKind
from firstread.review import DrawnRegion, Rejection, ReviewedFinding, Verdict
from portal.objects.measurements import comment, corners, measurement_groups
from portal.objects.segmentation import DrawnSegmentation
from portal.objects.signed import Proposal, Signed, person_name, tracking_id

_VERDICT = own_code("verdict", "Verdict of the reader")
_VERDICTS = {
    Verdict.ACCEPTED: own_code("accepted", "Accepted by the reader"),
    Verdict.MODIFIED: own_code("modified", "Modified by the reader"),
    Verdict.REJECTED: own_code("rejected", "Rejected by the reader"),
    Verdict.MISSED: own_code("added", "Added by the reader"),
}
_PROPOSED = own_code("proposed", "Finding proposed by the algorithm")
_REASON = own_code("rejection-reason", "Reason of the rejection")
_REASONS = {
    Rejection.NOT_PRESENT: own_code("not-seen", "Not seen by the reader"),
    Rejection.ARTEFACT: own_code("artefact", "Artefact"),
    Rejection.NORMAL_VARIANT: own_code("normal-variant", "Normal variant"),
    Rejection.WRONG_PLACE: own_code("wrong-place", "Wrong place"),
    Rejection.WRONG_LABEL: own_code("wrong-label", "Wrong label"),
    Rejection.KNOWN: own_code("known", "Known and unchanged"),
    Rejection.OTHER: own_code("other", "Other reason"),
}
_READING = own_code("reading", "Reading of the study")
_IN_IMPRESSION = own_code("in-impression", "Read; what was seen is in the impression")
_EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
_CONTAINS = sr.RelationshipTypeValues.CONTAINS

_Group = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


def report(signed: Signed, made: Sequence[DrawnSegmentation]) -> Written:
    """Make the report of a signed review.

    One measurement group per finding and place. A group of a rejected finding has no Finding (121071): a program that
    lists the findings of a verified report must not list it. It has the verdict, the reason, and what was proposed.

    Parameters
    ----------
    signed
        The review.
    made
        Segmentations of its regions.
    """
    groups = [group for finding in signed.review.findings for group in _groups(signed, finding, made)]
    groups += measurement_groups(signed)
    content = sr.MeasurementReport(
        observation_context=_observer(signed),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups or [_nothing_in_particular(signed)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    if signed.review.impression:
        content[0].ContentSequence.append(_impression(signed.review.impression))
    drawn = [each.written.result_object(signed.review.study_uid) for each in made]
    mentioned = [*drawn, *signed.mentioned, *signed.predecessors]
    made_report = sr.Comprehensive3DSR(
        evidence=[*(source.header for source in signed.sources), *map(signed.reference, mentioned)],
        content=content[0],
        is_complete=True,
        is_final=True,
        is_verified=True,
        institution_name=signed.organisation,
        verifying_observer_name=person_name(signed.review.signed_by),
        verifying_organization=signed.organisation,
        previous_versions=[signed.reference(each) for each in signed.predecessors] or None,
        coding_schemes=[own_codes()],
        **signed.arguments(ObjectKind.STRUCTURED_REPORT),
    )
    return signed.written(ObjectKind.STRUCTURED_REPORT, made_report)


def _observer(signed: Signed) -> sr.ObservationContext:
    """Return who has looked: the author, for whom an attending may answer as verifying observer."""
    person = sr.PersonObserverIdentifyingAttributes(
        name=person_name(signed.review.author), organization_name=signed.organisation
    )
    return sr.ObservationContext(
        observer_person_context=sr.ObserverContext(
            observer_type=codes.DCM.Person, observer_identifying_attributes=person
        )
    )


def _impression(text: str) -> sr.ContainerContentItem:
    container = sr.ContainerContentItem(name=_EVALUATIONS, relationship_type=_CONTAINS)
    item = sr.TextContentItem(name=codes.DCM.Impression, value=text, relationship_type=_CONTAINS)
    container.ContentSequence = sr.ContentSequence([item])
    return container


def _nothing_in_particular(signed: Signed) -> _Group:
    """Return the group that the template asks for, where there is no finding."""
    source = next(iter(signed.sources))
    image = sr.SourceImageForMeasurementGroup(
        source.header.SOPClassUID, source.sop_uid, source.frame_numbers(1)
    )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=signed.uid("reading"), identifier=tracking_id(signed.review.number, "reading")
        ),
        qualitative_evaluations=[sr.QualitativeEvaluation(_READING, _IN_IMPRESSION)],
        source_images=[image],
    )


def _groups(signed: Signed, finding: ReviewedFinding, made: Sequence[DrawnSegmentation]) -> Iterator[_Group]:
    proposal = signed.proposals.get(finding.finding_id)
    common = _common(signed, finding, proposal)
    found = list(_drawn(signed, finding, made, common))
    if not found and proposal is not None:
        found = [_as_proposed(signed, proposal, common)]
    if not found:
        found = [_of_image(signed, next(iter(signed.sources)).sop_uid, 1, common)]
    for group in found:
        if finding.note:
            group[0].ContentSequence.append(comment(finding.note))
        yield group


def _common(signed: Signed, finding: ReviewedFinding, proposal: Proposal | None) -> dict[str, Any]:
    assert finding.verdict is not None  # noqa: S101 - nobody signs what is undecided
    rejected = finding.verdict is Verdict.REJECTED
    evaluations = [sr.QualitativeEvaluation(_VERDICT, _VERDICTS[finding.verdict])]
    if finding.rejection is not None:
        evaluations.append(sr.QualitativeEvaluation(_REASON, _REASONS[finding.rejection]))
    if proposal is not None and (rejected or proposal.finding.code != finding.code):
        evaluations.append(sr.QualitativeEvaluation(_PROPOSED, coded(proposal.finding.code)))
    as_measured = proposal is not None and not rejected and not finding.regions
    return {
        "tracking_identifier": sr.TrackingIdentifier(
            uid=finding.finding_id, identifier=tracking_id(signed.review.number, finding.code.meaning)
        ),
        "finding_type": None if rejected else coded(finding.code),
        "finding_sites": [sr.FindingSite(coded(finding.site))] if finding.site and not rejected else None,
        "algorithm_id": _algorithm(proposal) if proposal is not None and not finding.regions else None,
        "measurements": _measured(proposal) if as_measured and proposal is not None else None,
        "qualitative_evaluations": evaluations,
    }


def _algorithm(proposal: Proposal) -> sr.AlgorithmIdentification:
    name, _, version = proposal.model_id.partition("@")
    return sr.AlgorithmIdentification(
        name=name, version=version, family=codes.DCM.ArtificialIntelligence, manufacturer=MANUFACTURER
    )


def _measured(proposal: Proposal) -> list[sr.Measurement] | None:
    """Return what the model measured of a finding whose place the reader left as it was."""
    found = [
        sr.Measurement(coded(each.name), each.value, coded(each.unit))
        for each in proposal.finding.measurements
    ]
    return found or None


def _drawn(
    signed: Signed, finding: ReviewedFinding, made: Sequence[DrawnSegmentation], common: dict[str, Any]
) -> Iterator[_Group]:
    written: set[tuple[str, int]] = set()
    for each in made:
        frames = each.frames_of(finding.finding_id)
        if frames:
            written |= {(frame.source.sop_uid, frame.source.number) for frame in frames}
            yield _of_segment(signed, each.written.sop_uid, frames, common)
    for drawn in finding.regions:
        if (drawn.sop_uid, drawn.frame) not in written:
            source = signed.sources.by_uid(drawn.sop_uid)
            yield sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                referenced_region=region(source, drawn.frame, _closed(drawn)), **common
            )


def _as_proposed(signed: Signed, proposal: Proposal, common: dict[str, Any]) -> _Group:
    finding, segment = proposal.finding, proposal.segment
    if segment is not None:
        return _of_segment(signed, segment.sop_uid, segment.frames, common)
    if finding.region is not None:
        source, box = signed.sources.by_uid(finding.sop_uid), finding.region
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=region(
                source, finding.frame, corners(box.left, box.top, box.right, box.bottom)
            ),
            **common,
        )
    return _of_image(signed, finding.sop_uid, finding.frame, common)


def _of_segment(
    signed: Signed, sop_uid: str, frames: Sequence[SegmentFrame], common: dict[str, Any]
) -> _Group:
    first = frames[0]
    source = signed.sources.by_uid(first.source.sop_uid)
    if len(frames) > 1:
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=whole_segment(sop_uid, first.segment, source), **common
        )
    frame = segment_frame(sop_uid, first.segment, first.number, source, first.source.number)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=frame, **common)


def _of_image(signed: Signed, sop_uid: str, frame: int, common: dict[str, Any]) -> _Group:
    source = signed.sources.by_uid(sop_uid)
    image = sr.SourceImageForMeasurementGroup(
        source.header.SOPClassUID, source.sop_uid, source.frame_numbers(frame)
    )
    return sr.MeasurementsAndQualitativeEvaluations(source_images=[image], **common)


def _closed(drawn: DrawnRegion) -> Polyline:
    points = [(point.x, point.y) for point in drawn.outline]
    return np.array([*points, points[0]], dtype=np.float64)
