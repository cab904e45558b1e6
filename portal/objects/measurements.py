"""What a reader has measured, as measurement groups (PS3.16 TID 1501; of a region, TID 1410)."""

from collections.abc import Iterator

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes

from firstread.objects.outline import Polyline
from firstread.objects.references import image_of, region
from firstread.objects.sources import Source
from firstread.objects.written import coded
from firstread.review import MeasuredValue, ReaderMeasurement, Shape
from portal.objects.signed import Signed, tracking_id

_Group = sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations


def measurement_groups(signed: Signed) -> Iterator[_Group]:
    """Return a group for each measurement of a review, without a Finding: a measurement names none."""
    for index, each in enumerate(signed.review.measurements, start=1):
        source = signed.sources.by_uid(each.sop_uid)
        tracking = sr.TrackingIdentifier(
            uid=each.measurement_id,
            identifier=tracking_id(signed.review.number, f"{each.shape.value} {index}"),
        )
        made = _of_region if each.shape.is_region else _of_points
        group = made(each, source, tracking)
        if each.label:
            group[0].ContentSequence.append(comment(each.label))
        yield group


def comment(text: str) -> sr.TextContentItem:
    """Return words of the reader about a group."""
    return sr.TextContentItem(
        name=codes.DCM.Comment, value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )


def corners(left: float, top: float, right: float, bottom: float) -> Polyline:
    """Return a box as a closed outline."""
    return np.array(
        [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], dtype=np.float64
    )


def _of_points(
    measurement: ReaderMeasurement, source: Source, tracking: sr.TrackingIdentifier
) -> sr.MeasurementsAndQualitativeEvaluations:
    points = np.array([(point.x, point.y) for point in measurement.points], dtype=np.float64)
    place = sr.CoordinatesForMeasurement(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=points,
        source_image=image_of(source, measurement.frame),
    )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking, measurements=[_number(each, place) for each in measurement.values]
    )


def _of_region(
    measurement: ReaderMeasurement, source: Source, tracking: sr.TrackingIdentifier
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    a, b = measurement.points
    left, right = sorted((a.x, b.x))
    top, bottom = sorted((a.y, b.y))
    if measurement.shape is Shape.ELLIPSE:
        place = region(
            source, measurement.frame, _axes(left, top, right, bottom), sr.GraphicTypeValues.ELLIPSE
        )
    else:
        place = region(source, measurement.frame, corners(left, top, right, bottom))
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_region=place,
        measurements=[_number(each) for each in measurement.values],
    )


def _axes(left: float, top: float, right: float, bottom: float) -> Polyline:
    """Return the ends of the axes of an ellipse, those of the major one first (PS3.3 C.18.6.1.2)."""
    x, y = (left + right) / 2, (top + bottom) / 2
    across, down = [(left, y), (right, y)], [(x, top), (x, bottom)]
    wide = right - left >= bottom - top
    return np.array([*across, *down] if wide else [*down, *across], dtype=np.float64)


def _number(value: MeasuredValue, place: sr.CoordinatesForMeasurement | None = None) -> sr.Measurement:
    return sr.Measurement(
        coded(value.name),
        value.value,
        coded(value.unit),
        derivation=coded(value.derivation) if value.derivation else None,
        referenced_coordinates=[place] if place is not None else None,
    )
