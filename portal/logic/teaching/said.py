"""Findings as a page sends them, checked against what can be chosen and against the images of the study."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from firstread.gathering.summary import present
from firstread.result import Code
from firstread.review import DrawnRegion, Point
from firstread.study import Instance
from firstread.teaching.cases import Mark, Seen
from firstread.teaching.scoring import Shapes
from portal.errors import NotPossibleError
from portal.logic.study import is_image


class SaidRegion(BaseModel):
    """An outline on one frame, 1 first, in columns and rows from the top left corner of the image."""

    model_config = ConfigDict(extra="forbid")

    sop_uid: str = Field(max_length=64)
    frame: int = Field(1, ge=1)
    outline: tuple[Point, ...] = Field(min_length=3, max_length=512)


class Said(BaseModel):
    """A finding: its code, and where and how surely, if somebody said."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(max_length=64)
    scheme: str = Field(max_length=16)
    regions: tuple[SaidRegion, ...] = Field((), max_length=16)
    mark: Mark | None = None
    confidence: int | None = Field(None, ge=1, le=5)


def shapes(instances: Iterable[Instance]) -> Shapes:
    """Return rows and columns of every frame of a study."""
    return {
        (each.sop_uid, frame): (each.facts.rows or 0, each.facts.columns or 0)
        for each in _images(instances).values()
        for frame in range(1, max(1, each.facts.frames) + 1)
    }


def checked(said: Sequence[Said], choices: Sequence[Code], instances: Iterable[Instance]) -> tuple[Seen, ...]:
    """Return findings as they are recorded, with the words and series that are known here.

    Raises
    ------
    NotPossibleError
        If a label is none of the choices, or a place is on no image of the study.
    """
    images = _images(instances)
    known = {(code.value, code.scheme): code for code in choices}
    return tuple(_checked(each, known, images) for each in said)


def _checked(said: Said, known: Mapping[tuple[str, str], Code], images: Mapping[str, Instance]) -> Seen:
    code = known.get((said.value, said.scheme))
    if code is None:
        raise NotPossibleError("a finding is not among the choices")
    places = [*said.regions, *((said.mark,) if said.mark else ())]
    for place in places:
        image = images.get(place.sop_uid)
        if image is None or place.frame > max(1, image.facts.frames):
            raise NotPossibleError("a place is on no image of this study")
    regions = tuple(
        DrawnRegion(
            series_uid=images[each.sop_uid].facts.series_uid,
            sop_uid=each.sop_uid,
            frame=each.frame,
            outline=each.outline,
        )
        for each in said.regions
    )
    return Seen(code=code, regions=regions, mark=said.mark, confidence=said.confidence)


def _images(instances: Iterable[Instance]) -> dict[str, Instance]:
    return {each.sop_uid: each for each in present(instances) if is_image(each)}
