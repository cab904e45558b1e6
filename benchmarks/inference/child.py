"""One process that makes one prediction, and says what that took.

``python -m benchmarks.inference.child stock|firstread classifier|volume BUNDLE``
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from firstread.imaging.volume import Volume


def main(path: str, what: str, bundle: Path) -> None:
    """Predict and print."""
    if what == "classifier":
        value: object = np.linspace(0, 1, 768 * 768, dtype=np.float32).reshape(768, 768)
    else:
        saved = np.load(bundle.parent / "volume.npz")
        value = Volume(saved["values"], saved["affine"], ())
    before = time.process_time()
    _stock(bundle, value) if path == "stock" else _firstread(bundle, value)
    said = {
        "seconds": time.process_time() - before,  # of the processor: imports, loading, predicting
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(said))


def _firstread(bundle: Path, value: object) -> None:
    from firstread.environment import InferenceSettings
    from model_service.inference import load_model

    load_model(bundle, settings=InferenceSettings(inference_threads=1)).predict([value])  # type: ignore[list-item]


def _stock(bundle: Path, value: object) -> None:
    import torch

    from benchmarks.inference import stock

    torch.set_num_threads(1)
    if isinstance(value, Volume):
        stock.Segmenter(bundle).labels(value)
    else:
        stock.Classifier(bundle).probabilities([value])  # type: ignore[list-item]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
