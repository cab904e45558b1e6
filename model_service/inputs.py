"""From the images of a selection to what a model takes: brightness, colour, units of the modality, or a volume."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pydicom
from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet
from firstread.imaging.pixels import frame_count
from firstread.imaging.render import colour, grayscale, modality_values
from firstread.imaging.series import load_volume
from firstread.imaging.volume import SourceFrame, Volume
from firstread.storage import Bucket
from firstread.study import Instance
from model_service.manifest import BundleManifest, ImageInput, Recognition
from model_service.prediction import Image

MOST_IMAGES = 256
"""Of one study, an image model looks at so many frames at most: memory and time have bounds, and the result says so."""
_MOST_SERIES = 32  # that an aid looks at


@dataclass(frozen=True)
class Inputs:
    """What a model is given.

    Parameters
    ----------
    sources
        The images, with their pixels.
    frames
        What each image of `images`, or each slice of `volume`, was.
    images, volume
        One of the two.
    passed_over
        How many frames were left out for `MOST_IMAGES`.
    """

    sources: tuple[Dataset, ...]
    frames: tuple[SourceFrame, ...]
    images: tuple[Image, ...] = ()
    volume: Volume | None = None
    passed_over: int = 0

    @property
    def model_inputs(self) -> tuple[Image | Volume, ...]:
        """Return what `Model.predict` takes."""
        return self.images if self.volume is None else (self.volume,)


def read(bucket: Bucket, manifest: BundleManifest, instances: Sequence[Instance]) -> Inputs:
    """Read and decode the instances that a model was given.

    Parameters
    ----------
    bucket
        Where they are.
    manifest
        Says how the model takes them.
    instances
        In order.

    Raises
    ------
    PixelError, VolumeError
        If an image cannot be decoded, or the series is no volume.
    """
    with quiet():
        if not isinstance(manifest.input, ImageInput):
            sources = tuple(_fetch(bucket, each) for each in instances)
            volume = load_volume(sources)
            return Inputs(sources, volume.frames, volume=volume)
        if isinstance(manifest.output, Recognition):
            instances = _middles(instances)
        return _images(bucket, manifest.input, instances)


def _images(bucket: Bucket, wanted: ImageInput, instances: Sequence[Instance]) -> Inputs:
    chosen, total = _evenly(list(_frames(wanted, instances)))
    sources, images, frames = [], [], []
    for instance, group in groupby(chosen, key=lambda each: each[0]):
        source = _fetch(bucket, instance)
        sources.append(source)
        for _, frame in group:
            if frame < frame_count(source):
                images.append(decoder(wanted)(source, frame))
                frames.append(SourceFrame(instance.sop_uid, frame + 1))
    return Inputs(tuple(sources), tuple(frames), images=tuple(images), passed_over=total - len(chosen))


def _fetch(bucket: Bucket, instance: Instance) -> Dataset:
    with bucket.open(instance.studies_key) as file:
        return pydicom.dcmread(file)


def _frames(wanted: ImageInput, instances: Iterable[Instance]) -> Iterator[tuple[Instance, int]]:
    for instance in instances:
        count = max(1, instance.facts.frames)
        numbers = {"first": [0], "middle": [count // 2], "all": range(count)}[wanted.frames]
        yield from ((instance, number) for number in numbers)


def _evenly(frames: list[tuple[Instance, int]]) -> tuple[list[tuple[Instance, int]], int]:
    if len(frames) <= MOST_IMAGES:
        return frames, len(frames)
    step = len(frames) / MOST_IMAGES
    return [frames[int(number * step)] for number in range(MOST_IMAGES)], len(frames)


def _middles(instances: Sequence[Instance]) -> list[Instance]:
    """Return the middle instance of each series: its ends show least of the anatomy."""
    series = [list(members) for _, members in groupby(instances, key=lambda each: each.facts.series_uid)]
    return [members[len(members) // 2] for members in series[:_MOST_SERIES]]


def decoder(wanted: ImageInput) -> Callable[[Dataset, int], Image]:
    """Return what makes an input of a frame: its arguments are the dataset, and the number of the frame, 0 first."""
    if wanted.channels == 3:
        return colour
    if wanted.values == "modality":
        return modality_values
    # The whole range, not the window somebody left: windows differ between viewers of one image.
    return lambda dataset, frame: grayscale(dataset, frame, window="full")
