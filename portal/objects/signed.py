"""What the objects of a signed review are made of, and what they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from firstread import __version__
from firstread.objects.identity import named
from firstread.objects.segments import SegmentFrame
from firstread.objects.sources import Sources
from firstread.objects.written import MANUFACTURER, RESEARCH_USE, Written, dicom_file, moment_of
from firstread.result import Finding, ObjectKind, ResultObject
from firstread.review import Review

_FIRST_NUMBER = 9101  # series of models begin with 9001
_WHAT = {
    ObjectKind.STRUCTURED_REPORT: "signed review",
    ObjectKind.SEGMENTATION: "regions of a signed review",
}
_LONG = 64  # characters of an LO
_PER_REVIEW = 1000


@dataclass(frozen=True)
class ProposedSegment:
    """Where a model's segmentation shows a finding.

    Parameters
    ----------
    sop_uid, segment
        The object, and the segment in it.
    frames
        Its frames with that segment.
    """

    sop_uid: str
    segment: int
    frames: tuple[SegmentFrame, ...]


@dataclass(frozen=True)
class Proposal:
    """What a model said of a finding that the review judges.

    Parameters
    ----------
    finding, model_id
        What was said, and by which model.
    segment
        Where its segmentation shows it; None where there is none.
    """

    finding: Finding
    model_id: str
    segment: ProposedSegment | None = None


@dataclass(frozen=True)
class Signed:
    """All that the objects of a signed review are made of; the same value makes the same bytes.

    Parameters
    ----------
    review
        As it is signed, without its objects.
    sources
        The images that it refers to, one at least; de-identified, without pixels.
    proposals
        What models said, by finding.
    predecessors
        Reports that this one follows: those of the models, and the signed one that it amends.
    mentioned
        Other objects that it refers to: segmentations of the models.
    organisation
        For whom the reader signs.
    """

    review: Review
    sources: Sources
    proposals: Mapping[str, Proposal]
    predecessors: Sequence[ResultObject]
    mentioned: Sequence[ResultObject]
    organisation: str

    @property
    def header(self) -> Dataset:
        """Return the header of an image, for what all of them share."""
        return next(iter(self.sources)).header

    def uid(self, *names: object) -> str:
        """Return a UID for something of this review, as this reader signs it in this state."""
        review = self.review
        return named("review", review.study_uid, review.number, review.revision, review.signed_by, *names)

    def arguments(self, kind: ObjectKind, number: int = 1) -> dict[str, Any]:
        """Return what the constructors of highdicom take for the place of an object.

        Parameters
        ----------
        kind
            What it is.
        number
            Counts the objects of the kind; 1 first.
        """
        return {
            "series_instance_uid": named("review", self.review.study_uid, "series", kind.value),
            "series_number": _FIRST_NUMBER + list(_WHAT).index(kind),
            "sop_instance_uid": self.uid("instance", kind.value, number),
            "instance_number": self.review.number * _PER_REVIEW + number,
            "series_description": f"{RESEARCH_USE}: {_WHAT[kind]}",
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": "FirstRead portal",
            "software_versions": __version__,
            "device_serial_number": "portal",
        }

    def written(self, kind: ObjectKind, dataset: Dataset, number: int = 1) -> Written:
        """Return an object as a file; `number` as for `arguments`."""
        moment = moment_of(source.image for source in self.sources)
        return dicom_file(kind, dataset, moment, self.uid("dimensions", kind.value, number))

    def reference(self, found: ResultObject) -> Dataset:
        """Return what a report needs to know of an object that it refers to: where it is."""
        reference = Dataset()
        reference.StudyInstanceUID = self.header.StudyInstanceUID
        reference.SeriesInstanceUID = found.series_uid
        reference.SOPInstanceUID = found.sop_uid
        reference.SOPClassUID = found.sop_class_uid
        return reference


def person_name(user: str) -> str:
    """Return a user name as a person name (PS3.5 6.2.1): a pseudonym, which only its site can resolve."""
    plain = "".join(" " if letter in "\\^=" or not letter.isprintable() else letter for letter in user)
    return plain.strip()[:_LONG] + "^"


def tracking_id(number: int, label: str) -> str:
    """Return the readable half of a tracking identifier, of what a review says."""
    return f"review {number} {label}"[:_LONG]
