"""Render the figures of a segmentation's model card from ``docs/metrics.json``.

``python -m model_service.training.segmentation.card --bundle DIR`` rewrites the block between the markers of
``docs/README.md``; ``--check`` only tells whether it is up to date.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_service.training.card import markdown_table, update, with_interval, write_or_check

_TITLES = {
    "dice": "Dice",
    "hd95_mm": "HD95, mm",
    "sensitivity": "Sensitivity of pixels",
    "specificity": "Specificity of pixels",
    "auroc": "AUROC of pixels",
    "auprc": "AUPRC of pixels",
    "ece_before": "Expected calibration error, before temperature scaling",
    "ece_after": "Expected calibration error, after",
    "ece_doubtful_before": "The same where the probability is 0.05 or more, before",
    "ece_doubtful_after": "The same, after",
}
_ROWS = {"atlas": "Mean label of the training set, stretched", "logistic_regression": "Logistic regression"}


def render(metrics: Mapping[str, Any], model: str) -> str:
    """Return the Markdown of all figures.

    Parameters
    ----------
    metrics : mapping
        What the evaluation wrote.
    model : str
        Name and version, for the first line.

    Returns
    -------
    str
        Markdown without the markers.
    """
    classes = list(metrics["reliability"])
    command = "python -m model_service.training.segmentation.card"
    parts = [
        f"Figures of {model}, written by `{command}` from `metrics.json`.",
        _data(metrics["data"]),
        _operating_point(metrics),
        _test("Test split", metrics["test"], classes),
        *(_test(f"Test split, {s} alone", figures, classes) for s, figures in metrics["sources"].items()),
        _volumes(metrics.get("volumes")),
        _comparison(metrics, classes),
        _reliability(metrics["reliability"]),
        _series(metrics["series"], classes),
        _cost(metrics),
    ]
    return "\n\n".join(part for part in parts if part)


def _data(data: Mapping[str, Any]) -> str:
    sources = sorted(data["train"]["sources"])
    rows = [
        [name, data[name]["cases"], data[name]["groups"], *(data[name]["sources"].get(s, 0) for s in sources)]
        for name in ("train", "validation", "test")
    ]
    note = (
        f"Near-duplicates left out: {data['near_duplicates_dropped']} (the closest two cases differ in "
        f"{data['closest_hash_distance']} bits). Files without a partner, left out: "
        f"{', '.join(f'`{name}`' for name in data['unpaired']) or 'none'}. "
        f"SHA-256 of the frozen split (`split.csv`): `{data['split_sha256']}`."
    )
    return f"### Data\n\n{markdown_table(['split', 'cases', 'patients', *sources], rows)}\n\n{note}"


def _operating_point(metrics: Mapping[str, Any]) -> str:
    point = metrics["operating_point"]
    rule = (
        "The label of a voxel is the class of the largest output"
        if point["threshold"] is None
        else f"A pixel is foreground from a probability of {point['threshold']:.2f}"
    )
    parts = "; only the largest connected part of each class stays" if point["keep_largest"] else ""
    return (
        f"### Operating point\n\n{rule}{parts}. Chosen on the validation split, mean Dice there "
        f"{point['mean_dice']:.3f}. Temperature {metrics['calibration']['temperature']:.3f}, from the same split; it "
        "changes no mask."
    )


def _test(title: str, figures: Mapping[str, Any], classes: Sequence[str]) -> str:
    rows = [
        [label, *(with_interval(figures[f"{key}_{name}"]) for name in classes)]
        for key, label in _TITLES.items()
        if f"{key}_{classes[0]}" in figures
    ]
    head = (
        f"### {title}\n\n{figures['cases']} cases of {figures['groups']} patients; means over cases (calibration, "
        "AUROC and AUPRC: over all voxels together), 95 % intervals from a bootstrap of patients."
    )
    return f"{head}\n\n{markdown_table(['metric', *classes], rows)}"


def _volumes(volumes: Mapping[str, Any] | None) -> str:
    if volumes is None:
        return ""
    rows = [
        [
            name,
            f"{row['mean_reference']:.0f}",
            *(with_interval(row[key], 0) for key in ("mean_difference", "lower_limit", "upper_limit")),
            f"{100 * row['mean_absolute_share']:.1f} %",
            f"{row['correlation']:.3f}",
        ]
        for name, row in volumes.items()
    ]
    header = [
        "volume, mm³",
        "mean reference",
        "mean difference",
        "lower limit",
        "upper limit",
        "mean absolute error",
        "correlation",
    ]
    return (
        "### Volumes\n\nModel minus reference on the test split, with the limits of agreement of Bland and Altman "
        f"(mean difference ± 1.96 standard deviations).\n\n{markdown_table(header, rows)}\n\n"
        "![Bland-Altman plot](bland_altman.svg)"
    )


def _comparison(metrics: Mapping[str, Any], classes: Sequence[str]) -> str:
    def row(title: str, figures: Mapping[str, Any]) -> list[str]:
        return [title, *(with_interval(figures[f"dice_{name}"]) for name in classes)]

    rows = [row("This model", metrics["test"])]
    rows += [row(_ROWS[key], figures) for key, figures in metrics["baselines"].items()]
    if "second_observer" in metrics:
        observer = metrics["second_observer"]
        rows.append(row(f"Second human observer ({observer['cases']} cases that have one)", observer))
    header = ["", *(f"Dice {name}" for name in classes)]
    return f"### Beside it\n\nSame test cases.\n\n{markdown_table(header, rows)}"


def _reliability(reliability: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    rows = [
        [name, f"{row['predicted']:.3f}", f"{row['observed']:.3f}", f"{row['voxels']:,}"]
        for name, bins in reliability.items()
        for row in bins
    ]
    header = ["class", "mean probability", "share of the reference", "voxels"]
    return (
        "### Reliability\n\nOf all test voxels together, after temperature scaling.\n\n"
        f"{markdown_table(header, rows)}\n\n![Reliability plot](reliability.svg)"
    )


def _series(series: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> str:
    if not series:
        return ""
    rows = [
        [
            name,
            " x ".join(str(n) for n in row["shape"]),
            part,
            f"{row[part]['volume_mm3']:.0f}",
            f"{row[part]['largest_part_share']:.3f}",
            "-"
            if row[part]["mean_probability_inside"] is None
            else f"{row[part]['mean_probability_inside']:.3f}",
            "yes" if row[part]["touches_edge"] else "no",
        ]
        for name, row in series.items()
        for part in classes
    ]
    header = [
        "series",
        "slices x rows x columns",
        "class",
        "volume, mm³",
        "share in the largest part",
        "mean probability inside",
        "touches the edge",
    ]
    return f"### A series without a reference\n\n{markdown_table(header, rows)}"


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _cost(metrics: Mapping[str, Any]) -> str:
    training, speed = metrics["training"], metrics["speed"]
    steps = training["epochs"] * training["steps_per_epoch"]
    return (
        "### Cost\n\n"
        f"{training['parameters']:,} parameters; {training['epochs']} of {training['scheduled_epochs']} scheduled "
        f"epochs, {steps:,} steps of {training['batch_size']} patches of {' x '.join(map(str, training['patch']))}, in "
        f"{training['wall_seconds'] / 60:.0f} minutes on {training['threads']} thread of a shared machine. One case of "
        f"the test split, reading and preprocessing included: {speed['median_seconds_per_case']:.2f} s (median, "
        f"PyTorch on {speed['threads']} thread of the same machine while others worked)."
    )


def render_bundle(bundle: Path) -> str:
    """Return the card of a bundle with its figures up to date."""
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    metrics = json.loads((bundle / "docs" / "metrics.json").read_text(encoding="utf-8"))
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    return update(card, render(metrics, f"{metadata['name']} {metadata['version']}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if ``--check`` finds an outdated card."""
    return write_or_check(render_bundle, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
