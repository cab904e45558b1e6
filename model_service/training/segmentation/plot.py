"""Plots of the card as SVG: no plotting library is needed, and a change of the figures is a readable diff."""

from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _MARGIN = 420, 260, 56
_COLOURS = ("#1f5fa8", "#b3541e", "#3d7a3d")


def _document(title: str, across: str, down: str, ticks: str, body: str, legend: Sequence[str]) -> str:
    names = "\n".join(
        f'<text x="{_MARGIN + 8 + 90 * i}" y="-8" fill="{_COLOURS[i % 3]}">{name}</text>'
        for i, name in enumerate(legend)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -24 {_WIDTH + _MARGIN + 16} {_HEIGHT + 72}" \
width="{_WIDTH + _MARGIN + 16}" height="{_HEIGHT + 72}" font-family="sans-serif" font-size="11">
<title>{title}</title>
<rect x="0" y="-24" width="100%" height="100%" fill="#fff"/>
<rect x="{_MARGIN}" y="0" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#888"/>
{ticks}
{body}
{names}
<text x="{_MARGIN + _WIDTH / 2:g}" y="{_HEIGHT + 36}" text-anchor="middle">{across}</text>
<text transform="translate(12 {_HEIGHT / 2:g}) rotate(-90)" text-anchor="middle">{down}</text>
</svg>
"""


class _Axes:
    """Places of values in the plot."""

    def __init__(self, across: tuple[float, float], down: tuple[float, float]) -> None:
        self._across, self._down = across, down

    def x(self, value: float) -> float:
        low, high = self._across
        return round(_MARGIN + _WIDTH * (value - low) / (high - low), 1)

    def y(self, value: float) -> float:
        low, high = self._down
        return round(_HEIGHT * (1 - (value - low) / (high - low)), 1)

    def ticks(self, digits: int) -> str:
        parts = []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            for low, high, vertical in ((*self._across, False), (*self._down, True)):
                value = low + share * (high - low)
                text = f"{value:.{digits}f}"
                parts.append(
                    f'<text x="{_MARGIN - 6}" y="{self.y(value) + 4}" text-anchor="end">{text}</text>'
                    if vertical
                    else f'<text x="{self.x(value)}" y="{_HEIGHT + 18}" text-anchor="middle">{text}</text>'
                )
        return "\n".join(parts)


def reliability_svg(bins: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Draw the observed share over the mean probability of each class, one dot per tenth.

    Parameters
    ----------
    bins : mapping of str to sequence of mapping
        By class, as `measures.reliability` returns them.

    Returns
    -------
    str
        An SVG document.
    """
    axes = _Axes((0, 1), (0, 1))
    body = [
        f'<line x1="{axes.x(0)}" y1="{axes.y(0)}" x2="{axes.x(1)}" y2="{axes.y(1)}" stroke="#888" '
        'stroke-dasharray="4 4"/>'
    ]
    for number, rows in enumerate(bins.values()):
        points = [(axes.x(row["predicted"]), axes.y(row["observed"])) for row in rows]
        colour = _COLOURS[number % 3]
        line = " ".join(f"{x},{y}" for x, y in points)
        body.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        body += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
    title = "Reliability on the test split"
    return _document(
        title, "calibrated probability", "share of the reference", axes.ticks(2), "\n".join(body), list(bins)
    )


def bland_altman_svg(volumes: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw model minus reference over their mean, with mean difference and limits of agreement.

    Parameters
    ----------
    volumes : mapping of str to mapping
        By class, as the evaluation's ``volumes`` are.

    Returns
    -------
    str
        An SVG document.
    """
    points = {name: [((a + b) / 2, a - b) for a, b in row["points"]] for name, row in volumes.items()}
    means = [x for rows in points.values() for x, _ in rows]
    widest = max(abs(y) for rows in points.values() for _, y in rows) * 1.1 or 1.0
    axes = _Axes((min(means) * 0.95, max(means) * 1.05), (-widest, widest))
    body = []
    for number, (name, rows) in enumerate(points.items()):
        colour = _COLOURS[number % 3]
        left, right = (axes.x(edge([x for x, _ in rows])) for edge in (min, max))
        for key, dash in (("mean_difference", "none"), ("lower_limit", "4 4"), ("upper_limit", "4 4")):
            level = axes.y(volumes[name][key]["value"])
            body.append(
                f'<line x1="{left}" y1="{level}" x2="{right}" y2="{level}" stroke="{colour}" '
                f'stroke-dasharray="{dash}"/>'
            )
        body += [f'<circle cx="{axes.x(x)}" cy="{axes.y(y)}" r="2.5" fill="{colour}"/>' for x, y in rows]
    title = "Volumes on the test split: model minus reference"
    return _document(
        title, "mean of both, mm³", "model minus reference, mm³", axes.ticks(0), "\n".join(body), list(points)
    )
