"""What was measured, as it is shown and said."""

from collections.abc import Iterable

from firstread import quantities
from firstread.review import MeasuredValue, Point, ReaderMeasurement, Shape
from portal.logic.worklist import View

_UNITS = {
    quantities.MM.value: " mm",
    quantities.SQUARE_MM.value: " mm²",
    quantities.DEGREE.value: "°",
    quantities.HOUNSFIELD.value: " HU",
    quantities.NO_UNITS.value: "",
}
_DERIVED = {quantities.MEAN: "Mean", quantities.STANDARD_DEVIATION: "SD"}


class MeasuredView(View):
    """Something that a reader has measured on one frame.

    Parameters
    ----------
    points
        Columns and rows from the top left corner of the image.
    values
        In millimetres where the image tells the spacing in the patient, else in pixels.
    words
        They in words, a line each.
    """

    measurement_id: str
    shape: Shape
    series_uid: str
    sop_uid: str
    frame: int
    points: tuple[Point, ...]
    values: tuple[MeasuredValue, ...]
    label: str
    words: tuple[str, ...]


def measured_views(measurements: Iterable[ReaderMeasurement]) -> tuple[MeasuredView, ...]:
    """Return measurements as they are shown."""
    return tuple(
        MeasuredView(
            **{name: getattr(each, name) for name in ReaderMeasurement.model_fields}, words=words_of(each)
        )
        for each in measurements
    )


def words_of(measurement: ReaderMeasurement) -> tuple[str, ...]:
    """Return the values of a measurement with their units, a line each, to as many digits as the viewer shows."""
    return tuple(_line(each) for each in measurement.values)


def line_of(measurement: ReaderMeasurement) -> str:
    """Return a measurement in a line of a report."""
    label = f" ({measurement.label})" if measurement.label else ""
    return f"Measured{label}: {measurement.shape.value}, {', '.join(words_of(measurement))}"


def _line(each: MeasuredValue) -> str:
    is_area = each.name == quantities.AREA
    name = _DERIVED[each.derivation] + " " if each.derivation else "Area " if is_area else ""
    unit = " px²" if is_area else " px"
    return f"{name}{_rounded(each)}{_UNITS.get(each.unit.value, unit)}"


def _rounded(each: MeasuredValue) -> str:
    if each.name == quantities.ANGLE:
        return f"{each.value:.1f}"
    size = abs(each.value)
    return f"{each.value:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"
