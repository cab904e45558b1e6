"""Signing: the objects first, then review, study, labels and audit event in one transaction."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet
from firstread.gathering.summary import present
from firstread.records.reviews import Step
from firstread.records.transactions import Addition
from firstread.result import ObjectKind, ResultObject
from firstread.review import FeedbackLabel, LocalCount, LocalCounts, Review, ReviewedFinding, Verdict
from firstread.storage import review_key
from firstread.study import InstanceState, ReviewStatus, Study
from portal.errors import ConflictError
from portal.logic.review import steps
from portal.logic.review.acts import Reading
from portal.logic.review.desk import Desk
from portal.logic.review.findings import Proposed, proposed, shown_results

if TYPE_CHECKING:
    from portal.objects.signed import ProposedSegment

_DICOM = "application/dicom"


class Images(Protocol):
    """Where images are; `firstread.storage.Bucket` is one."""

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """Give an object as a file."""


class Objects(Images, Protocol):
    """Where objects of results and reviews are; `firstread.storage.Bucket` is one."""

    def put(self, key: str, body: bytes, content_type: str) -> str:
        """Write an object."""


Closing = Callable[[Study, Review], Iterable[Addition]]
"""What else happens in the transaction of a sign-off, such as the end of an alert."""


def nothing_else(_study: Study, _review: Review) -> Iterable[Addition]:
    """Let nothing else happen."""
    return ()


@dataclass(frozen=True)
class SignOff:
    """A radiologist about to sign.

    Parameters
    ----------
    reading
        The radiologist at the study.
    images, objects
        De-identified instances; results, beside which the objects of the review are kept.
    organisation
        For whom they sign.
    closing
        What else happens with it.
    """

    reading: Reading
    images: Images
    objects: Objects
    organisation: str
    closing: Closing = nothing_else

    def sign(self, study: Study, number: int, revision: int) -> Review:
        """Sign a review as it was read; return the signed one where it is signed already.

        The objects are written first, under keys of their content: where the transaction then is not made, they are
        referred to by nothing, and the next attempt writes the same.

        Parameters
        ----------
        study
            Its head, as it was read.
        number, revision
            The review, as the radiologist saw it.

        Raises
        ------
        ConflictError
            As `portal.logic.review.desk.signable`.
        """
        desk = self.reading.desk(study)
        review = steps.signable(desk, number, revision, self.reading.missing(desk, number))
        if review.is_signed:
            return review
        to_sign = _signed(desk, review)
        kept = self._objects(desk, to_sign)
        signed: list[Review] = []

        def decide(now: Desk) -> Step | None:
            found = steps.signable(now, number, revision, self.reading.missing(now, number))
            if found.is_signed:
                signed[:] = [found]
                return None
            signed[:] = [to_sign.model_copy(update={"objects": kept})]
            return self._step(now, signed[0])

        self.reading.act(decide)
        return signed[0]

    def _step(self, desk: Desk, review: Review) -> Step:
        records = self.reading.records
        known = proposed(records.results, desk.study)
        labels = labels_of(desk.study, review, known)
        earlier = {each.finding_id: each for each in records.reviews.labels(desk.study.study_uid)}
        models = {each.model_id for each in labels if each.flagged}
        study = desk.study.model_copy(
            update={
                "review": ReviewStatus.SIGNED,
                "signed_version": review.version,
                "signed_at": review.signed_at,
                "reader": review.signed_by,
                "claimed_at": "",
                "claimed_until": "",
            }
        )
        verdicts = [each.verdict for each in review.findings]
        event = desk.event(
            "review.sign",
            number=review.number,
            version=review.version,
            amends=review.amends,
            author=review.author,
            measured=len(review.measurements),
            **{verdict.value: verdicts.count(verdict) for verdict in Verdict},
        )
        return Step(
            study=study,
            event=event,
            review=review,
            labels=labels,
            counts=tuple(
                counted(records.reviews.counts(model_id), labels, earlier) for model_id in sorted(models)
            )
            if not desk.study.gathering.simulated
            else (),
            also=tuple(self.closing(study, review)),
        )

    def _objects(self, desk: Desk, review: Review) -> tuple[ResultObject, ...]:
        # Slow to import; only who signs needs it.
        from firstread.objects.sources import Sources
        from portal.objects.make import make
        from portal.objects.signed import Proposal, Signed

        study = desk.study
        found = proposed(self.reading.records.results, study)
        judged = {
            each.finding_id: found[each.finding_id] for each in review.findings if each.finding_id in found
        }
        segments = self._segments(each.result.objects for each in judged.values())
        proposals = {
            name: Proposal(each.finding, each.result.model_id, segments.get(each.finding.tracking_uid))
            for name, each in judged.items()
        }
        wanted = {region.sop_uid for each in review.findings for region in each.regions}
        wanted |= {each.sop_uid for each in review.measurements}
        wanted |= {each.finding.sop_uid for each in judged.values()}
        wanted |= {
            frame.source.sop_uid
            for each in proposals.values()
            if each.segment
            for frame in each.segment.frames[:1]
        }
        signed = Signed(
            review=review,
            sources=Sources(self._images(study.study_uid, wanted)),
            proposals=proposals,
            predecessors=[*self._amended(desk, review), *self._reports(study)],
            mentioned=[
                each
                for result in {one.result.result_id: one.result for one in judged.values()}.values()
                for each in result.objects
                if each.kind is ObjectKind.SEGMENTATION
            ],
            organisation=self.organisation,
        )
        kept = []
        for part in make(signed):
            key = review_key(study.study_uid, part.sha256)
            self.objects.put(key, part.content, _DICOM)
            kept.append(part.result_object(study.study_uid, key))
        return tuple(kept)

    def _images(self, study_uid: str, wanted: set[str]) -> list[Dataset]:
        """Return the headers of images; of the first one of the study where none is wanted."""
        everything = self.reading.records.instances.of_study(study_uid)
        here = {each.sop_uid: each for each in present(everything) if each.state is InstanceState.STORED}
        if wanted:
            found = [here.get(sop_uid) for sop_uid in sorted(wanted)]
        else:
            found = [next((each for each in here.values() if each.facts.rows), None)]
        keys = [each.studies_key for each in found if each is not None and each.studies_key]
        if not keys or len(keys) < len(wanted):
            raise ConflictError("an image that the review refers to was withdrawn", reason="changed")
        return [self._header(self.images, key) for key in keys]

    def _segments(self, objects: Iterable[tuple[ResultObject, ...]]) -> dict[str, "ProposedSegment"]:
        """Return where segmentations of models show findings, by tracking UID."""
        from firstread.objects.segments import segment_frames
        from portal.objects.signed import ProposedSegment

        found: dict[str, ProposedSegment] = {}
        unique = {
            each.sop_uid: each for some in objects for each in some if each.kind is ObjectKind.SEGMENTATION
        }
        for each in unique.values():
            header = self._header(self.objects, each.key)
            frames = list(segment_frames(header))
            for segment in header.SegmentSequence:
                number = int(segment.SegmentNumber)
                mine = tuple(frame for frame in frames if frame.segment == number)
                if (
                    mine and "TrackingUID" in segment
                ):  # optional (PS3.3 C.8.20.2); without it nothing refers to it
                    found[str(segment.TrackingUID)] = ProposedSegment(each.sop_uid, number, mine)
        return found

    def _header(self, bucket: Images, key: str) -> Dataset:
        with quiet(), bucket.open(key) as file:
            return dcmread(file, stop_before_pixels=True)

    def _amended(self, desk: Desk, review: Review) -> list[ResultObject]:
        amended = next((each for each in desk.reviews if each.number == review.amends), None)
        return _of_kind(amended.objects if amended else (), ObjectKind.STRUCTURED_REPORT)

    def _reports(self, study: Study) -> list[ResultObject]:
        results = shown_results(self.reading.records.results, study)
        return [each for result in results for each in _of_kind(result.objects, ObjectKind.STRUCTURED_REPORT)]


def labels_of(study: Study, review: Review, known: Mapping[str, Proposed]) -> tuple[FeedbackLabel, ...]:
    """Return what a signed review says of each finding.

    Parameters
    ----------
    study, review
        The review, signed.
    known
        What models found, by finding.
    """
    return tuple(_label(study, review, each, known.get(each.finding_id)) for each in review.findings)


def counted(
    counts: LocalCounts, labels: Iterable[FeedbackLabel], earlier: Mapping[str, FeedbackLabel]
) -> LocalCounts:
    """Return how often readers agree with a model, with the labels of one more review.

    Parameters
    ----------
    counts
        As they are.
    labels
        What the review says.
    earlier
        What signed reviews have said of the same findings: an addendum changes a verdict and counts no finding twice.
    """
    found = dict(counts.labels)
    for label in labels:
        if label.model_id != counts.model_id or not label.flagged:
            continue
        was = earlier.get(label.finding_id)
        so_far = found.get(label.label, LocalCount())
        found[label.label] = LocalCount(
            flagged=so_far.flagged + (0 if was else 1),
            confirmed=so_far.confirmed + label.is_confirmed - bool(was and was.is_confirmed),
        )
    return counts.model_copy(update={"labels": found})


def _signed(desk: Desk, review: Review) -> Review:
    return review.model_copy(
        update={"status": ReviewStatus.SIGNED, "signed_by": desk.actor.name, "signed_at": desk.at}
    )


def _label(study: Study, review: Review, said: ReviewedFinding, known: Proposed | None) -> FeedbackLabel:
    assert said.verdict is not None  # noqa: S101 - nobody signs what is undecided
    return FeedbackLabel(
        study_uid=study.study_uid,
        review=review.number,
        version=review.version,
        finding_id=said.finding_id,
        model_id=known.result.model_id if known else "",
        result_id=said.result_id,
        label=said.label,
        proposed=known.finding.code if known else None,
        code=said.code,
        site=said.site,
        verdict=said.verdict,
        rejection=said.rejection,
        probability=known.finding.probability if known else None,
        flagged=known.is_flagged if known else None,
        drawn=bool(said.regions),
        signed_by=review.signed_by,
        signed_at=review.signed_at,
        simulated=study.gathering.simulated,
    )


def _of_kind(objects: Iterable[ResultObject], kind: ObjectKind) -> list[ResultObject]:
    return [each for each in objects if each.kind is kind]
