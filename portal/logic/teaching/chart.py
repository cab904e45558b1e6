"""The chart of progress: where each case is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstread.teaching.progress import Step

WIDTH, HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 28


@dataclass(frozen=True)
class Chart:
    """Places in a drawing of `WIDTH` x `HEIGHT`.

    Parameters
    ----------
    dots
        One for each case.
    line
        The running mean.
    grid
        Height and label of the lines across.
    """

    dots: tuple[tuple[float, float], ...]
    line: str
    grid: tuple[tuple[float, str], ...]
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def chart(steps: Sequence[Step]) -> Chart:
    """Return the chart of scores by case."""
    room = WIDTH - _LEFT - _RIGHT

    def across(index: int) -> float:
        return round(_LEFT + room * (index + 0.5) / max(1, len(steps)), 1)

    def up(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value, 1)

    return Chart(
        dots=tuple((across(index), up(step.score)) for index, step in enumerate(steps)),
        line=" ".join(f"{across(index)},{up(step.running)}" for index, step in enumerate(steps)),
        grid=tuple((up(value / 100), f"{value} %") for value in (0, 50, 100)),
    )
