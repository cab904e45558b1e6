"""A loaded bundle: everything between an input and its prediction."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np

from firstread.imaging.volume import Volume
from model_service.errors import BundleError
from model_service.inference import outputs
from model_service.inference.batches import Batches, Outputs
from model_service.inference.images import PreparedImage, prepare_image
from model_service.inference.intensity import Array
from model_service.inference.volumes import prepare_volume
from model_service.inference.windows import slide
from model_service.manifest import BundleManifest, Detection, ImageInput, Segmentation, VolumeInput
from model_service.prediction import Engine, Image, LabelMap, Prediction, Segmented


class LoadedModel:
    """A bundle on an engine; see `prediction.Model`.

    Parameters
    ----------
    manifest : BundleManifest
        What the bundle says.
    bundle_sha256 : str
        Digest over all its files.
    engine : Engine
        Its network.
    size_bytes : int
        Memory that it holds, about.
    batch : int
        Images, or windows of one, that are run at once; halved where memory is full.
    """

    def __init__(
        self, manifest: BundleManifest, bundle_sha256: str, engine: Engine, size_bytes: int, batch: int
    ) -> None:
        self.manifest = manifest
        self.bundle_sha256 = bundle_sha256
        self.engine = engine
        self.size_bytes = size_bytes
        self.batches = Batches(engine, batch)

    def predict(self, inputs: Sequence[Image | Volume]) -> list[Prediction]:
        """Predict for each input.

        Parameters
        ----------
        inputs
            Images, of any sizes, or volumes, as the manifest's ``input.kind`` says.

        Raises
        ------
        ValueError
            If an input is not such an image or volume.
        ModelMemoryError
            If memory does not hold a single image or window.
        BundleError
            If the network's output is not what the manifest says.
        """
        wanted = self.manifest.input
        if isinstance(wanted, VolumeInput):
            return [self._volume(each, wanted) for each in inputs]
        prepared = [prepare_image(_image(each), wanted) for each in inputs]
        if wanted.window is not None:
            return [self._windows(each, wanted, wanted.window) for each in prepared]
        found: dict[int, Prediction] = {}
        by_shape: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, each in enumerate(prepared):
            by_shape[each.values.shape].append(index)
        for alike in by_shape.values():
            results = self.batches.run(prepared[index].values for index in alike)
            for index, result in zip(alike, results, strict=True):
                found[index] = self._image(prepared[index], result)
        return [found[index] for index in range(len(prepared))]

    def _image(self, image: PreparedImage, found: Outputs) -> Prediction:
        output = self.manifest.output
        if isinstance(output, Segmentation):
            _check_size(found[0], image.values)
            return Segmented(
                image.labels_back(self._parts(outputs.Labelling(output).whole(found[0]), output))
            )
        if isinstance(output, Detection):
            if found[0].ndim != 3:
                raise BundleError("the network gives no map for an image")
            weight = np.ones(found[0].shape[1:], np.float32)
            return outputs.detected(output, outputs.scores(output, found[0], weight), image)
        return outputs.classified(output, found[0], found[1] if len(found) > 1 else None, image)

    def _windows(self, image: PreparedImage, wanted: ImageInput, window: tuple[int, int]) -> Prediction:
        output = self.manifest.output
        run = partial(slide, image.values, window, wanted.overlap, wanted.blend, self.batches)
        if isinstance(output, Segmentation):
            return Segmented(image.labels_back(self._parts(run(outputs.Labelling(output)), output)))
        if isinstance(output, Detection):
            return outputs.detected(output, run(partial(outputs.scores, output)), image)
        raise BundleError("of windows, only a segmentation or a detection is made")

    def _volume(self, volume: Image | Volume, wanted: VolumeInput) -> Segmented:
        output = self.manifest.output
        if not isinstance(volume, Volume) or not isinstance(output, Segmentation):
            raise ValueError("this model takes volumes")
        prepared = prepare_volume(volume, wanted)
        labelling = outputs.Labelling(output)
        if wanted.window is not None:
            labels = slide(
                prepared.values, wanted.window, wanted.overlap, wanted.blend, self.batches, labelling
            )
        else:
            labels = self._whole(prepared.values, wanted.multiple_of, labelling)
        return Segmented(prepared.labels_back(self._parts(labels, output)))

    def _whole(self, values: Array, multiple: int, labelling: outputs.Labelling) -> LabelMap:
        padded = np.pad(values, [(0, 0), *((0, -side % multiple) for side in values.shape[1:])])
        (found,) = self.batches.run([padded])
        _check_size(found[0], padded)
        return labelling.whole(found[0][(slice(None), *(slice(side) for side in values.shape[1:]))])

    def _parts(self, labels: LabelMap, output: Segmentation) -> LabelMap:
        return outputs.largest_parts(labels, len(output.segments)) if output.keep_largest else labels


def _image(each: Image | Volume) -> Image:
    if isinstance(each, Volume):
        raise ValueError("this model takes images")
    return each


def _check_size(found: Array, values: Array) -> None:
    if found.shape[1:] != values.shape[1:]:
        raise BundleError(f"the network's map is {found.shape[1:]}, not of the size of its input")
