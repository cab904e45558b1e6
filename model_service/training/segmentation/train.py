"""Train the network of a segmentation bundle.

``python -m model_service.training.segmentation.train --config FILE --data DIR --out DIR``
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from model_service.training import tracking
from model_service.training.data import digest
from model_service.training.segmentation.config import SegmentationConfig, load_config
from model_service.training.segmentation.data import Prepared, SegmentationData, load_data, prepare
from model_service.training.segmentation.network import BundleParts
from model_service.training.segmentation.sampler import PatchSampler
from model_service.training.split import Split
from model_service.training.train import TrainState, learning_rate

_LOG = logging.getLogger(__name__)


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return cross-entropy plus one minus the soft Dice of the foreground, pooled over the batch.

    Parameters
    ----------
    logits, target : torch.Tensor
        Batch x classes x spatial; one class means a sigmoid, more a softmax whose class 0 is background.

    Returns
    -------
    torch.Tensor
        Scalar.
    """
    if logits.shape[1] == 1:
        entropy = functional.binary_cross_entropy_with_logits(logits, target)
        probability = torch.sigmoid(logits)
    else:
        entropy = functional.cross_entropy(logits, target)
        probability, target = torch.softmax(logits, dim=1)[:, 1:], target[:, 1:]
    axes = [0, *range(2, logits.dim())]
    shared = (probability * target).sum(dim=axes)
    total = (probability + target).sum(dim=axes)
    return entropy + 1 - ((2 * shared + 1) / (total + 1)).mean()


def hard_dice(logits: Tensor, target: Tensor) -> list[float]:
    """Return the Dice of each foreground class of one case in model space, not a number where both are empty."""
    if logits.shape[0] == 1:
        pairs = [(logits[0] > 0, target[0] >= 0.5)]
    else:
        chosen, wanted = logits.argmax(dim=0), target.argmax(dim=0)
        pairs = [(chosen == k, wanted == k) for k in range(1, len(logits))]
    return [float(2 * (a & b).sum() / (a.sum() + b.sum())) for a, b in pairs]


def start(config: SegmentationConfig) -> TrainState:
    """Build the network, its average and the optimiser of a configuration."""
    torch.manual_seed(config.seed)
    parts = BundleParts(config.bundle)
    network, average = parts.network(), parts.network()
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
    )
    return TrainState(network, average, optimizer)


def train_epoch(state: TrainState, config: SegmentationConfig, cases: list[Prepared]) -> float:
    """Train one epoch and return its mean loss.

    Everything random comes from the seed and the epoch's number, so a resumed run repeats an unbroken one.
    """
    generator = torch.Generator().manual_seed(config.seed * 1000 + state.epoch)
    sampler = PatchSampler(config.augment, config.patch, generator)
    order = _order(len(cases), config.steps * config.batch_size, generator)
    state.network.train()
    total = 0.0
    for number in range(config.steps):
        chosen = order[number * config.batch_size : (number + 1) * config.batch_size]
        step = state.epoch * config.steps + number
        planned = config.planned_epochs(state.epoch)
        rate = learning_rate(step, planned * config.steps, config.learning_rate)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        images, targets = sampler([cases[i] for i in chosen])
        loss = segmentation_loss(state.network(images), targets)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 10.0)
        state.optimizer.step()
        _update_average(state, min(config.average_decay, (step + 1) / (step + 10)))
        total += float(loss.detach())
    state.epoch += 1
    return total / config.steps


def _order(count: int, wanted: int, generator: torch.Generator) -> list[int]:
    """Return shuffled rounds through all cases, so that each comes equally often."""
    order: list[int] = []
    while len(order) < wanted:
        order += torch.randperm(count, generator=generator).tolist()
    return order[:wanted]


def _update_average(state: TrainState, decay: float) -> None:
    with torch.no_grad():
        current = state.network.state_dict()
        for key, mean in state.average.state_dict().items():
            if mean.dtype.is_floating_point:
                mean.lerp_(current[key], 1 - decay)
            else:
                mean.copy_(current[key])


def validate(network: nn.Module, parts: BundleParts, cases: list[Prepared]) -> list[float]:
    """Return the mean Dice per foreground class over cases, by the bundle's inferer, in model space."""
    network.eval()
    inferer = parts.inferer()
    with torch.inference_mode():
        rows = [hard_dice(inferer(case.image[None], network)[0], case.target) for case in cases]
    return torch.tensor(rows).nanmean(dim=0).tolist()


def _epoch(
    state: TrainState,
    config: SegmentationConfig,
    parts: BundleParts,
    training: list[Prepared],
    validation: list[Prepared],
) -> dict[str, float]:
    """Train one epoch, validate where it is due, and return the row of the history."""
    begun = time.monotonic()
    row = {"epoch": state.epoch + 1, "loss": train_epoch(state, config, training)}
    if state.epoch % config.validate_every == 0 or state.epoch == config.epochs:
        scores = validate(state.average, parts, validation)
        row |= {f"validation_dice_{n}": v for n, v in zip(config.classes, scores, strict=True)}
    return row | {"seconds": time.monotonic() - begun, "threads": config.threads}


def run(config: SegmentationConfig, data: SegmentationData, out: Path, stop_after: int | None = None) -> None:
    """Train from the last finished epoch and write weights, split and history to ``out``.

    Parameters
    ----------
    config : SegmentationConfig
        Decides everything but the data.
    data : SegmentationData
        Cases and split.
    out : pathlib.Path
        Folder of the run; a checkpoint in it is continued.
    stop_after : int, optional
        Epochs after which to stop, short of the schedule; the run can be continued later.
    """
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    state, parts = start(config), BundleParts(config.bundle)
    state.restore(out / "checkpoint")
    (out / "split.csv").write_text(data.manifest(), encoding="utf-8")
    wanted, preprocessing = config.data.sources, parts.preprocessing()
    training, validation = (
        [
            prepare(case, preprocessing, config)
            for case in data.of(split)
            if wanted is None or case.source in wanted
        ]
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    _LOG.info(
        "split %s: %d train, %d validation; %d near-duplicates, %d unpaired",
        digest(data.manifest())[:12],
        len(training),
        len(validation),
        data.duplicates,
        len(data.unpaired),
    )
    with tracking.run(config.bundle.name, config.model_dump(mode="json"), out) as tracked:
        while state.epoch < min(config.epochs, stop_after or config.epochs):
            row = _epoch(state, config, parts, training, validation)
            _LOG.info("%s", json.dumps(row))
            with (out / "history.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            tracked.metrics({key: value for key, value in row.items() if key != "epoch"}, state.epoch)
            state.save(out / "checkpoint")
        tracked.artifact(out / "split.csv")
    # The last epoch, not the best on validation: the validation cases stay fresh for the operating choices.
    weights = {key: value.contiguous() for key, value in state.average.state_dict().items()}
    save_file(weights, out / "model.safetensors", {"format": "pt"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Train the network of a segmentation bundle.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the set")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for weights, split, history, checkpoint"
    )
    parser.add_argument("--stop-after", type=int, help="epochs after which to stop, short of the schedule")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # MONAI says once per image that an optional decoder is missing.
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    config = load_config(options.config)
    options.out.mkdir(parents=True, exist_ok=True)
    run(config, load_data(options.data, config.data, config.seed), options.out, options.stop_after)


if __name__ == "__main__":
    main()
