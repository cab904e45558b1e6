"""Where known devices burn text into their images: the coordinate rules of the `deid` package.

The rules are those of the RSNA Clinical Trials Processor, by manufacturer, model, size and kind of image, as
pydicom/deid (MIT) keeps them in its recipe `dicom`. They add to what a text detector finds and never replace it.
Needs the extra `recipes`; `deid` is imported with the first image, which takes more than a second, as it imports
matplotlib.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydicom.dataset import FileDataset

from firstread.deid.burned_in.boxes import TextBox
from firstread.dicom.silence import quiet
from firstread.errors import QuarantineError, Reason

_RULES = "graylist"  # the only filters of the recipe that have coordinates


Rules = Callable[[FileDataset], Mapping[str, Any]]
"""Evaluates the rules for one header, as `deid.dicom.has_burned_pixels` does."""


def boxes_to_blank(
    dataset: FileDataset, rows: int, columns: int, rules: Rules | None = None
) -> list[TextBox]:
    """Return the boxes that the rules blank in every frame of an image of a known device.

    Parameters
    ----------
    dataset
        The header as it arrived.
    rows, columns
        The size of a frame; boxes end there.
    rules
        Other rules than those of the recipe `dicom`.

    Raises
    ------
    QuarantineError
        With `Reason.UNREADABLE` if the rules cannot be evaluated for this header.
    ModuleNotFoundError
        If the extra `recipes` is not installed.
    """
    evaluate = rules or _recipe()
    try:
        with quiet():
            steps = [
                (int(keep), _box(area, rows, columns))
                for result in evaluate(dataset)["results"]
                if result["group"] == _RULES
                for keep, areas in result["coordinates"]
                for area in _areas(areas)
            ]
    except (
        Exception
    ):  # deid may fail in any way on odd values, and its error quotes them; `from None`: no PHI
        raise QuarantineError(Reason.UNREADABLE) from None
    boxes: list[TextBox] = []
    for keep, box in steps:
        boxes = [part for one in boxes for part in _without(one, box)] if keep else [*boxes, box]
    return [box for box in boxes if box.area > 0]


def _recipe() -> Rules:
    with quiet():  # it still imports what pydicom warns of
        from deid.config import DeidRecipe
        from deid.dicom import has_burned_pixels
        from deid.logger import bot

    bot.level = -5  # it has messages about files

    def evaluate(dataset: FileDataset) -> Mapping[str, Any]:
        # Read anew for each image: evaluating a rule that takes coordinates from the header changes the rule.
        found: Mapping[str, Any] = has_burned_pixels(dataset, deid=DeidRecipe("dicom"))
        return found

    return evaluate


def _areas(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _box(area: str, rows: int, columns: int) -> TextBox:
    """Return "left,top,right,bottom" or "all" as a box inside the image."""
    if area.strip().lower() == "all":
        return TextBox(0, 0, columns, rows)
    left, top, right, bottom = (int(float(part)) for part in area.split(","))
    return TextBox(max(0, left), max(0, top), min(columns, right), min(rows, bottom))


def _without(box: TextBox, hole: TextBox) -> list[TextBox]:
    """Return what is left of a box around a hole, as up to four boxes."""
    left, right = max(box.left, hole.left), min(box.right, hole.right)
    top, bottom = max(box.top, hole.top), min(box.bottom, hole.bottom)
    if left >= right or top >= bottom:
        return [box]
    parts = [
        TextBox(box.left, box.top, box.right, top),
        TextBox(box.left, bottom, box.right, box.bottom),
        TextBox(box.left, top, left, bottom),
        TextBox(right, top, box.right, bottom),
    ]
    return [part for part in parts if part.area > 0]
