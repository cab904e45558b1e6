"""What a reader measures: made of the points and of the stored image, never of a number that a page has sent."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset

from firstread import quantities
from firstread.dicomweb.errors import CannotRenderError
from firstread.errors import NotFoundError
from firstread.imaging.lookup import value_units
from firstread.objects.sources import Source, Sources
from firstread.result import Code
from firstread.review import MAX_LABEL, MeasuredValue, Point, ReaderMeasurement, Shape
from portal.errors import RefusedError
from portal.logic.review.images import StudyImages

_DECIMALS = 3
"""Of what is recorded: a point that is set by hand is not more exact."""

_Grey = npt.NDArray[np.float32]


class MeasurementEntry(BaseModel):
    """What a reader has measured; its values are those that the server makes of the points.

    Parameters
    ----------
    measurement_id
        A UID of its own (``2.25.`` and a UUID as a number).
    frame
        1 first.
    points
        Columns and rows from the top left corner of the image: the ends of a length, three points of an angle, which is
        at the second one, opposite corners of an ellipse or a rectangle.
    label
        What the reader calls it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measurement_id: str = Field(pattern=r"^2\.25\.(0|[1-9][0-9]{0,38})$")
    shape: Shape
    series_uid: str = Field(pattern=r"^[0-9.]{1,64}$")
    sop_uid: str = Field(pattern=r"^[0-9.]{1,64}$")
    frame: int = Field(1, ge=1)
    points: tuple[Point, ...] = Field(min_length=2, max_length=3)
    label: str = Field("", max_length=MAX_LABEL)


class Frames(Protocol):
    """Where images are; `portal.logic.pictures.Pictures` is one."""

    def header(self, key: str) -> Dataset:
        """Return an image without its pixels."""

    def values(self, key: str, number: int) -> _Grey:
        """Return the values of a grey frame, 1 first, in the unit of its modality."""


class Measurer:
    """Makes what is recorded of what was measured.

    Parameters
    ----------
    images, frames
        The images of the study, and what is in them.
    known
        What was measured before on the same images, by id: it is not measured again.
    """

    def __init__(self, images: StudyImages, frames: Frames, known: Mapping[str, ReaderMeasurement]) -> None:
        self._images = images
        self._frames = frames
        self._known = known

    def measured(self, entries: Sequence[MeasurementEntry]) -> tuple[ReaderMeasurement, ...]:
        """Return the measurements of a review.

        Raises
        ------
        RefusedError
            If something does not hold together; the text says which measurement, and no value of it.
        """
        names = [each.measurement_id for each in entries]
        if len(set(names)) != len(names):
            raise RefusedError("a measurement is there twice")
        return tuple(self._one(each, f"measurement {index}") for index, each in enumerate(entries, start=1))

    def _one(self, entry: MeasurementEntry, where: str) -> ReaderMeasurement:
        image = self._images.holding(entry, entry.points, f"{where}: it")
        if len(entry.points) != entry.shape.points:
            raise RefusedError(f"{where}: it has not as many points as its shape")
        if _is_flat(entry):
            raise RefusedError(f"{where}: it has no extent")
        said = entry.model_dump(exclude={"label"})
        known = self._known.get(entry.measurement_id)
        if known is not None and known.model_dump(exclude={"label", "values"}) == said:
            return known.model_copy(update={"label": entry.label})
        try:
            values = self._values(entry, image.studies_key)
        except (CannotRenderError, NotFoundError):
            raise RefusedError(f"{where}: its image cannot be read") from None
        return ReaderMeasurement(**entry.model_dump(), values=tuple(values))

    def _values(self, entry: MeasurementEntry, key: str) -> Iterator[MeasuredValue]:
        (source,) = Sources([self._frames.header(key)])
        if entry.shape is Shape.ANGLE:
            yield _value(
                quantities.ANGLE, _angle(entry.points, source.pixel_aspect(entry.frame)), quantities.DEGREE
            )
            return
        spacing = source.patient_spacing(entry.frame)
        height, width = (spacing.rows_mm, spacing.columns_mm) if spacing else (1.0, 1.0)
        a, b = entry.points
        across, down = abs(b.x - a.x) * width, abs(b.y - a.y) * height
        if entry.shape is Shape.LENGTH:
            unit = quantities.MM if spacing else quantities.PIXELS
            yield _value(quantities.LENGTH, math.hypot(across, down), unit)
            return
        area = across * down * (math.pi / 4 if entry.shape is Shape.ELLIPSE else 1.0)
        yield _value(quantities.AREA, area, quantities.SQUARE_MM if spacing else quantities.PIXELS)
        yield from self._statistics(entry, key, source)

    def _statistics(self, entry: MeasurementEntry, key: str, source: Source) -> Iterator[MeasuredValue]:
        if source.is_colour:
            return
        try:
            found = _inside(self._frames.values(key, entry.frame), entry)
        except CannotRenderError:
            return  # the area needs no pixels
        if not found.size or not np.isfinite(found).all():
            return
        is_hounsfield = value_units(source.header, entry.frame - 1) == quantities.HOUNSFIELD.value
        name, unit = (
            (quantities.ATTENUATION, quantities.HOUNSFIELD)
            if is_hounsfield
            else (quantities.PIXEL_VALUE, quantities.NO_UNITS)
        )
        yield _value(name, float(found.mean()), unit, quantities.MEAN)
        yield _value(name, float(found.std()), unit, quantities.STANDARD_DEVIATION)


def _value(name: Code, value: float, unit: Code, derivation: Code | None = None) -> MeasuredValue:
    return MeasuredValue(name=name, value=round(value, _DECIMALS), unit=unit, derivation=derivation)


def _is_flat(entry: MeasurementEntry) -> bool:
    if entry.shape.is_region:
        a, b = entry.points
        return a.x == b.x or a.y == b.y
    return any(a == b for a, b in pairwise(entry.points))


def _angle(points: Sequence[Point], aspect: float) -> float:
    """Return the angle at the second of three points, in degrees; `aspect` is the height of a pixel by its width."""
    a, at, b = points
    ux, uy, vx, vy = a.x - at.x, (a.y - at.y) * aspect, b.x - at.x, (b.y - at.y) * aspect
    return math.degrees(math.atan2(abs(ux * vy - uy * vx), ux * vx + uy * vy))


def _inside(values: _Grey, entry: MeasurementEntry) -> npt.NDArray[np.float64]:
    """Return the values of the pixels whose centres a region holds, its edge included."""
    (left, right), (top, bottom) = (
        sorted(each) for each in zip(*((p.x, p.y) for p in entry.points), strict=True)
    )
    first_row, first_column = math.floor(top), math.floor(left)
    part = values[first_row : math.ceil(bottom), first_column : math.ceil(right)].astype(np.float64)
    rows = np.arange(part.shape[0])[:, None] + first_row + 0.5
    columns = np.arange(part.shape[1])[None, :] + first_column + 0.5
    if entry.shape is Shape.RECTANGLE:
        within = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
    else:
        down, across = (
            (rows * 2 - top - bottom) / (bottom - top),
            (columns * 2 - left - right) / (right - left),
        )
        within = down**2 + across**2 <= 1
    found: npt.NDArray[np.float64] = part[within]
    return found
