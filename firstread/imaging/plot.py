"""Pictures of volumes and masks for notebooks and reports: mosaics, overlays, histograms, surfaces.

Each function returns a `matplotlib.figure.Figure` of its own: nothing is shown, nothing is kept, no display is needed.
`figure.savefig("name.png")` writes it; a notebook shows it after ``%matplotlib inline``.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from firstread.imaging import surface as mesh
from firstread.imaging.views import Across, View, others
from firstread.imaging.volume import Volume

__all__ = ["Across", "histogram", "mosaic", "overlay", "surface"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Mask = Array
Window = tuple[float, float]
Extent = tuple[float, float, float, float]

_COLOURS = colormaps["tab10"]
_UNITS = {"[hnsf'U]": "HU", "": "stored value"}
_FULL = (0.5, 99.5)  # percentiles: a few bright voxels must not set the range
_MOST_TRIANGLES = 60_000


def mosaic(
    volume: Volume,
    masks: Mapping[str, Mask] | None = None,
    across: Across = Across.SLICES,
    count: int = 12,
    window: Window | None = None,
) -> Figure:
    """Return evenly chosen pictures through a volume, with the outlines of masks.

    Parameters
    ----------
    volume
        Grey or colour, of one time.
    masks
        By name; slices x rows x columns each, fractional ones from one half on.
        Pictures are chosen where they are.
    across
        The axis to look along.
    count
        How many pictures at most.
    window
        Centre and width; without it nearly the full range.

    Raises
    ------
    VolumeError
        If the volume is several.
    ValueError
        If a mask has another shape, or `count` is not above 0.
    """
    view, drawn = View.of(volume, across), _checked(volume, masks)
    if count < 1:
        raise ValueError("at least one picture")
    indices = _chosen(volume, drawn, across, count)
    columns = min(len(indices), 4 if len(indices) > 3 else len(indices))
    rows = ceil(len(indices) / columns)
    tall = view.tallness
    figure = Figure(figsize=(2.4 * columns + 1.0, max(2.4 * tall * rows, 1.6) + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(indices) :]:
        axes.set_axis_off()
    scale = _scale(volume, window)
    for axes, index in zip(grid.flat, indices, strict=False):
        _picture(axes, view, index, scale)
        axes.set_title(f"{across.name.lower()[:-1]} {index}", fontsize=8)
        for name, mask in drawn.items():
            _outline(axes, view.cut(mask, index), _colour(drawn, name))
    _letters(grid.flat[0], view)
    _bar(figure, list(grid.flat[: len(indices)]), volume, scale)
    _legend(figure, drawn)
    return figure


def overlay(
    volume: Volume,
    masks: Mapping[str, Mask],
    index: int | None = None,
    across: Across = Across.SLICES,
    window: Window | None = None,
    fill: float = 0.35,
) -> Figure:
    """Return one picture with masks filled and outlined along the edges of their pixels, and a legend.

    Parameters
    ----------
    volume, masks, across, window
        As for `mosaic`.
    index
        Which picture along the axis; without it the one with most of the masks.
    fill
        Opacity of the fill; 0 leaves the outlines.

    Raises
    ------
    VolumeError
        If the volume is several.
    IndexError
        If there is no such picture.
    ValueError
        If a mask has another shape.
    """
    view, drawn = View.of(volume, across), _checked(volume, masks)
    at = _fullest(volume, drawn, across) if index is None else index
    figure = Figure(figsize=(6.4, max(5.2 * view.tallness, 2.4) + 0.6), layout="constrained")
    axes = figure.subplots()
    scale = _scale(volume, window)
    _picture(axes, view, at, scale)
    for name, mask in drawn.items():
        cut, colour = view.cut(mask, at), _colour(drawn, name)
        if fill:
            layer = np.zeros((*cut.shape, 4))
            layer[cut] = (*colour, fill)
            axes.imshow(layer, aspect=view.aspect, interpolation="nearest", label=_text(name))
        _outline(axes, cut, colour)
    axes.set_title(f"{across.name.lower()[:-1]} {at}", fontsize=9)
    _letters(axes, view)
    _bar(figure, [axes], volume, scale)
    _legend(figure, drawn)
    return figure


def histogram(volume: Volume, masks: Mapping[str, Mask], bins: int = 64) -> Figure:
    """Return the distribution of values within each mask: shares of its voxels, over common bins.

    Parameters
    ----------
    volume
        Grey, of one time.
    masks
        By name; slices x rows x columns each.
    bins
        How many.

    Raises
    ------
    VolumeError
        If the volume is several.
    ValueError
        If a mask has another shape, the volume is colour, or no mask has a voxel with a value.
    """
    View.of(volume, Across.SLICES)
    if volume.is_colour:
        raise ValueError("a histogram of colours")
    drawn = _checked(volume, masks)
    values = {name: _finite(volume.values[mask]) for name, mask in drawn.items()}
    if not any(each.size for each in values.values()):
        raise ValueError("no mask has a voxel with a value")
    edges = np.histogram_bin_edges(np.concatenate(list(values.values())), bins)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, each in values.items():
        share = np.histogram(each, edges)[0] / max(each.size, 1)
        axes.stairs(share, edges, color=_colour(drawn, name), label=f"{_text(name)} ({each.size} voxels)")
    axes.set_xlabel(_units(volume))
    axes.set_ylabel("share of voxels")
    axes.legend(fontsize=8)
    return figure


def surface(volume: Volume, masks: Mapping[str, Mask]) -> Figure:
    """Return the surfaces of masks in the patient's space, true to scale; large ones are thinned for drawing.

    Parameters
    ----------
    volume
        Gives the place of the masks.
    masks
        By name; slices x rows x columns each.

    Raises
    ------
    VolumeError
        If the volume is several.
    ValueError
        If a mask has another shape, or all are empty.
    """
    View.of(volume, Across.SLICES)
    drawn = _checked(volume, masks)
    if not any(mask.any() for mask in drawn.values()):
        raise ValueError("all masks are empty")
    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d")
    seen = []
    for name, mask in drawn.items():
        triangles = _in_patient(volume, mask)
        shade = Poly3DCollection(triangles, facecolors=_colour(drawn, name), shade=True, alpha=0.6)
        axes.add_collection3d(shade)
        seen.append(triangles.reshape(-1, 3))
    corners = np.concatenate(seen)
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low)
    axes.set(xlabel="R - L (mm)", ylabel="A - P (mm)", zlabel="F - H (mm)")
    _legend(figure, drawn)
    return figure


def _checked(volume: Volume, masks: Mapping[str, Mask] | None) -> dict[str, Bools]:
    found = {name: mesh.inside(mask) for name, mask in (masks or {}).items()}
    if any(mask.shape != volume.values.shape[:3] for mask in found.values()):
        raise ValueError("a mask of another shape than the volume")
    return found


def _chosen(volume: Volume, masks: Mapping[str, Bools], across: int, count: int) -> Sequence[int]:
    first, last = 0, volume.values.shape[across] - 1
    there = [np.flatnonzero(mask.any(axis=others(across))) for mask in masks.values()]
    some = np.concatenate(there) if there else np.empty(0, dtype=np.int64)
    if some.size:
        first, last = int(some.min()), int(some.max())
    return sorted({round(each) for each in np.linspace(first, last, min(count, last - first + 1))})


def _fullest(volume: Volume, masks: Mapping[str, Bools], across: int) -> int:
    amount = sum((mask.sum(axis=others(across)) for mask in masks.values()), np.zeros(1))
    return int(np.argmax(amount)) if np.any(amount) else volume.values.shape[across] // 2


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]


def _scale(volume: Volume, window: Window | None) -> Normalize | None:
    if volume.is_colour:
        return None
    if window is not None:
        return Normalize(window[0] - window[1] / 2, window[0] + window[1] / 2, clip=True)
    some = _finite(volume.values)
    low, high = (float(each) for each in np.percentile(some, _FULL)) if some.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0, clip=True)


def _picture(axes: Axes, view: View, index: int, scale: Normalize | None) -> None:
    values = view.cut(view.volume.values, index)
    axes.imshow(values, cmap="gray", norm=scale, aspect=view.aspect, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def _outline(axes: Axes, cut: Bools, colour: tuple[float, float, float]) -> None:
    """Draw where pixels inside meet pixels outside."""
    padded = np.pad(cut, 1)
    row, column = np.nonzero(padded[1:, :] != padded[:-1, :])
    flat = [((x - 1.5, y - 0.5), (x - 0.5, y - 0.5)) for y, x in zip(row, column, strict=True)]
    row, column = np.nonzero(padded[:, 1:] != padded[:, :-1])
    upright = [((x - 0.5, y - 1.5), (x - 0.5, y - 0.5)) for y, x in zip(row, column, strict=True)]
    axes.add_collection(LineCollection([*flat, *upright], colors=[colour], linewidths=1.2), autolim=False)


def _letters(axes: Axes, view: View) -> None:
    left, right, top, bottom = view.letters()
    places = ((0.02, 0.5, left), (0.98, 0.5, right), (0.5, 0.98, top), (0.5, 0.02, bottom))
    for x, y, letter in places:
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            color="yellow",
            fontsize=9,
            ha="left" if x < 0.1 else "right" if x > 0.9 else "center",
            va="bottom" if y < 0.1 else "top" if y > 0.9 else "center",
        )


def _bar(figure: Figure, axes: list[Axes], volume: Volume, scale: Normalize | None) -> None:
    if scale is not None:
        figure.colorbar(axes[0].images[0], ax=axes, label=_units(volume), shrink=0.8)


def _units(volume: Volume) -> str:
    """Return the units for people: UCUM has what is measured in braces."""
    return _UNITS.get(volume.units, volume.units.replace("{", "").replace("}", " "))


def _colour(masks: Mapping[str, Bools], name: str) -> tuple[float, float, float]:
    return to_rgb(_COLOURS(list(masks).index(name) % _COLOURS.N))


def _legend(figure: Figure, masks: Mapping[str, Bools]) -> None:
    if masks:
        handles = [Patch(color=_colour(masks, name), label=_text(name)) for name in masks]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)


def _text(name: str) -> str:
    """Return a name of a region for a legend, which takes $ for mathematics and leaves out what begins with _."""
    return (" " * name.startswith("_") + name).replace("$", r"\$")


def _in_patient(volume: Volume, mask: Bools) -> npt.NDArray[np.float64]:
    """Return the triangles of a mask in the patient's coordinates, of every n-th voxel where there are too many."""
    step = 1
    while True:
        triangles = mesh.surface(mask[::step, ::step, ::step], (step, step, step))
        if len(triangles) <= _MOST_TRIANGLES:
            break
        step += 1
    found: Array = triangles @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return found
