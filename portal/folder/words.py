"""Verdicts on geometry in words, for the page and the terminal."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from portal.folder.voxels import Voxels
from portal.logic.display import reason_words
from portal.logic.uptake import ScaleView

_GEOMETRY = {
    "regular": "regular",
    "planar": "no place in the patient",
}


def verdict_words(volumes: Sequence[dict[str, Any]]) -> str:
    """Return what geometry a series has, as `firstread.imaging.load` sees it.

    Parameters
    ----------
    volumes
        Rows of `firstread.imaging.index.volumes`; none of what the index takes for no image.
    """
    if not volumes:
        return "not judged"
    first = volumes[0]
    if first["geometry"] == "refused":
        return f"refused: {reason_words(first['reason'])}"
    words = _GEOMETRY.get(first["geometry"]) or f"mended: {', '.join(_acts(first))}"
    return words if len(volumes) == 1 else f"{words}; {len(volumes)} volumes"


def no_planes(volumes: Sequence[dict[str, Any]]) -> str:
    """Return why a series has no other planes, as a sentence; "" where its slices, as they came, make one volume."""
    if len(volumes) == 1 and volumes[0]["geometry"] == "regular":
        return ""
    words = verdict_words(volumes)
    if words.startswith("refused"):
        return f"No other planes: this series is no volume ({words.removeprefix('refused: ')})."
    if words.startswith("mended"):
        return f"No other planes: these slices make a volume only after mending ({words.removeprefix('mended: ')})."
    return f"No other planes: {words}."


def before_words(voxels: Voxels | None) -> str:
    """Return what was mended before a volume was written, as its sidecar says; "" where that says nothing."""
    acts = _done(voxels.said.get("verdict") or {}) if voxels is not None else []
    return f"; mended before it was written: {', '.join(acts)}" if acts else ""


def converted_scale(voxels: Voxels) -> ScaleView:
    """Return the unit of a PET volume that was converted: without headers, only its sidecar can say it."""
    uptake = re.match(r"\{(SUV\w+)", voxels.said.get("units", ""))
    return ScaleView(unit=uptake[1]) if uptake else ScaleView(reason="a volume without headers")


def _acts(volume: dict[str, Any]) -> list[str]:
    return _done(json.loads(volume["verdict"]))


def _done(verdict: Mapping[str, Any]) -> list[str]:
    try:
        return [f"{reason_words(str(each['act']))} ({int(each['count'])})" for each in verdict["done"]]
    except (KeyError, TypeError, ValueError):  # of a sidecar that somebody has changed
        return []


def printable(text: str) -> str:
    """Return text of a file that nobody vouches for, fit for a terminal: no control or escape characters."""
    return "".join(each if each.isprintable() else "?" for each in text)
