"""Train a bundle's network: ``python -m model_service.training.train --config FILE --data DIR --out DIR``."""

import argparse
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from model_service.bundle import build_network, build_preprocessing, read_inference_config
from model_service.preprocess import Preprocess
from model_service.training import tracking
from model_service.training.augment import Augment
from model_service.training.config import TrainConfig, load_config
from model_service.training.data import Dataset, digest, load_dataset
from model_service.training.metrics import auroc
from model_service.training.split import Split

_LOG = logging.getLogger(__name__)
_WARM_UP = 0.15
_EVALUATION_BATCH = 64
_CHECKPOINT = "state.safetensors"
WEIGHTS = "model.safetensors"
"""What a run leaves: the averaged weights of its last epoch."""


@dataclass
class TrainState:
    """What a run carries from epoch to epoch.

    Parameters
    ----------
    network : torch.nn.Module
        What the optimiser changes.
    average : torch.nn.Module
        Running average of the network; it becomes the model.
    optimizer : torch.optim.Optimizer
        AdamW.
    epoch : int
        Epochs done.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0

    def save(self, folder: Path) -> None:
        """Write the state as tensors and JSON, so that resuming never unpickles anything."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        for name, part in (("network", self.network), ("average", self.average)):
            tensors |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
        tensors["epoch"] = torch.tensor(self.epoch)
        partial = folder / "state.partial"
        save_file({key: value.contiguous() for key, value in tensors.items()}, partial)
        # The rename makes a checkpoint appear whole or not at all.
        partial.replace(folder / _CHECKPOINT)

    def restore(self, folder: Path) -> None:
        """Continue from a folder that `save` wrote; do nothing if there is none."""
        if not (folder / _CHECKPOINT).is_file():
            return
        tensors = load_file(folder / _CHECKPOINT)
        self.epoch = int(tensors.pop("epoch"))
        for name, part in (("network", self.network), ("average", self.average)):
            part.load_state_dict(_under(tensors, f"{name}."))
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "optimizer.").items():
            index, slot = key.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of one step: a linear warm-up, then half a cosine down to zero.

    Examples
    --------
    >>> learning_rate(1000, 1000, 1.0)
    0.0
    """
    warm = max(1, int(steps * _WARM_UP))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def predict_logits(
    network: nn.Module, preprocess: Callable[[Tensor], Tensor], data: Dataset, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return N x outputs logits of the images at ``indices``, without augmentation."""
    network.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(indices), _EVALUATION_BATCH):
            logits.append(network(preprocess(data.batch(indices[start : start + _EVALUATION_BATCH]))))
    return torch.cat(logits).double().numpy()


