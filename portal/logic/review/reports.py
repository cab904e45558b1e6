"""Signed reviews as everybody may see them who may see reports."""

from collections.abc import Iterable

from firstread.result import ObjectKind, ResultObject
from firstread.review import Review, ReviewedFinding, Verdict
from portal.errors import MissingError
from portal.logic.display import when
from portal.logic.review.measured import MeasuredView, line_of, measured_views
from portal.logic.worklist import View

_KINDS = {ObjectKind.STRUCTURED_REPORT: "DICOM SR", ObjectKind.SEGMENTATION: "DICOM SEG"}
_VERDICTS = {
    Verdict.ACCEPTED: "confirmed",
    Verdict.MODIFIED: "confirmed with changes",
    Verdict.REJECTED: "proposed by a model, rejected by the reader",
    Verdict.MISSED: "found by the reader",
}


class ReportObjectView(View):
    """A file of a report."""

    words: str
    kind: ObjectKind
    url: str
    size: int


class ReportView(View):
    """A signed review.

    Parameters
    ----------
    amends
        The report that it is an addendum to; 0 for none.
    current
        Whether it is of the current version of the study, and nobody has added to it.
    text
        It in words, a line each.
    """

    number: int
    version: int
    amends: int
    current: bool
    author: str
    signed_by: str
    signed_at: str
    impression: str
    findings: tuple[ReviewedFinding, ...]
    measurements: tuple[MeasuredView, ...]
    text: tuple[str, ...]
    objects: tuple[ReportObjectView, ...]


def read_reports(reviews: Iterable[Review], version: int) -> tuple[ReportView, ...]:
    """Return the signed reviews of a study, the newest first.

    Parameters
    ----------
    reviews
        All of them.
    version
        The current version of the study.
    """
    signed = sorted((each for each in reviews if each.is_signed), key=lambda each: each.number, reverse=True)
    return tuple(_report(each, each is signed[0] and each.version == version) for each in signed)


def find_object(reviews: Iterable[Review], number: int, digest: str) -> ResultObject:
    """Return a file of a signed review.

    Raises
    ------
    MissingError
        If there is none.
    """
    for review in reviews:
        for each in review.objects:
            if review.is_signed and review.number == number and each.sha256 == digest:
                return each
    raise MissingError("no such object")


def _report(review: Review, current: bool) -> ReportView:
    return ReportView(
        number=review.number,
        version=review.version,
        amends=review.amends,
        current=current,
        author=review.author,
        signed_by=review.signed_by,
        signed_at=review.signed_at,
        impression=review.impression,
        findings=review.findings,
        measurements=measured_views(review.measurements),
        text=tuple(_text(review)),
        objects=tuple(
            ReportObjectView(
                words=_KINDS[each.kind],
                kind=each.kind,
                url=f"/studies/{review.study_uid}/reports/{review.number}/{each.sha256}",
                size=each.size,
            )
            for each in review.objects
        ),
    )


def _text(review: Review) -> Iterable[str]:
    what = (
        f"Addendum {review.number} to report {review.amends}" if review.amends else f"Report {review.number}"
    )
    by = f"written by {review.author}, " if review.author != review.signed_by else ""
    yield f"{what}, {by}signed by {review.signed_by}, {when(review.signed_at)}. Research use only."
    for each in review.findings:
        yield _line(each)
    for measurement in review.measurements:
        yield line_of(measurement)
    if review.impression:
        yield f"Impression: {review.impression}"


def _line(finding: ReviewedFinding) -> str:
    where = f", {finding.site.meaning}" if finding.site else ""
    verdict = _VERDICTS[finding.verdict] if finding.verdict else "undecided"
    why = f" ({finding.rejection.value})" if finding.rejection else ""
    note = f". {finding.note}" if finding.note else ""
    return f"{finding.code.meaning}{where}: {verdict}{why}{note}"
