"""Render the figures of a model card from ``docs/metrics.json``.

``python -m model_service.training.card --bundle DIR`` rewrites the block between the markers of
``docs/README.md``; ``--check`` only tells whether it is up to date.
"""

import argparse
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_service.manifest import load_manifest

_LOG = logging.getLogger(__name__)
BEGIN, END = "<!-- metrics:begin -->", "<!-- metrics:end -->"

_TEST_ROWS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "sensitivity_at_specificity_0.90": "Sensitivity at specificity 0.90 (threshold read off the test ROC)",
    "sensitivity_at_specificity_0.95": "Sensitivity at specificity 0.95 (threshold read off the test ROC)",
    "sensitivity_at_threshold": "Sensitivity at the operating point",
    "specificity_at_threshold": "Specificity at the operating point",
    "ece_before": "Expected calibration error, before temperature scaling",
    "ece_after": "Expected calibration error, after",
    "brier_before": "Brier score, before temperature scaling",
    "brier_after": "Brier score, after",
}
_BASELINES = {
    "logistic_regression": "Logistic regression",
    "random_forest": "Random forest",
}


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
    parts = [
        f"Figures of {model}, written by `python -m model_service.training.card` from `metrics.json`.",
        _data(metrics["data"]),
        _operating_point(metrics),
        _test(metrics["test"], metrics["data"]["test"]),
        _baselines(metrics),
        _changes("What the model relies on", metrics["shortcuts"]),
        _border(metrics["shortcuts"]["activation_in_border"]),
        _changes("Changed test images", metrics["robustness"]),
        _subgroups(metrics["subgroups"]),
        _others(metrics["other_images"]),
        _cost(metrics),
    ]
    return "\n\n".join(parts)


def update(card: str, block: str) -> str:
    """Put a block between the markers of a card."""
    head, begin, rest = card.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the model card lacks the metrics markers")
    return f"{head}{BEGIN}\n\n{block}\n\n{END}{tail}"


def render_bundle(bundle: Path) -> str:
    """Return the card of a bundle with its figures up to date."""
    manifest = load_manifest(bundle)
    metrics = json.loads((bundle / "docs" / "metrics.json").read_text(encoding="utf-8"))
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    return update(card, render(metrics, f"{manifest.name} {manifest.version}"))


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _interval(estimate: Mapping[str, float], digits: int = 3) -> str:
    value, low, high = (f"{estimate[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _data(data: Mapping[str, Any]) -> str:
    rows = [
        [name, *(data[name][key] for key in ("images", "positive", "negative", "patient_groups"))]
        for name in ("train", "validation", "test")
    ]
    table = _table(["split", "images", "PNEUMONIA", "NORMAL (the set's label)", "patient groups"], rows)
    note = (
        f"Near-duplicates left out before splitting: {data['near_duplicates_dropped']}. "
        "Pairs of look-alike images that joined two patients into one group: "
        f"{data['pairs_linking_patients']}. "
        "A dark frame was found around "
        f"{data['dark_frame_share']['negative']:.2f} of the NORMAL and {data['dark_frame_share']['positive']:.2f} "
        "of the PNEUMONIA images. "
        f"SHA-256 of the frozen split (`split.csv`): `{data['split_sha256']}`."
    )
    return f"### Data\n\n{table}\n\n{note}"


def _operating_point(metrics: Mapping[str, Any]) -> str:
    point, temperature = metrics["operating_point"], metrics["calibration"]["temperature"]
    return (
        "### Operating point\n\n"
        f"Temperature {temperature:.3f}; flagged at a calibrated probability of {point['threshold']:.3f} or "
        "more. Both were chosen on the validation split, where the sensitivity is "
        f"{point['sensitivity']:.3f} and the specificity {point['specificity']:.3f}."
    )


def _test(test: Mapping[str, Any], counts: Mapping[str, Any]) -> str:
    rows = [[title, _interval(test[key])] for key, title in _TEST_ROWS.items()]
    head = (
        f"### Test split\n\n{counts['images']} images of {counts['patient_groups']} patient groups; "
        "95 % intervals from a bootstrap of patient groups."
    )
    return f"{head}\n\n{_table(['metric', 'value (95 % interval)'], rows)}"


def _baselines(metrics: Mapping[str, Any]) -> str:
    rows = [["This model", *_two(metrics["test"]), "-"]]
    for key, title in _BASELINES.items():
        figures = metrics["baselines"][key]
        rows.append([title, *_two(figures), _interval(figures["auroc_lead_of_model"])])
    head = (
        "### Trivial baseline\n\nThe baselines see a 16-bin histogram, mean, standard deviation and the file "
        "size: no anatomy. Same training and test images."
    )
    table = _table(["", "AUROC", "sensitivity at specificity 0.95", "the model's lead in AUROC"], rows)
    return f"{head}\n\n{table}"


def _two(figures: Mapping[str, Any]) -> list[str]:
    return [_interval(figures["auroc"]), _interval(figures["sensitivity_at_specificity_0.95"])]


def _changes(title: str, changes: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name.replace("_", " "), *(f"{figures[key]:.3f}" for key in ("auroc", "sensitivity", "specificity"))]
        for name, figures in changes.items()
        if "auroc" in figures
    ]
    header = [
        "test images",
        "AUROC",
        "sensitivity at the operating point",
        "specificity at the operating point",
    ]
    return f"### {title}\n\n{_table(header, rows)}"


def _border(border: Mapping[str, float]) -> str:
    return (
        f"Median share of the positive activation in the outer frame, over test images of class PNEUMONIA: "
        f"{border['median_share']:.2f}; the frame is {border['area_share']:.2f} of the area."
    )


def _subgroups(subgroups: Mapping[str, Mapping[str, float]]) -> str:
    rows = [[cause, row["images"], f"{row['sensitivity']:.3f}"] for cause, row in subgroups.items()]
    header = ["cause in the file name", "images", "sensitivity at the operating point"]
    return f"### By cause\n\n{_table(header, rows)}"


def _others(others: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, row["images"], f"{row['flagged_share']:.2f}", f"{row['median_probability']:.2f}"]
        for name, row in others.items()
    ]
    head = (
        "### Images outside the intended use\n\nThe routing rule keeps such images away from the model. "
        "Nothing is known of their findings: this says what the model does, not how well."
    )
    return f"{head}\n\n{_table(['images', 'number', 'share flagged', 'median probability'], rows)}"


def _cost(metrics: Mapping[str, Any]) -> str:
    training, speed = metrics["training"], metrics["speed"]
    return (
        "### Cost\n\n"
        f"{training['parameters']:,} parameters; {training['epochs']} of {training['scheduled_epochs']} "
        "scheduled epochs in "
        f"{training['wall_seconds'] / 60:.0f} minutes on two shared CPU cores. One prediction of a 224 x 224 "
        "image, preprocessing and activation map included: "
        f"{speed['median_ms_1_threads']:.0f} ms on one thread, {speed['median_ms_2_threads']:.0f} ms on two "
        "(median; shared machine)."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if ``--check`` finds an outdated card."""
    parser = argparse.ArgumentParser(description="Render the figures of a model card.")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = options.bundle / "docs" / "README.md"
    card = render_bundle(options.bundle)
    if options.check:
        outdated = card != path.read_text(encoding="utf-8")
        if outdated:
            _LOG.error("the model card is not what metrics.json says")
        return int(outdated)
    path.write_text(card, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
