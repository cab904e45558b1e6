"""Private attributes that identify nobody: PS3.15 E.3.10, Retain Safe Private Option."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from pydicom.dataset import Dataset

from firstread.deid.elements import values_of


@lru_cache(maxsize=1)
def _creators() -> Mapping[str, Mapping[str, str]]:
    text = resources.files("firstread.deid").joinpath("data/safe_private.json").read_text()
    creators: Mapping[str, Mapping[str, str]] = json.loads(text)["creators"]
    return creators


def safe_vr(item: Dataset, tag: int) -> str | None:
    """Return the value representation of a private element that is safe; None where it is not known to be.

    Parameters
    ----------
    item
        The dataset of the element, with its private creators (PS3.5 7.8.1).
    tag
        ``group << 16 | element``; the creator of a block with safe elements is safe itself.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if 0x10 <= element <= 0xFF:
        return "LO" if _creator(item, group, element) in _creators() else None
    known = _creators().get(_creator(item, group, element >> 8), {})
    return known.get(f"{group:04x}{element & 0xFF:02x}")


def _creator(item: Dataset, group: int, block: int) -> str:
    found = item.get_item((group, block))
    if found is None:
        return ""
    return "\\".join(values_of(item, found.tag, found, "LO") or ()).strip()
