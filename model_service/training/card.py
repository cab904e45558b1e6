"""Render the figures of a model card from ``docs/metrics.json``.

``python -m model_service.training.card --bundle DIR`` rewrites the block between the markers of
``docs/README.md``; ``--check`` only tells whether it is up to date.
"""

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_service.manifest import load_manifest
from model_service.training.perturb import CHANGED

_LOG = logging.getLogger(__name__)
BEGIN, END = "<!-- metrics:begin -->", "<!-- metrics:end -->"
PLOT = "reliability.svg"

_FINDING_ROWS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "sensitivity_at_specificity_0.90": "Sensitivity at specificity 0.90 (threshold read off the test ROC)",
    "sensitivity_at_specificity_0.95": "Sensitivity at specificity 0.95 (threshold read off the test ROC)",
    "sensitivity_at_threshold": "Sensitivity at the operating point",
    "specificity_at_threshold": "Specificity at the operating point",
}
_KINDS_ROWS = {
    "accuracy": "Accuracy of the most probable class",
    "answered_share": "Share of the images that get an answer",
    "accuracy_of_answered": "Accuracy of the answers",
    "not_wrong": "Right or unknown",
}
_CALIBRATION_ROWS = {
    "ece_before": "Expected calibration error, before calibration",
    "ece_after": "Expected calibration error, after",
    "brier_before": "Brier score, before calibration",
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
    first = f"Figures of {model}, written by `python -m model_service.training.card` from `metrics.json`."
    parts = _kinds(metrics) if "external" in metrics else _finding(metrics)
    return "\n\n".join([first, _data(metrics["data"]), *parts, _cost(metrics)])


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


def _finding(metrics: Mapping[str, Any]) -> list[str]:
    folds = [_folds(metrics["cross_validation"])] if "cross_validation" in metrics else []
    return [
        _frames(metrics["data"]),
        _operating_point(metrics),
        _test(metrics, _FINDING_ROWS),
        *folds,
        _reliability(metrics["reliability"], "positive"),
        _baselines(metrics),
        _changes("What the model relies on", metrics["shortcuts"], _AT_THRESHOLD),
        _activation(metrics["activation"]),
        _changes("Changed test images", metrics["robustness"], _AT_THRESHOLD),
        _subgroups(metrics["subgroups"]),
        *([_others(metrics["other_images"])] if metrics["other_images"] else []),
    ]


def _kinds(metrics: Mapping[str, Any]) -> list[str]:
    return [
        _unknown(metrics),
        _test(metrics, _KINDS_ROWS),
        _confusion(metrics["confusion"]),
        _external(metrics["external"]),
        _reliability(metrics["reliability"], "right"),
        _kinds_baselines(metrics),
        _changes("What the model relies on", metrics["shortcuts"], _KINDS_ROWS),
        _changes("Changed test images", metrics["robustness"], _KINDS_ROWS),
    ]


_AT_THRESHOLD = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity at the operating point",
    "specificity": "specificity at the operating point",
}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def with_interval(estimate: Mapping[str, float], digits: int = 3) -> str:
    """Return an estimate as text: value (low to high)."""
    value, low, high = (f"{estimate[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _data(data: Mapping[str, Any]) -> str:
    classes = data["classes"]
    rows = [
        [name, split["images"], *(split["by_class"][each] for each in classes), split["patient_groups"]]
        for name, split in data["splits"].items()
    ]
    table = markdown_table(["split", "images", *classes, "patient groups"], rows)
    note = (
        f"Near-duplicates left out before splitting: {data['near_duplicates_dropped']}. "
        f"Pairs of look-alike images that joined two patients into one group: {data['pairs_linking_patients']}. "
        f"SHA-256 of the frozen split (`split.csv`): `{data['split_sha256']}`."
    )
    return f"### Data\n\n{table}\n\n{note}{_sources(data.get('sources', {}))}"


def _sources(sources: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    rows = [
        [label, source, *(counts.get(split, 0) for split in ("train", "validation", "test", "external"))]
        for label, by_source in sources.items()
        for source, counts in by_source.items()
    ]
    header = ["class", "source", "train", "validation", "test", "held out whole"]
    return f"\n\n{markdown_table(header, rows)}" if rows else ""


def _frames(data: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{share:.2f} of {name}" for name, share in data["dark_frame_share"].items())
    return f"Share of the images with a dark frame: {shares}."


def _operating_point(metrics: Mapping[str, Any]) -> str:
    point, calibration = metrics["operating_point"], metrics["calibration"]
    return (
        "### Operating point\n\n"
        f"Probability: logistic(logit / {calibration['temperature']:.3f} {calibration['bias']:+.3f}); flagged at "
        f"{point['threshold']:.3f} or more. All of it was chosen on the validation split, where the sensitivity is "
        f"{point['sensitivity']:.3f} and the specificity {point['specificity']:.3f}."
    )


def _unknown(metrics: Mapping[str, Any]) -> str:
    figures = metrics["validation"]
    return (
        "### Unknown\n\n"
        f"Probability: softmax of logits / {metrics['calibration']['temperature']:.3f}. The answer is unknown where "
        f"the largest probability is below {metrics['unknown_below']:.3f}, or belongs to the class of everything "
        "else. Both were chosen on the validation split, where "
        f"{figures['answered_share']:.3f} of the images get an answer and {figures['accuracy_of_answered']:.3f} of "
        "the answers are right."
    )


def _test(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    test, counts = metrics["test"], metrics["data"]["splits"]["test"]
    rows = [
        [title, with_interval(test[key])]
        for key, title in {**titles, **_CALIBRATION_ROWS}.items()
        if key in test
    ]
    head = (
        f"### Test split\n\n{counts['images']} images of {counts['patient_groups']} patient groups; "
        "95 % intervals from a bootstrap of patient groups."
    )
    return f"{head}\n\n{markdown_table(['metric', 'value (95 % interval)'], rows)}"


def _folds(folds: Mapping[str, Any]) -> str:
    rows = [
        [title, with_interval(folds["pooled"][key])]
        for key, title in _FINDING_ROWS.items()
        if key in folds["pooled"]
    ]
    each = ", ".join(f"{value:.3f}" for value in folds["auroc_of_folds"])
    return (
        f"### Cross-validation\n\n{folds['images']} images, each scored by the one of {len(folds['auroc_of_folds'])} "
        "networks that saw nothing of its patient group; every fold has its own calibration and threshold from its "
        f"own validation part. The first fold is the published model. AUROC of the folds: {each}.\n\n"
        f"{markdown_table(['metric', 'value (95 % interval)'], rows)}"
    )


def _reliability(bins: Sequence[Mapping[str, float]], observed: str) -> str:
    rows = [[each["images"], f"{each['predicted']:.3f}", f"{each['observed']:.3f}"] for each in bins]
    table = markdown_table(["images", "mean calibrated probability", f"share {observed}"], rows)
    return f"### Reliability on the test split\n\n![Reliability plot]({PLOT})\n\n{table}"


def _baselines(metrics: Mapping[str, Any]) -> str:
    rows = [["This model", *_two(metrics["test"]), "-"]]
    for key, title in _BASELINES.items():
        figures = metrics["baselines"][key]
        rows.append([title, *_two(figures), with_interval(figures["auroc_lead_of_model"])])
    head = (
        "### Trivial baseline\n\nThe baselines see a 16-bin histogram, mean, standard deviation and the file "
        "size: no anatomy. Same training and test images."
    )
    table = markdown_table(
        ["", "AUROC", "sensitivity at specificity 0.95", "the model's lead in AUROC"], rows
    )
    return f"{head}\n\n{table}"


def _two(figures: Mapping[str, Any]) -> list[str]:
    return [with_interval(figures["auroc"]), with_interval(figures["sensitivity_at_specificity_0.95"])]


def _kinds_baselines(metrics: Mapping[str, Any]) -> str:
    rows = [
        [
            "This model",
            f"{metrics['test']['accuracy']['value']:.3f}",
            f"{metrics['external']['images_with_a_class']['accuracy']:.3f}",
        ]
    ]
    for key, title in _BASELINES.items():
        figures = metrics["baselines"][key]
        rows.append([title, f"{figures['test_accuracy']:.3f}", f"{figures['external_accuracy']:.3f}"])
    head = (
        "### Trivial baseline\n\nThe baselines see a 16-bin histogram, mean, standard deviation, mean colours and "
        "the file size. Accuracy of the most probable class, nothing unknown:"
    )
    return f"{head}\n\n{markdown_table(['', 'test split', 'held-out sources'], rows)}"


def _confusion(confusion: Mapping[str, Mapping[str, int]]) -> str:
    rows = [[label, sum(answers.values()), _answers(answers)] for label, answers in confusion.items()]
    return f"### Answers by class, test split\n\n{markdown_table(['class', 'images', 'answers'], rows)}"


def _answers(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(answers.items(), key=lambda item: -item[1]))


def _external(external: Mapping[str, Any]) -> str:
    rows = [
        [source, figures["images"], *_percentages(figures), label, _answers(answers)]
        for source, figures in external["sources"].items()
        for label, answers in figures["answers"].items()
    ]
    rows.append(["mean of sources with a class", "-", *_percentages(external["mean_of_sources"]), "-", "-"])
    together = external["images_with_a_class"]
    rows.append(["all images with a class", together["images"], *_percentages(together), "-", "-"])
    header = ["source", "images", *_KINDS_ROWS.values(), "class", "answers"]
    head = (
        "### Sources held out whole\n\nNothing of them was seen in training or validation. For images of the class "
        "`other` only unknown is right."
    )
    return f"{head}\n\n{markdown_table(header, rows)}"


def _percentages(figures: Mapping[str, float]) -> list[str]:
    return ["-" if figures[key] != figures[key] else f"{figures[key]:.3f}" for key in _KINDS_ROWS]


def _changes(title: str, changes: Mapping[str, Mapping[str, float]], columns: Mapping[str, str]) -> str:
    rows = [
        [name.replace("_", " "), *(f"{figures[key]:.3f}" for key in columns)]
        for name, figures in changes.items()
    ]
    note = f"At most {CHANGED} test images, evenly spread, after each change."
    return f"### {title}\n\n{note}\n\n{markdown_table(['change', *columns.values()], rows)}"


def _activation(regions: Mapping[str, Mapping[str, float]]) -> str:
    parts = [
        f"{row['median_share']:.2f} in the {name.replace('_', ' ')} ({row['area_share']:.2f} of the area)"
        for name, row in regions.items()
    ]
    return f"Median share of the positive activation over the positive test images: {'; '.join(parts)}."


def _subgroups(subgroups: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, row["images"], row["positive"], f"{row['flagged_share']:.3f}"]
        for name, row in subgroups.items()
    ]
    header = ["subgroup told by the file's folder or name", "images", "of them positive", "share flagged"]
    return f"### Subgroups\n\n{markdown_table(header, rows)}"


def _others(others: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, row["images"], f"{row['flagged_share']:.2f}", f"{row['median_probability']:.2f}"]
        for name, row in others.items()
    ]
    head = (
        "### Images outside the intended use\n\nThe routing rule keeps such images away from the model. "
        "Nothing is known of their findings: this says what the model does, not how well."
    )
    return f"{head}\n\n{markdown_table(['images', 'number', 'share flagged', 'median probability'], rows)}"


def _cost(metrics: Mapping[str, Any]) -> str:
    training = metrics["training"]
    return (
        "### Cost\n\n"
        f"{training['parameters']:,} parameters; {training['epochs']} of {training['scheduled_epochs']} scheduled "
        f"epochs in {training['wall_seconds'] / 60:.0f} minutes, {training['threads']} thread(s) of a shared CPU."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if ``--check`` finds an outdated card."""
    return write_or_check(render_bundle, arguments)


def write_or_check(render: Callable[[Path], str], arguments: Sequence[str] | None) -> int:
    """Write the card of the bundle that the arguments name, or with ``--check`` compare it.

    Parameters
    ----------
    render : callable
        Returns the text of a bundle's card with its figures up to date.
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        1 if ``--check`` finds an outdated card.
    """
    parser = argparse.ArgumentParser(description="Render the figures of a model card.")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = options.bundle / "docs" / "README.md"
    card = render(options.bundle)
    if options.check:
        outdated = card != path.read_text(encoding="utf-8")
        if outdated:
            _LOG.error("the model card is not what metrics.json says")
        return int(outdated)
    path.write_text(card, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
