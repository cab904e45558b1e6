"""Put an evaluated run into its bundle.

``python -m model_service.training.publish --config FILE --run DIR``
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from model_service.export import export_graph
from model_service.manifest import MANIFEST, BundleManifest, load_manifest
from model_service.training import card, train
from model_service.training.config import load_config
from model_service.training.plot import reliability_svg

WEIGHTS = "models/model.safetensors"


def publish(config_file: Path, run: Path) -> BundleManifest:
    """Copy weights, split, metrics and configuration into the bundle, set the manifest's numbers, export the graph.

    Parameters
    ----------
    config_file : pathlib.Path
        The run's configuration.
    run : pathlib.Path
        Folder that training and evaluation wrote.

    Returns
    -------
    BundleManifest
        The manifest as written.
    """
    bundle = load_config(config_file).bundle
    raw, metrics = place(bundle, config_file, run)
    output = raw["output"]
    output["calibration"] = metrics["calibration"]
    if "operating_point" in metrics:
        output["classes"][0]["operating_point"] = metrics["operating_point"]
        output["overlay"] |= metrics["overlay"]
        observed = "share of positives"
    else:
        output["unknown_below"] = metrics["unknown_below"]
        observed = "share of right answers"
    plot = reliability_svg(metrics["reliability"], observed)
    (bundle / "docs" / card.PLOT).write_text(plot, encoding="utf-8")
    return declare(bundle, raw, card.render_bundle)


def place(bundle: Path, config_file: Path, run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Copy what a run left into its bundle.

    Parameters
    ----------
    bundle : pathlib.Path
        The bundle, with its manifest.
    config_file : pathlib.Path
        The run's configuration.
    run : pathlib.Path
        Folder that training and evaluation wrote.

    Returns
    -------
    raw : dict
        The manifest with the new weights and split, not yet written, without its graph.
    metrics : dict
        What the evaluation measured.
    """
    for source, target in (
        (run / train.WEIGHTS, bundle / WEIGHTS),
        (run / "split.csv", bundle / "docs" / "split.csv"),
        (run / "metrics.json", bundle / "docs" / "metrics.json"),
        (config_file, bundle / "configs" / "train.yaml"),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    raw: dict[str, Any] = yaml.safe_load((bundle / MANIFEST).read_text(encoding="utf-8"))
    weights = (bundle / WEIGHTS).read_bytes()
    raw["weights"] = {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    raw["data"]["split_sha256"] = metrics["data"]["split_sha256"]
    raw.pop("graph", None)  # it refers to the weights that were replaced
    return raw, metrics


def declare(bundle: Path, raw: dict[str, Any], render_card: Callable[[Path], str]) -> BundleManifest:
    """Write a manifest, export the graph of the weights that it names, and bring the card up to date.

    Parameters
    ----------
    bundle : pathlib.Path
        The bundle, with its weights.
    raw : dict
        The manifest.
    render_card : callable
        Returns the text of the card of a bundle.

    Returns
    -------
    BundleManifest
        The manifest as written, with its graph.
    """
    BundleManifest.model_validate(raw)
    (bundle / MANIFEST).write_text(yaml.safe_dump(raw, sort_keys=False, width=110), encoding="utf-8")
    export_graph(bundle)
    (bundle / "docs" / "README.md").write_text(render_card(bundle), encoding="utf-8")
    return load_manifest(bundle)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Put an evaluated run into its bundle.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args(arguments)
    publish(options.config, options.run)


if __name__ == "__main__":
    main()
