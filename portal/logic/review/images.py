"""The images of a study that a reader draws and measures on."""

from collections.abc import Callable, Iterable
from typing import Protocol

from firstread.review import Point
from firstread.study import Instance, InstanceState
from portal.errors import RefusedError


class Place(Protocol):
    """A frame of an image of a series; 1 first."""

    @property
    def series_uid(self) -> str:
        """Return the Series Instance UID."""

    @property
    def sop_uid(self) -> str:
        """Return the SOP Instance UID."""

    @property
    def frame(self) -> int:
        """Return the number of the frame."""


class StudyImages:
    """The images of a study, each looked up once.

    Parameters
    ----------
    find
        Finds an instance of the study by its SOP Instance UID.
    """

    def __init__(self, find: Callable[[str], Instance | None]) -> None:
        self._find = find
        self._found: dict[str, Instance | None] = {}

    def holding(self, place: Place, points: Iterable[Point], what: str) -> Instance:
        """Return the image that a place is of.

        Parameters
        ----------
        points
            What is drawn there.
        what
            How a refusal begins.

        Raises
        ------
        RefusedError
            If there is no such frame, or a point lies beyond it.
        """
        if place.sop_uid not in self._found:
            self._found[place.sop_uid] = self._find(place.sop_uid)
        image = self._found[place.sop_uid]
        if image is None or image.state is not InstanceState.STORED or not image.facts.rows:
            raise RefusedError(f"{what} lies on no image of the study")
        facts = image.facts
        if facts.series_uid != place.series_uid or place.frame > max(1, facts.frames):
            raise RefusedError(f"{what} lies on no frame of that series")
        width, height = facts.columns or 0, facts.rows or 0
        if any(point.x > width or point.y > height for point in points):
            raise RefusedError(f"{what} reaches beyond its image")
        return image
