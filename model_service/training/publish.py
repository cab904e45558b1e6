"""Put an evaluated run into its bundle.

``python -m model_service.training.publish --config FILE --run DIR``
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
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
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    for source, target in (
        (run / train.WEIGHTS, bundle / WEIGHTS),
        (run / "split.csv", bundle / "docs" / "split.csv"),
        (run / "metrics.json", bundle / "docs" / "metrics.json"),
        (config_file, bundle / "configs" / "train.yaml"),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    raw: dict[str, Any] = yaml.safe_load((bundle / MANIFEST).read_text(encoding="utf-8"))
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
    weights = (bundle / WEIGHTS).read_bytes()
    raw["weights"] = {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    raw["data"]["split_sha256"] = metrics["data"]["split_sha256"]
    raw.pop("graph", None)  # it refers to the weights that were replaced
    BundleManifest.model_validate(raw)
    text = yaml.safe_dump(raw, sort_keys=False, width=110)
    (bundle / MANIFEST).write_text(text, encoding="utf-8")
    export_graph(bundle)
    readme = bundle / "docs" / "README.md"
    readme.write_text(card.render_bundle(bundle), encoding="utf-8")
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
