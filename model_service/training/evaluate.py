"""Evaluate a trained run: ``python -m model_service.training.evaluate --config FILE --data DIR --run DIR``.

What is chosen (calibration, thresholds) is chosen on the validation split; every published figure is of the test
split or of sources that were held out whole.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from model_service.bundle import build_network, build_preprocessing, load_weights, read_inference_config
from model_service.manifest import load_manifest
from model_service.predict import Classifier
from model_service.training import finding, kinds, tracking
from model_service.training.config import TrainConfig, load_config
from model_service.training.data import Dataset, digest, load_dataset
from model_service.training.split import Split
from model_service.training.train import WEIGHTS

_LOG = logging.getLogger(__name__)


def describe_data(data: Dataset) -> dict[str, Any]:
    """Count images and patient groups per split and class."""
    result: dict[str, Any] = {
        "classes": list(data.classes),
        "near_duplicates_dropped": data.dropped,
        "pairs_linking_patients": data.linked,
        "split_sha256": digest(data.manifest()),
        "splits": {},
    }
    for split in Split:
        indices = data.indices(split)
        if len(indices):
            labels = data.labels(indices)
            result["splits"][split.value] = {
                "images": len(indices),
                "by_class": {name: int((labels == i).sum()) for i, name in enumerate(data.classes)},
                "patient_groups": len(set(data.patients(indices))),
            }
    return result


def evaluate(config: TrainConfig, data: Dataset, run: Path, others: Mapping[str, Path]) -> dict[str, Any]:
    """Evaluate the weights of a run.

    Parameters
    ----------
    config : TrainConfig
        The run's configuration.
    data : Dataset
        The run's data; its split must be the run's.
    run : pathlib.Path
        Folder that the training wrote.
    others : mapping of str to pathlib.Path
        Folders of images of other kinds, by name; for a finding only.

    Returns
    -------
    dict
        Everything that the model card shows, ready for JSON.

    Raises
    ------
    ValueError
        If the data give another split than the run was trained on.
    """
    if (run / "split.csv").read_text(encoding="utf-8") != data.manifest():
        raise ValueError("the data folder does not give the split that this run was trained on")
    settings = read_inference_config(config.bundle)
    network, preprocess = build_network(settings), build_preprocessing(settings)
    load_weights(network, run / WEIGHTS)
    if len(data.classes) > 2:
        report = kinds.report(network, preprocess, data, config)
    else:
        classifier = Classifier(network, preprocess, load_manifest(config.bundle))
        report = finding.report(classifier, data, config, others)
    history = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    report["data"] = describe_data(data) | report["data"]
    report["training"] = {
        "epochs": len(history),
        "scheduled_epochs": config.epochs,
        "wall_seconds": sum(row["seconds"] for row in history),
        "threads": config.threads,
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    return report


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Evaluate a trained run and write its metrics.json.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder that the training wrote")
    parser.add_argument(
        "--other", action="append", default=[], metavar="NAME=DIR", help="images of another kind"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(options.config)
    torch.set_num_threads(config.threads)
    others = {name: Path(folder) for name, _, folder in (item.partition("=") for item in options.other)}
    report = evaluate(config, load_dataset(options.data, config.data, config.seed), options.run, others)
    file = options.run / "metrics.json"
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    with tracking.run(config.bundle.name, {}, options.run) as tracked:
        for figure, estimate in report["test"].items():
            tracked.metrics({f"test_{figure}": estimate["value"]}, report["training"]["epochs"])
        for artifact in (file, options.run / "split.csv", options.config):
            tracked.artifact(artifact)
    _LOG.info("test: %s", {name: round(estimate["value"], 4) for name, estimate in report["test"].items()})


if __name__ == "__main__":
    main()
