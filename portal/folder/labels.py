"""Which volumes are label maps of which others: by the sidecar, by the folders, or by name."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from portal.folder.voxels import Loaded, Voxels, stem_of

_WORDS = frozenset(
    {"seg", "segs", "segmentation", "segmentations", "mask", "masks", "label", "labels", "dseg", "labelmap"}
)
_CHANNEL = re.compile(r"_\d{4}$")
_IMAGES, _LABELS = "images", "labels"
_DESCRIPTION_BYTES = 1024**2
_MOST_LABELS = 1000


@dataclass(frozen=True)
class Labels:
    """A label map.

    Parameters
    ----------
    voxels
        Its voxels: 0 is nothing, each other number a region.
    on
        The volumes that it belongs to.
    rule
        By what that is known, in words.
    names
        Number of a region -> name; {} where nobody says.
    """

    voxels: Voxels
    on: tuple[Voxels, ...]
    rule: str
    names: Mapping[int, str] = field(default_factory=dict)


def labels_among(volumes: Sequence[Voxels], root: Path) -> list[Labels]:
    """Return the label maps among the volumes of a folder; all others are images.

    Parameters
    ----------
    volumes
        By path.
    root
        The folder.
    """
    found: dict[str, Labels] = {}
    by_name = {each.name: each for each in volumes}
    for rule in (_by_sidecar, _by_folders):
        for labels in rule(by_name, root):
            found.setdefault(labels.voxels.name, labels)
    images = [each for each in volumes if each.name not in found and not _is_named_so(each.name)]
    for each in volumes:
        if each.name not in found and _is_named_so(each.name):
            on = tuple(image for image in images if _is_beside(each.name, image.name) and each.is_on(image))
            if on:
                found[each.name] = Labels(each, on, "by its name")
    return [found[each.name] for each in volumes if each.name in found]


def group_of(name: str) -> str:
    """Return what a volume belongs to: its folder, or the case where a folder has the images of all cases."""
    folder, _, file = name.rpartition("/")
    if folder.rpartition("/")[2].startswith(_IMAGES):
        return _CHANNEL.sub("", stem_of(file))
    return folder


def regions_of(labels: Labels, loaded: Loaded) -> dict[int, str]:
    """Return the regions of a label map: number -> name.

    Raises
    ------
    CannotRenderError
        If it cannot be read and nobody else says which there are.
    """
    if labels.names:
        return dict(labels.names)
    numbers: set[int] = set()
    for slice_ in range(labels.voxels.shape[0]):
        values = np.unique(loaded.plane(labels.voxels, slice_))
        numbers.update(int(each) for each in values[np.isfinite(values)] if each > 0 and each == int(each))
    stem = labels.voxels.stem
    if len(numbers) == 1:
        return {numbers.pop(): stem}
    return {each: f"{stem} {each}" for each in sorted(numbers)[:_MOST_LABELS]}


def _by_sidecar(volumes: Mapping[str, Voxels], root: Path) -> Iterator[Labels]:
    """Yield the masks that the sidecars of converted volumes name."""
    del root
    for image in volumes.values():
        for name, file in image.said.get("masks", {}).items():
            if isinstance(file, str) and (mask := volumes.get(_in_folder_of(image.name, file))) is not None:
                yield Labels(mask, (image,), "by the sidecar", {1: name})


def _by_folders(volumes: Mapping[str, Voxels], root: Path) -> Iterator[Labels]:
    """Yield `labelsTr/CASE` beside `imagesTr/CASE_0000` (nnU-Net) or `imagesTr/CASE` (Decathlon)."""
    images: dict[str, list[Voxels]] = defaultdict(list)
    for name, each in volumes.items():
        images[name.removesuffix(name.rpartition("/")[2]) + stem_of(name)].append(each)
        images[name.removesuffix(name.rpartition("/")[2]) + _CHANNEL.sub("", stem_of(name))].append(each)
    described: dict[str, Mapping[int, str]] = {}
    for name, each in volumes.items():
        folder, _, _ = name.rpartition("/")
        above, slash, last = folder.rpartition("/")
        if not last.startswith(_LABELS):
            continue
        beside = f"{above}{slash}{_IMAGES}{last.removeprefix(_LABELS)}/{stem_of(name)}"
        if on := tuple(dict.fromkeys(image.name for image in images.get(beside, ()))):
            if above not in described:
                described[above] = _described(root / above / "dataset.json")
            yield Labels(each, tuple(volumes[image] for image in on), "by its folder", described[above])


def _described(path: Path) -> Mapping[int, str]:
    """Return the labels of a data set: name -> number in nnU-Net v2, number -> name in the Decathlon."""
    try:
        if path.stat().st_size > _DESCRIPTION_BYTES:
            return {}
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        pairs = [(one, other) if str(one).isdigit() else (other, one) for one, other in labels.items()]
        return {int(number): str(name) for number, name in pairs if int(number) > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # regions of several labels, too
        return {}


def _is_named_so(name: str) -> bool:
    folder, _, _ = name.rpartition("/")
    words = re.split(r"[^a-z]+", f"{folder.rpartition('/')[2]} {stem_of(name)}".lower())
    return bool(_WORDS.intersection(words))


def _is_beside(mask: str, image: str) -> bool:
    """Return whether an image is in the folder of a mask, or above a folder of masks."""
    own, other = mask.rpartition("/")[0], image.rpartition("/")[0]
    return other in (own, own.rpartition("/")[0])


def _in_folder_of(name: str, file: str) -> str:
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{file}"
