"""The layout of nnU-Net v2: `imagesTr/CASE_0000.nii.gz` and `dataset.json`; masks are added by whoever has them."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from firstread.imaging.convert.home import write_json
from firstread.imaging.convert.tree import Series

_IMAGES = "imagesTr"
_FILE = "dataset.json"


def modality(out: Path, series: Iterable[Series]) -> str:
    """Return the modality of a data set: that of its `dataset.json`, else that of most series.

    Its one channel is normalised by its name, so that images of another modality cannot be in it.
    """
    told = _read(out).get("channel_names")
    if isinstance(told, dict) and told.get("0"):
        return str(told["0"])
    found = Counter(each.ids.modality for each in series if each.has_images)
    return min(found, key=lambda each: (-found[each], each), default="")


def describe(out: Path, licence: str) -> None:
    """Write `dataset.json` after the images that are there; labels that somebody entered stay."""
    images = sorted((out / _IMAGES).glob("*_0000.nii*"))
    if not images:
        return
    ending = ".nii.gz" if images[0].name.endswith(".gz") else ".nii"
    sidecar = images[0].with_name(images[0].name.removesuffix(ending) + ".json")
    said = json.loads(sidecar.read_text(encoding="utf-8"))
    before = _read(out)
    made: dict[str, object] = {
        "channel_names": {"0": said["modality"]},
        "labels": {"background": 0},
        **({"licence": licence} if licence else {}),
        **before,
        "numTraining": len(images),
        "file_ending": ending,
    }
    write_json(out / _FILE, made)


def _read(out: Path) -> dict[str, object]:
    try:
        found = json.loads((out / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
