"""Put an evaluated run into its bundle.

``python -m model_service.training.segmentation.publish --config FILE --run DIR``
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from model_service.manifest import MANIFEST, BundleManifest
from model_service.training.segmentation import card, plot
from model_service.training.segmentation.config import load_config

_WEIGHTS = "models/model.safetensors"
_INFERENCE = Path("configs") / "inference.json"


def publish(config_file: Path, run: Path) -> BundleManifest:
    """Copy weights, split, metrics and configuration into the bundle, and set what was chosen on validation.

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
        (run / "model.safetensors", bundle / _WEIGHTS),
        (run / "split.csv", bundle / "docs" / "split.csv"),
        (run / "metrics.json", bundle / "docs" / "metrics.json"),
        (config_file, bundle / "configs" / "train.yaml"),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    raw: dict[str, Any] = yaml.safe_load((bundle / MANIFEST).read_text(encoding="utf-8"))
    point = metrics["operating_point"]
    raw["output"]["keep_largest"] = point["keep_largest"]
    if point["threshold"] is not None:
        raw["output"]["threshold"] = point["threshold"]
    _set_threshold(bundle / _INFERENCE, point["threshold"])
    weights = (bundle / _WEIGHTS).read_bytes()
    raw["weights"] = {"file": _WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    # The graph refers to the old weights; it is exported anew.
    raw.pop("graph", None)
    raw["data"]["split_sha256"] = metrics["data"]["split_sha256"]
    manifest = BundleManifest.model_validate(raw)
    (bundle / MANIFEST).write_text(yaml.safe_dump(raw, sort_keys=False, width=110), encoding="utf-8")
    docs = bundle / "docs"
    (docs / "reliability.svg").write_text(plot.reliability_svg(metrics["reliability"]), encoding="utf-8")
    if "volumes" in metrics:
        (docs / "bland_altman.svg").write_text(plot.bland_altman_svg(metrics["volumes"]), encoding="utf-8")
    (docs / "README.md").write_text(card.render_bundle(bundle), encoding="utf-8")
    return manifest


def _set_threshold(file: Path, threshold: float | None) -> None:
    """Set the threshold of the postprocessing, so that MONAI's own tools decide as the manifest does."""
    if threshold is None:
        return
    config = json.loads(file.read_text(encoding="utf-8"))
    for transform in config["postprocessing"]["transforms"]:
        if transform["_target_"] == "AsDiscreted":
            transform["threshold"] = threshold
    file.write_text(json.dumps(config, indent=4) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Put an evaluated segmentation run into its bundle.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args(arguments)
    publish(options.config, options.run)


if __name__ == "__main__":
    main()
