"""Plots of the report, as SVG in data URIs; each stands beside a table that says the same."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_service.evaluation.report import Bin, Curve, Figures, Histogram, Size

# Blue and vermilion of Okabe and Ito, told apart by colour-blind readers; hatches tell them apart in print.
_BLUE, _RED, _GREY = "#0072b2", "#d55e00", "#767676"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e0e0e0",
    "axes.axisbelow": True,
    "legend.frameon": False,
    # The same figures give the same bytes.
    "svg.hashsalt": "firstread",
}


class Plot(NamedTuple):
    """A plot: its title, what it shows in words, and the image."""

    title: str
    alt: str
    uri: str


def in_print(unit: str) -> str:
    """Return a unit as people write it."""
    return unit.replace("mm2", "mm\u00b2").replace("mm3", "mm\u00b3")


def plots(figures: Figures) -> list[Plot]:
    """Draw whatever there is to draw of one subject."""
    drawn = []
    if curve := figures.curves.get("roc"):
        drawn.append(_roc(curve, figures))
    if curve := figures.curves.get("precision_recall"):
        drawn.append(_precision_recall(curve, figures))
    if any(each.cases for each in figures.reliability):
        drawn.append(_reliability(figures.reliability))
    if figures.histogram is not None:
        drawn.append(_histogram(figures.histogram))
    if figures.sizes:
        drawn.append(_bland_altman(figures.sizes, figures))
    if curve := figures.curves.get("froc"):
        drawn.append(_froc(curve, figures))
    return drawn


@contextmanager
def _axes(into: list[str], *, square: bool = True) -> Iterator[Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.6, 3.4) if square else (4.4, 3.4), layout="constrained")
        yield figure.add_subplot()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    into.append("data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode())


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)


def _value(figures: Figures, name: str) -> str:
    value = figures.metrics[name].value
    return "not defined" if value is None else f"{value:.3f}"


def _roc(curve: Curve, figures: Figures) -> Plot:
    made: list[str] = []
    with _axes(made) as axes:
        axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", linewidth=1)
        axes.plot(curve.x, curve.y, color=_BLUE)
        point = figures.metrics["specificity"].value, figures.metrics["sensitivity"].value
        if point[0] is not None and point[1] is not None:
            axes.plot([1 - point[0]], [point[1]], "o", color=_RED, label="operating point")
            axes.legend(loc="lower right")
        _unit_square(axes, "1 \u2212 specificity", "sensitivity")
    alt = (
        f"ROC curve; area {_value(figures, 'auroc')}. At the operating point sensitivity "
        f"{_value(figures, 'sensitivity')}, specificity {_value(figures, 'specificity')}."
    )
    return Plot("ROC", alt, made[0])


def _precision_recall(curve: Curve, figures: Figures) -> Plot:
    made: list[str] = []
    share = figures.counts["positive"] / (figures.counts["positive"] + figures.counts["negative"])
    with _axes(made) as axes:
        axes.axhline(share, color=_GREY, linestyle=":", linewidth=1)
        axes.step(curve.x, curve.y, where="pre", color=_BLUE)
        _unit_square(axes, "sensitivity (recall)", "PPV (precision)")
    alt = f"Precision-recall curve; area {_value(figures, 'auprc')}; the share of positives is {share:.3f}."
    return Plot("Precision and recall", alt, made[0])


def _reliability(bins: tuple[Bin, ...]) -> Plot:
    made: list[str] = []
    some = [(each.mean_probability or 0.0, each.observed or 0.0, each.cases) for each in bins if each.cases]
    with _axes(made) as axes:
        axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", linewidth=1)
        most = max(cases for _, _, cases in some)
        sizes = [20 + 100 * cases / most for _, _, cases in some]
        axes.scatter([p for p, _, _ in some], [o for _, o, _ in some], s=sizes, color=_BLUE, alpha=0.8)
        _unit_square(axes, "mean probability of the bin", "share of positives")
    alt = "Reliability: share of positives against probability, larger dots for more cases; the table has the numbers."
    return Plot("Reliability", alt, made[0])


def _histogram(histogram: Histogram) -> Plot:
    made: list[str] = []
    with _axes(made) as axes:
        for counts, colour, hatch, name in (
            (histogram.negative, _BLUE, "", "negative"),
            (histogram.positive, _RED, "//", "positive"),
        ):
            axes.stairs(counts, histogram.edges, fill=True, color=colour, alpha=0.5, hatch=hatch, label=name)
        axes.set(xlabel="calibrated probability", ylabel="cases", xlim=(0, 1))
        axes.legend()
    alt = "Histogram of the calibrated probability, positive and negative cases apart."
    return Plot("Scores", alt, made[0])


def _bland_altman(sizes: tuple[Size, ...], figures: Figures) -> Plot:
    made: list[str] = []
    means = np.array([(each.reference + each.predicted) / 2 for each in sizes])
    apart = np.array([each.predicted - each.reference for each in sizes])
    names = ("size_difference_lower_limit", "size_difference", "size_difference_upper_limit")
    lines = [figures.metrics[name].value for name in names]
    with _axes(made, square=False) as axes:
        axes.scatter(means, apart, s=14, color=_BLUE, alpha=0.7)
        axes.axhline(0, color=_GREY, linewidth=1)
        for value, style in zip(lines, ("--", "-", "--"), strict=True):
            if value is not None:
                axes.axhline(value, color=_RED, linestyle=style, linewidth=1)
        unit = in_print(figures.size_unit)
        axes.set(
            xlabel=f"mean of reference and prediction ({unit})",
            ylabel=f"prediction \u2212 reference ({unit})",
        )
    told = ["not defined" if value is None else f"{value:.1f}" for value in lines]
    alt = f"Bland-Altman plot of the size; mean difference {told[1]}, limits of agreement {told[0]} to {told[2]}."
    return Plot("Size: difference against mean", alt, made[0])


def _froc(curve: Curve, figures: Figures) -> Plot:
    made: list[str] = []
    with _axes(made, square=False) as axes:
        axes.step(curve.x, curve.y, where="post", color=_BLUE)
        axes.set_xscale("symlog", base=2, linthresh=0.125)
        axes.set_xticks([0, 0.125, 0.25, 0.5, 1, 2, 4, 8], ["0", "1/8", "1/4", "1/2", "1", "2", "4", "8"])
        axes.set(xlim=(0, 9), ylim=(-0.01, 1.01), xlabel="false positives per image", ylabel="lesions found")
    return Plot("FROC", f"FROC curve; score {_value(figures, 'froc_score')}.", made[0])
