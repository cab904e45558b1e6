"""Measure both paths in turn, and write the section of the page."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import page
from benchmarks.inference import cuda, stock
from benchmarks.inference.cases import CLASSIFIER, TORSO, VOLUMES, VolumeCase, radiographs
from benchmarks.inference.measure import Works, first_result, in_turn
from firstread.environment import InferenceSettings
from model_service.inference import load_model
from model_service.inference.images import prepare_image
from model_service.inference.model import LoadedModel
from model_service.manifest import ImageInput
from model_service.prediction import Classified, Segmented

_IMAGES = 8
_ROUNDS = 5
_STARTS = 2
Labels = npt.NDArray[np.uint8]


def run() -> None:
    """Measure, and write the section."""
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="firstread-") as name:
        folder = Path(name)
        bundles = {case: case.bundle(folder) for case in VOLUMES}
        body = "\n\n".join(
            [
                _HEAD,
                _classifier(),
                *(_volume(case, bundle) for case, bundle in bundles.items()),
                _starts(bundles[TORSO]),
                cuda.section(CLASSIFIER, bundles[TORSO]),
                _TAIL,
            ]
        )
    page.write("Inference", body)


_HEAD = """Against MONAI as it comes: eager torch in fp32 without gradients, its transforms, its
`sliding_window_inference`. One thread, processor time, median of several rounds in which every way runs in turn.
FirstRead runs the exported graph in fp32 on the engine that its probe found fastest."""
_TAIL = """fp32 throughout. Where the processor has bf16, a setting lets OpenVINO use it, and scores then differ in the
third digit; a processor with AVX2 alone has neither bf16 nor VNNI, so none of that was measured. int8 was not
measured, and is not used."""


def _model(bundle: Path) -> LoadedModel:
    return load_model(bundle, "cpu", settings=InferenceSettings(inference_engine="auto", inference_threads=1))


def _rows(seconds: dict[str, float], base: str, units: float, digits: int = 1) -> list[list[str]]:
    return [
        [name, f"{1000 * each / units:.{digits}f}", f"{seconds[base] / each:.2f}"]
        for name, each in seconds.items()
    ]


def _classifier() -> str:
    images, model, theirs = radiographs(_IMAGES), _model(CLASSIFIER), stock.Classifier(CLASSIFIER)
    wanted = model.manifest.input
    assert isinstance(wanted, ImageInput)
    ready = np.stack([prepare_image(image, wanted).values for image in images])
    eager = torch.from_numpy(ready)

    def eager_network() -> object:
        with torch.no_grad():
            return theirs.network(eager)

    base = "MONAI, one image at a time"
    mapped = "MONAI, one at a time, with CAM"
    works: Works = {
        base: lambda: [theirs.probabilities([image]) for image in images],
        "MONAI, batches of 8": lambda: theirs.probabilities(images),
        mapped: lambda: [theirs.with_map(image) for image in images],
        "FirstRead, one at a time, with map": lambda: [model.predict([image]) for image in images],
        "FirstRead, batches of 8, with maps": lambda: model.predict(images),
        "network alone, eager, batch of 8": eager_network,
        "network alone, FirstRead's engine, batch of 8": lambda: model.engine.run(ready),
    }
    seconds = in_turn(works, _ROUNDS)
    rows = [
        [name, ms, ratio, f"{seconds[mapped] / seconds[name]:.2f}"]
        for name, ms, ratio in _rows(seconds, base, _IMAGES)
    ]
    return f"""Chest X-ray classifier {model.manifest.model_id} at {_side(wanted)}, {_IMAGES} simulated radiographs
of 768 x 768, on {model.engine.name}. FirstRead always makes the activation map, MONAI in its row with CAM only:

{page.table(["way", "ms per image", "times as fast", "than with CAM"], rows)}

{_agreement(images, model, theirs)}"""


def _side(wanted: ImageInput) -> str:
    return " x ".join(str(each) for each in wanted.network_size or ())


def _agreement(
    images: Sequence[npt.NDArray[np.float32]], model: LoadedModel, theirs: stock.Classifier
) -> str:
    scale = model.manifest.output.overlay.scale  # type: ignore[union-attr]
    probabilities, maps = [], []
    for image, found in zip(images, model.predict(images), strict=True):
        assert isinstance(found, Classified)
        probability, raw = theirs.with_map(image)
        probabilities.append(abs(probability - found.probabilities[0]))
        box = prepare_image(image, model.manifest.input).used  # type: ignore[arg-type]
        if box.size == image.shape:  # MONAI's map knows of no frame
            maps.append(float(abs(np.clip(raw / scale, 0, 1) - found.maps[0]).max()))
    said = f"; maps by {max(maps):.1e} at most" if maps else ""
    return f"Probabilities differ by {max(probabilities):.1e} at most{said}."


def _volume(case: VolumeCase, bundle: Path) -> str:
    volume, model = case.volume(), _model(bundle)
    early, late = stock.Segmenter(bundle), stock.Segmenter(bundle, argmax_last=True)
    window = np.random.default_rng(0).standard_normal((1, 1, *case.window)).astype(np.float32)
    eager = torch.from_numpy(window)

    def eager_network() -> object:
        with torch.no_grad():
            return early.network(eager)

    base = "MONAI, labels brought back"
    works: Works = {
        base: lambda: early.labels(volume),
        "MONAI, probabilities brought back": lambda: late.labels(volume),
        "FirstRead": lambda: model.predict([volume]),
    }
    seconds = in_turn(works, 3)
    windows = in_turn({"eager": eager_network, "engine": lambda: model.engine.run(window)}, _ROUNDS)
    (found,) = model.predict([volume])
    assert isinstance(found, Segmented)
    first, last = early.labels(volume), late.labels(volume)
    shape, spacing, side = (" x ".join(map(str, each)) for each in (case.shape, case.spacing_mm, case.window))
    return f"""3-D U-Net of 1.2 million parameters, {case.title}: {shape} voxels of {spacing} mm,
network at {case.wanted_mm:g} mm, windows of {side}, {case.blend}; on {model.engine.name}:

{page.table(["way", "ms per volume", "times as fast"], _rows(seconds, base, 1, 0))}

One window alone: eager {1000 * windows["eager"]:.0f} ms, engine {1000 * windows["engine"]:.0f} ms,
{windows["eager"] / windows["engine"]:.2f} times as fast. Voxels with another label than MONAI's, and Dice of
the two parts: {_agree(found.labels, first)} with labels brought back,
{_agree(found.labels, last)} with probabilities brought back."""


def _agree(one: Labels, other: Labels) -> str:
    return f"{(one != other).mean():.1e} of all and {_dice(one, other)}"


def _dice(one: Labels, other: Labels) -> str:
    found = []
    for number in (1, 2):
        total = (one == number).sum() + (other == number).sum()
        found.append(2 * ((one == number) & (other == number)).sum() / total if total else 1.0)
    return " and ".join(f"{each:.4f}" for each in found)


def _starts(bundle: Path) -> str:
    volume = TORSO.volume()
    np.savez(bundle.parent / "volume.npz", values=volume.values, affine=volume.affine)
    rows = []
    for what, folder in (("classifier", CLASSIFIER), ("volume", bundle)):
        for path in ("stock", "firstread"):
            said = first_result(path, what, folder, _STARTS)
            rows.append([what, path, f"{said['seconds']:.2f}", f"{said['megabytes']:.0f}"])
    return (
        "From imports to the first result in a new process, and the most memory that it held:\n\n"
        + page.table(["what", "path", "seconds", "MB"], rows)
    )