def loss_of(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Return the cross-entropy: logistic for one output, softmax for one output per class."""
    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    smooth = labels.float() * (1 - 2 * smoothing) + smoothing
    return functional.binary_cross_entropy_with_logits(logits.squeeze(1), smooth)


def validate(
    state: TrainState, preprocess: Preprocess, data: Dataset, validation: npt.NDArray[np.int64]
) -> dict[str, float]:
    """Score the averaged network on the validation images; nothing is chosen by it while training."""
    logits = predict_logits(state.average, preprocess, data, validation)
    labels = data.labels(validation)
    if logits.shape[1] == 1:
        return {"validation_auroc": auroc(labels, logits[:, 0])}
    return {"validation_accuracy": float((logits.argmax(axis=1) == labels).mean())}


def train_epoch(
    state: TrainState,
    config: TrainConfig,
    data: Dataset,
    indices: npt.NDArray[np.int64],
    preprocess: Preprocess,
) -> float:
    """Train one epoch and return its mean loss.

    Everything random comes from the seed and the epoch's number, so a resumed run repeats an unbroken one.
    """
    generator = torch.Generator().manual_seed(config.seed * 1000 + state.epoch)
    augment = Augment(config.augment, generator)
    if config.epoch_images:
        order = data.balanced(Split.TRAIN, config.epoch_images, generator)
    else:
        order = indices[torch.randperm(len(indices), generator=generator).numpy()]
    batches = len(order) // config.batch_size
    state.network.train()
    total = 0.0
    for number in range(batches):
        chosen = order[number * config.batch_size : (number + 1) * config.batch_size]
        step = state.epoch * batches + number
        rate = learning_rate(step, config.epochs * batches, config.learning_rate)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        images = preprocess(augment(data.batch(chosen))).contiguous(memory_format=torch.channels_last)
        labels = torch.from_numpy(data.labels(chosen))
        loss = loss_of(state.network(images), labels, config.label_smoothing)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        _update_average(state, min(config.average_decay, (step + 1) / (step + 10)))
        total += float(loss.detach())
    state.epoch += 1
    return total / max(1, batches)


def _update_average(state: TrainState, decay: float) -> None:
    with torch.no_grad():
        current = state.network.state_dict()
        for key, mean in state.average.state_dict().items():
            if mean.dtype.is_floating_point:
                mean.lerp_(current[key], 1 - decay)
            else:
                mean.copy_(current[key])


def start(config: TrainConfig) -> tuple[TrainState, Preprocess]:
    """Build the network, its average, the optimiser and the preprocessing of a configuration."""
    torch.manual_seed(config.seed)
    bundle = read_inference_config(config.bundle)
    network, average = build_network(bundle), build_network(bundle)
    if config.initial:
        _start_from(network, config.initial)
    average.load_state_dict(network.state_dict())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
    )
    preprocess = build_preprocessing(bundle)
    preprocess.cut_frame = config.cut_frame
    return TrainState(network, average, optimizer), preprocess


def _start_from(network: nn.Module, weights: Path) -> None:
    """Take over all weights but those of the last layer, whose classes are others."""
    last = list(network.state_dict())[-1].rpartition(".")[0]
    tensors = {key: value for key, value in load_file(weights).items() if not key.startswith(f"{last}.")}
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    if unexpected or any(not key.startswith(f"{last}.") for key in missing):
        raise ValueError("the initial weights are of another network")


def run(config: TrainConfig, data: Dataset, out: Path, stop_after: int | None = None) -> None:
    """Train from the last finished epoch and write weights, split and history to ``out``.

    Parameters
    ----------
    config : TrainConfig
        Decides everything but the data.
    data : Dataset
        Images and split.
    out : pathlib.Path
        Folder of the run; a checkpoint in it is continued.
    stop_after : int, optional
        Epochs after which to stop, short of the schedule; the run can be continued later.
    """
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    state, preprocess = start(config)
    state.restore(out / "checkpoint")
    history = out / "history.jsonl"
    training, validation = data.indices(Split.TRAIN), data.indices(Split.VALIDATION)
    (out / "split.csv").write_text(data.manifest(), encoding="utf-8")
    _LOG.info(
        "split %s: %d train, %d validation", digest(data.manifest())[:12], len(training), len(validation)
    )
    with tracking.run(config.bundle.name, config.model_dump(mode="json"), out) as tracked:
        while state.epoch < min(config.epochs, stop_after or config.epochs):
            begun = time.monotonic()
            loss = train_epoch(state, config, data, training, preprocess)
            row = {"loss": loss, **validate(state, preprocess, data, validation)}
            row["seconds"] = time.monotonic() - begun
            _LOG.info("epoch %d %s", state.epoch, {key: round(value, 4) for key, value in row.items()})
            tracked.metrics(row, state.epoch)
            with history.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"epoch": state.epoch, **row}) + "\n")
            state.save(out / "checkpoint")
    # The last epoch, not the best on validation: the validation images stay fresh for threshold and
    # temperature.
    weights = {key: value.contiguous() for key, value in state.average.state_dict().items()}
    save_file(weights, out / WEIGHTS, {"format": "pt"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Train the network of a bundle.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sources")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for weights, split, history, checkpoint"
    )
    parser.add_argument("--stop-after", type=int, help="epochs after which to stop, short of the schedule")
    parser.add_argument(
        "--fold", type=int, default=0, help="which part is the test split; 0 is the published one"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(options.config)
    options.out.mkdir(parents=True, exist_ok=True)
    data = load_dataset(options.data, config.data, config.seed, options.fold)
    run(config, data, options.out, options.stop_after)


if __name__ == "__main__":
    main()
