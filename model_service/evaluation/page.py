"""``report.html``: one file, no scripts, nothing loaded from elsewhere, readable in print."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import jinja2

from model_service.evaluation.analysing import Shown
from model_service.evaluation.plots import in_print, plots
from model_service.evaluation.report import Estimate, Figures, Report, Subgroup

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("model_service.evaluation", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


class Metric(NamedTuple):
    """How a figure is shown: its title, its digits, and whether it is a size or a distance, which have units."""

    title: str
    digits: int = 3
    of: str = ""


METRICS = {
    "auroc": Metric("AUROC"),
    "auprc": Metric("AUPRC (average precision)"),
    "sensitivity_at_specificity_0.90": Metric("Sensitivity at specificity 0.90"),
    "sensitivity_at_specificity_0.95": Metric("Sensitivity at specificity 0.95"),
    "sensitivity": Metric("Sensitivity at the operating point"),
    "specificity": Metric("Specificity at the operating point"),
    "ppv": Metric("PPV at the operating point, in these data"),
    "npv": Metric("NPV at the operating point, in these data"),
    "flagged_share": Metric("Share flagged"),
    "brier": Metric("Brier score"),
    "ece": Metric("Expected calibration error"),
    "accuracy": Metric("Accuracy"),
    "coverage": Metric("Coverage"),
    "accuracy_answered": Metric("Accuracy among the answered"),
    "dice": Metric("Dice, mean"),
    "hd95": Metric("HD95, mean", 2, "distance"),
    "size_difference": Metric("Size: mean difference", 1, "size"),
    "size_difference_lower_limit": Metric("Size: lower limit of agreement", 1, "size"),
    "size_difference_upper_limit": Metric("Size: upper limit of agreement", 1, "size"),
    "size_error_share": Metric("Size: mean absolute error, as a share of the reference"),
    "froc_score": Metric("FROC score"),
    "sensitivity_at_0.125_fp": Metric("Lesions found at 1/8 false positives per image"),
    "sensitivity_at_0.25_fp": Metric("Lesions found at 1/4 false positives per image"),
    "sensitivity_at_0.5_fp": Metric("Lesions found at 1/2 false positives per image"),
    "sensitivity_at_1_fp": Metric("Lesions found at 1 false positive per image"),
    "sensitivity_at_2_fp": Metric("Lesions found at 2 false positives per image"),
    "sensitivity_at_4_fp": Metric("Lesions found at 4 false positives per image"),
    "sensitivity_at_8_fp": Metric("Lesions found at 8 false positives per image"),
    "lesion_sensitivity": Metric("Lesions found at the operating point"),
    "false_positives_per_image": Metric("False positives per image at the operating point"),
}
_COUNTS = {
    "positive": "positive",
    "negative": "negative",
    "right": "right",
    "unknown": "answered \u201cunknown\u201d",
    "wrong": "wrong",
    "in_both": "in reference and prediction",
    "missed": "missed altogether",
    "only_predicted": "in the prediction only",
    "in_neither": "in neither",
    "images": "images",
    "lesions": "lesions",
}
_LABELS_FROM = {
    "none": "There are no labels: predictions only.",
    "csv": "Labels are those of the CSV.",
    "class_folders": "The folder a case lies in is its label.",
    "mask_folders": "images/ and labels/ are paired by name.",
}


def render(made: Report, shown: Sequence[Shown]) -> str:
    """Return the page.

    Parameters
    ----------
    made : Report
        What was found.
    shown : sequence of Shown
        Cases to show, by fault, the worst first.
    """
    return _ENVIRONMENT.get_template("report.html.j2").render(
        report=made,
        shown={title: list(cases) for title, cases in groupby(shown, key=lambda each: each.fault.title)},
        drawn={figures.label: plots(figures) for figures in made.figures},
        labels_from=_LABELS_FROM[made.data.labels_from],
        title=lambda name: METRICS[name].title,
        told=told,
        counted=counted,
        grouped=_grouped,
        reasons=sorted(Counter(each.reason for each in made.data.refused).items()),
    )


def told(name: str, estimate: Estimate, figures: Figures) -> tuple[str, str]:
    """Return a figure and its interval as text.

    Examples
    --------
    >>> told("dice", Estimate(value=0.91234, low=0.9, high=0.92), Figures(label="", counts={}, metrics={}))
    ('0.912', '0.900 to 0.920')
    """
    shown = METRICS[name]
    if estimate.value is None:
        return "not defined", ""
    unit = {"distance": figures.distance_unit, "size": in_print(figures.size_unit)}.get(shown.of, "")
    value = f"{estimate.value:.{shown.digits}f} {unit}".rstrip()
    if estimate.low is None or estimate.high is None:
        return value, ""
    return value, f"{estimate.low:.{shown.digits}f} to {estimate.high:.{shown.digits}f}"


def counted(counts: Mapping[str, int]) -> str:
    """Return counts as text."""
    return ", ".join(f"{number} {_COUNTS[name]}" for name, number in counts.items())


def _grouped(figures: Figures) -> dict[str, list[Subgroup]]:
    columns: dict[str, list[Subgroup]] = {}
    for each in figures.subgroups:
        columns.setdefault(each.column, []).append(each)
    return columns
