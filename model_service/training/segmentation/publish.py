"""Put an evaluated run into its bundle.

``python -m model_service.training.segmentation.publish --config FILE --run DIR``
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from model_service.manifest import BundleManifest
from model_service.training.publish import declare, place
from model_service.training.segmentation import card, plot
from model_service.training.segmentation.config import load_config

_INFERENCE = Path("configs") / "inference.json"


def publish(config_file: Path, run: Path) -> BundleManifest:
    """Put a run into its bundle, with what was chosen on validation, and export the graph.

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
    point = metrics["operating_point"]
    raw["output"]["keep_largest"] = point["keep_largest"]
    if point["threshold"] is not None:
        raw["output"]["threshold"] = point["threshold"]
    _set_threshold(bundle / _INFERENCE, point["threshold"])
    docs = bundle / "docs"
    (docs / "reliability.svg").write_text(plot.reliability_svg(metrics["reliability"]), encoding="utf-8")
    if "volumes" in metrics:
        (docs / "bland_altman.svg").write_text(plot.bland_altman_svg(metrics["volumes"]), encoding="utf-8")
    return declare(bundle, raw, card.render_bundle)


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
