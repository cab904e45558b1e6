"""What the human-readable report says, whatever it is written in."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstread.imaging.pixels import PixelError
from firstread.objects.sources import Sources
from firstread.objects.written import RESEARCH_USE, Written
from firstread.result import Finding, Measurement, OperatingPoint
from firstread.study import Risk
from model_service.findings import Told
from model_service.objects.pictures import Pictures
from model_service.objects.said import Remark, Said

MAX_FIGURES = 8
NOTICE = (
    f"{RESEARCH_USE}. Made by software that no authority has cleared, read by nobody. Not for diagnosis. "
    "What is not flagged is not thereby normal."
)
ATTRIBUTION = (
    "Colour shows where the evidence for the score came from. It is an attribution and not a contour."
)


_HEADINGS = ("Finding", "Outcome", "Score", "Operating point", "Measurements", "Shown on")
_Row = tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A picture of a finding.

    Parameters
    ----------
    png
        The image with the overlay.
    caption
        What it shows; also its text alternative.
    """

    png: bytes
    caption: str


@dataclass(frozen=True)
class Page:
    """The report.

    Parameters
    ----------
    title, intended_use
        From the bundle.
    facts
        Name and value of what computed it, and of what.
    headings, rows
        The findings as a table, without columns in which there is nothing.
    figures, remarks
        The first findings as pictures, and what the reader should know.
    """

    title: str
    intended_use: str
    facts: tuple[tuple[str, str], ...]
    headings: _Row
    rows: tuple[_Row, ...]
    figures: tuple[Figure, ...]
    remarks: tuple[str, ...]


def page(
    said: Said,
    told: Sequence[Told],
    layers: Sequence[Written | None],
    sources: Sources,
    pictures: Pictures,
    remarks: Sequence[Remark],
) -> Page:
    """Make the report of a result.

    Parameters
    ----------
    said, told, sources
        The result.
    layers, pictures
        The overlay of each finding, and what it lies over.
    remarks
        What is known to be missing.
    """
    figures = [
        figure
        for each, layer in list(zip(told, layers, strict=True))[:MAX_FIGURES]
        if (figure := _figure(each, layer, sources, pictures)) is not None
    ]
    headings, rows = _filled([_row(each.finding, sources) for each in told])
    return Page(
        title=said.manifest.title,
        intended_use=said.manifest.intended_use,
        facts=_facts(said, sources),
        headings=headings,
        rows=rows,
        figures=tuple(figures),
        remarks=tuple(dict.fromkeys(remark.value.replace("_", " ") for remark in remarks)),
    )


def _facts(said: Said, sources: Sources) -> tuple[tuple[str, str], ...]:
    images = len(list(sources))
    return (
        ("Model", said.manifest.model_id),
        ("Digest of the bundle", said.bundle_sha256),
        ("Computed by", f"{said.engine}, {said.precision}"),
        ("Study", said.study_uid),
        ("Version of the study", str(said.version)),
        ("Looked at", f"{_count(len(said.frames), 'frame')} of {_count(images, 'image')}"),
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _filled(rows: Sequence[_Row]) -> tuple[_Row, tuple[_Row, ...]]:
    kept = [number for number in range(len(_HEADINGS)) if any(row[number] for row in rows)]
    headings, *others = (tuple(row[number] for number in kept) for row in (_HEADINGS, *rows))
    return headings, tuple(others)


def _row(finding: Finding, sources: Sources) -> _Row:
    return (
        f"{finding.label} ({finding.code.meaning}, {finding.code.scheme} {finding.code.value})",
        _outcome(finding),
        "" if finding.probability is None else f"{finding.probability:.3f}",
        "" if finding.operating_point is None else _threshold(finding.operating_point),
        ", ".join(_measured(each) for each in finding.measurements),
        _place(finding, sources),
    )


def _threshold(point: OperatingPoint) -> str:
    measured = f"sensitivity {point.sensitivity:.3f}, specificity {point.specificity:.3f}"
    return f"{point.threshold:.3f} ({measured} on the {point.chosen_on} split)"


def _outcome(finding: Finding) -> str:
    if finding.risk is None:
        return "Measured"
    return "Flagged" if finding.risk is Risk.HIGH else "Not flagged, which does not mean normal"


def _measured(measurement: Measurement) -> str:
    unit = {"mm3": "mm³", "mm2": "mm²", "{pixels}": "pixels"}.get(
        measurement.unit.value, measurement.unit.value
    )
    return f"{measurement.name.meaning.lower()} {measurement.value:,.1f} {unit}"


def _place(finding: Finding, sources: Sources) -> str:
    uids = [source.sop_uid for source in sources]
    which = f"image {uids.index(finding.sop_uid) + 1} of {len(uids)}"
    many = sources.by_uid(finding.sop_uid).frames > 1
    return f"{which}, frame {finding.frame}" if many else which


def _figure(told: Told, layer: Written | None, sources: Sources, pictures: Pictures) -> Figure | None:
    try:
        png = pictures.picture(told.frame, layer)
    except PixelError:
        return None
    caption = f"{told.finding.label}, {_place(told.finding, sources)}."
    return Figure(png, f"{caption} {ATTRIBUTION}" if told.activation is not None else caption)
