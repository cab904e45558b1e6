"""Verdicts on geometry in words, for the page and the terminal."""

import json
from collections.abc import Sequence
from typing import Any

from portal.logic.display import reason_words

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


def _acts(volume: dict[str, Any]) -> list[str]:
    done = json.loads(volume["verdict"])["done"]
    return [f"{reason_words(each['act'])} ({each['count']})" for each in done]


def printable(text: str) -> str:
    """Return text of a file that nobody vouches for, fit for a terminal: no control or escape characters."""
    return "".join(each if each.isprintable() else "?" for each in text)
