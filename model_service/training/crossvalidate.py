"""Train on every fold of a finding's set and pool the scores of the held-out parts.

``python -m model_service.training.crossvalidate --config FILE --data DIR --run DIR``: the published run is fold 0;
the others are trained into ``fold1``, ``fold2``... of the run's folder, continued where one stopped, and the
result goes into its ``metrics.json``. On a small set one test split is a matter of luck; this uses every image.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_service.bundle import build_network, build_preprocessing, load_weights, read_inference_config
from model_service.manifest import load_manifest
from model_service.predict import Classifier
from model_service.training import finding, metrics, train
from model_service.training.config import TrainConfig, load_config
from model_service.training.data import load_dataset
from model_service.training.split import Split

_LOG = logging.getLogger(__name__)


def cross_validate(config: TrainConfig, root: Path, run: Path) -> dict[str, Any]:
    """Train what is missing and score every image by the fold that held its group out.

    Parameters
    ----------
    config : TrainConfig
        Of a finding.
    root : pathlib.Path
        The data folder.
    run : pathlib.Path
        Folder of the published run.

    Returns
    -------
    dict
        AUROC of each fold, and the pooled figures with intervals.
    """
    labels, probabilities, flags, groups, areas = [], [], [], [], []
    settings = read_inference_config(config.bundle)
    for fold in range(round(1 / config.data.test_fraction)):
        data = load_dataset(root, config.data, config.seed, fold)
        folder = run / f"fold{fold}" if fold else run
        folder.mkdir(exist_ok=True)
        if not (folder / train.WEIGHTS).is_file():
            train.run(config, data, folder)
        network = build_network(settings)
        load_weights(network, folder / train.WEIGHTS)
        classifier = Classifier(network, build_preprocessing(settings), load_manifest(config.bundle))
        chosen, _ = finding.choose(finding.score(classifier, data, data.indices(Split.VALIDATION)), config)
        scored = finding.score(classifier, data, data.indices(Split.TEST))
        labels.append(scored.labels)
        probabilities.append(chosen.probabilities(scored.logits))
        flags.append(chosen.flagged(scored.logits))
        groups += scored.groups
        areas.append(metrics.auroc(scored.labels, scored.logits))
        _LOG.info("fold %d: AUROC %.4f", fold, areas[-1])
    # Flags go along as a second column: each fold has a threshold of its own.
    both = np.column_stack([np.concatenate(probabilities), np.concatenate(flags)])
    truth = np.concatenate(labels)
    wanted: dict[str, metrics.Metric] = {
        "auroc": lambda y, s: metrics.auroc(y, s[:, 0]),
        "auprc": lambda y, s: metrics.average_precision(y, s[:, 0]),
        "sensitivity_at_threshold": lambda y, s: metrics.sensitivity(y, s[:, 1] > 0),
        "specificity_at_threshold": lambda y, s: metrics.specificity(y, s[:, 1] > 0),
    }
    pooled = metrics.estimates(truth, both, groups, wanted, config.bootstrap, config.seed)
    return {"images": len(truth), "auroc_of_folds": areas, "pooled": pooled}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Cross-validate a finding and add it to metrics.json.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of the evaluated run")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(options.config)
    torch.set_num_threads(config.threads)
    file = options.run / "metrics.json"
    report = json.loads(file.read_text(encoding="utf-8"))
    report["cross_validation"] = cross_validate(config, options.data, options.run)
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
