"""The reliability plot, as SVG: no plotting library is needed, and a change of the figures is a readable diff."""

from collections.abc import Mapping, Sequence

_SIDE, _MARGIN = 240, 40


def reliability_svg(bins: Sequence[Mapping[str, float]], observed: str) -> str:
    """Draw the observed share over the predicted probability, each bin as a dot whose area is its images.

    Parameters
    ----------
    bins : sequence of mapping
        As `metrics.reliability` returns them.
    observed : str
        What the share is of, for the axis.

    Returns
    -------
    str
        An SVG document of 300 x 300.
    """
    most = max((each["images"] for each in bins), default=1)
    dots = "\n".join(
        f'<circle cx="{_across(each["predicted"])}" cy="{_down(each["observed"])}" '
        f'r="{2 + 8 * (each["images"] / most) ** 0.5:.1f}"><title>{each["images"]} images</title></circle>'
        for each in bins
    )
    ticks = "\n".join(
        f'<text x="{_across(value)}" y="{_SIDE + 18}" text-anchor="middle">{value}</text>'
        f'<text x="{_MARGIN - 6}" y="{_down(value) + 4}" text-anchor="end">{value}</text>'
        for value in (0, 0.5, 1)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -10 300 300" width="300" height="300">
<title>Reliability of the calibrated probability on the test split</title>
<rect x="0" y="-10" width="300" height="300" fill="#fff"/>
<rect x="{_MARGIN}" y="0" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>
<line x1="{_MARGIN}" y1="{_SIDE}" x2="{_MARGIN + _SIDE}" y2="0" stroke="#888" stroke-dasharray="4 4"/>
<g fill="#1f5fa8" fill-opacity="0.7">
{dots}
</g>
<g font-family="sans-serif" font-size="11">
{ticks}
<text x="{_MARGIN + _SIDE / 2:g}" y="{_SIDE + 36}" text-anchor="middle">calibrated probability</text>
<text transform="translate(12 {_SIDE / 2:g}) rotate(-90)" text-anchor="middle">{observed}</text>
</g>
</svg>
"""


def _across(value: float) -> str:
    return f"{_MARGIN + _SIDE * value:.1f}"


def _down(value: float) -> float:
    return round(_SIDE * (1 - value), 1)
