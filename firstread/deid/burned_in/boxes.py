"""Text boxes, and what may find them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TextBox:
    """A rectangle with text in it, in pixels; right and bottom are excluded.

    Parameters
    ----------
    left, top, right, bottom
        The rectangle.
    text
        What was recognised, or "" where nobody tried or the reader was not sure. Never shown by `repr`.
    """

    left: int
    top: int
    right: int
    bottom: int
    text: str = field(default="", repr=False)

    @property
    def area(self) -> int:
        """Pixels inside."""
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)

    def grown(self, beside: int, above: int, shape: tuple[int, int], step: int = 1) -> "TextBox":
        """Return the box with margins, without its text.

        Parameters
        ----------
        beside, above
            Pixels added left and right, above and below.
        shape
            Rows and columns of the image, which the box does not leave.
        step
            Left and right become multiples of it.
        """
        rows, columns = shape
        left = max(0, self.left - beside) // step * step
        right = min(columns, -(-(self.right + beside) // step) * step)
        return TextBox(left, max(0, self.top - above), right, min(rows, self.bottom + above))


class TextDetector(Protocol):
    """Finds text in an image."""

    def find(self, image: Image) -> Sequence[TextBox]:
        """Return a box around every text.

        Parameters
        ----------
        image
            Rows x columns, or rows x columns x 3 (RGB), 8 bit.
        """
        ...


def merged(boxes: Iterable[TextBox]) -> list[TextBox]:
    """Join boxes that several views of one image found at the same place.

    A joined box has a text only if all its parts have that text: a disagreement is no recognition.
    """
    result: list[TextBox] = []
    for box in sorted(boxes, key=lambda one: one.area, reverse=True):
        for index, other in enumerate(result):
            if overlap(box, other) * 2 > min(box.area, other.area):
                result[index] = _union(box, other)
                break
        else:
            result.append(box)
    return result


def overlap(one: TextBox, other: TextBox) -> int:
    """Return the pixels that two boxes share."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0, width) * max(0, height)


def _union(one: TextBox, other: TextBox) -> TextBox:
    return TextBox(
        min(one.left, other.left),
        min(one.top, other.top),
        max(one.right, other.right),
        max(one.bottom, other.bottom),
        one.text if one.text == other.text else "",
    )
