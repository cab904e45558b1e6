"""Masks land on their pixels, pictures have the right proportions, and letters say where the patient's sides are."""

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from firstread.imaging import plot
from firstread.imaging.plot import Across
from firstread.imaging.verdict import Geometry, Verdict, VolumeError
from firstread.imaging.volume import Matrix, Volume
from tests.support import phantoms

SHAPE = (6, 8, 10)
AXIAL = np.array([[0.0, 0, 1.0, -5], [0, 2.0, 0, -9], [3.0, 0, 0, 40], [0, 0, 0, 1]])


def volume(affine: Matrix = AXIAL, *, is_colour: bool = False) -> Volume:
    shape = (*SHAPE, 3) if is_colour else SHAPE
    values = np.arange(np.prod(shape)).reshape(shape) % 251
    kind = np.uint8 if is_colour else np.int16
    return Volume(values.astype(kind), affine, (), modality="CT", units="[hnsf'U]", is_colour=is_colour)


def mask() -> plot.Bools:
    found = np.zeros(SHAPE, dtype=bool)
    found[4, 2:5, 3:9] = True
    found[3, 2, 3] = True
    return found


def drawn(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def letters(axes: Axes) -> dict[str, str]:
    sides = {
        (0.02, 0.5): "left",
        (0.98, 0.5): "right",
        (0.5, 0.98): "top",
        (0.5, 0.02): "bottom",
    }
    return {sides[text.get_position()]: text.get_text() for text in axes.texts}


def test_an_overlay_colours_the_pixels_of_the_mask_and_no_others() -> None:
    figure = plot.overlay(volume(), {"liver": mask()}, fill=0.5)
    picture, layer = figure.axes[0].images
    assert figure.axes[0].get_title() == "slice 4"  # where most of it is
    assert np.array_equal(np.asarray(picture.get_array()), volume().values[4])
    assert np.array_equal(np.asarray(layer.get_array())[..., 3] > 0, mask()[4])
    assert layer.get_extent() == picture.get_extent()
    assert drawn(figure)


def test_an_outline_runs_along_the_edges_of_pixels() -> None:
    figure = plot.overlay(volume(), {"liver": mask()}, index=4, fill=0.0)
    (lines,) = (each for each in figure.axes[0].collections if isinstance(each, LineCollection))
    ends = np.concatenate(lines.get_segments())
    assert len(lines.get_segments()) == 2 * (3 + 6)
    assert all(np.abs(np.diff(line, axis=0)).sum() == 1.0 for line in lines.get_segments())
    assert ends.min(axis=0).tolist() == [2.5, 1.5]
    assert ends.max(axis=0).tolist() == [8.5, 4.5]


@pytest.mark.parametrize(
    ("across", "aspect", "sides"),
    [
        (Across.SLICES, 2.0, {"left": "R", "right": "L", "top": "A", "bottom": "P"}),
        (Across.ROWS, 3.0, {"left": "R", "right": "L", "top": "H", "bottom": "F"}),
        (Across.COLUMNS, 1.5, {"left": "A", "right": "P", "top": "H", "bottom": "F"}),
    ],
)
def test_proportions_and_letters_of_a_plane(across: Across, aspect: float, sides: dict[str, str]) -> None:
    (axes, *_) = plot.overlay(volume(), {"liver": mask()}, across=across).axes
    assert axes.get_aspect() == pytest.approx(aspect)
    assert letters(axes) == sides


def test_heads_are_up_and_masks_with_them() -> None:
    axes = plot.overlay(volume(), {"liver": mask()}, index=2, across=Across.ROWS).axes[0]
    picture, layer = axes.images
    assert np.array_equal(np.asarray(picture.get_array()), volume().values[::-1, 2])
    assert np.array_equal(np.asarray(layer.get_array())[..., 3] > 0, mask()[::-1, 2])


def test_oblique_directions_have_two_letters_and_planar_images_none() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]]
    axes = plot.overlay(volume(turn @ AXIAL), {}).axes[0]
    assert letters(axes) == {"left": "RA", "right": "LP", "top": "AL", "bottom": "PR"}
    planar = Volume(volume().values, AXIAL, (), Verdict(Geometry.PLANAR))
    assert set(letters(plot.overlay(planar, {}).axes[0]).values()) == {""}


def test_a_mosaic_shows_evenly_what_has_a_mask() -> None:
    figure = plot.mosaic(volume(), count=3)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["slice 0", "slice 2", "slice 5"]
    figure = plot.mosaic(volume(), {"liver": mask()}, window=(40, 400))
    pictures = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in pictures] == ["slice 3", "slice 4"]
    assert pictures[0].images[0].get_clim() == (-160, 240)
    assert figure.axes[-1].get_ylabel() == "HU"
    uptake = Volume(volume().values, AXIAL, (), units="{SUVbw}g/ml")
    assert plot.mosaic(uptake).axes[-1].get_ylabel() == "SUVbw g/ml"
    assert drawn(figure)


def test_a_mosaic_of_five_leaves_the_rest_of_the_grid_empty() -> None:
    figure = plot.mosaic(volume(), count=5)
    assert [bool(axes.images) for axes in figure.axes[:8]] == [True] * 5 + [False] * 3


def test_colour_has_no_bar_and_no_histogram() -> None:
    figure = plot.mosaic(volume(is_colour=True), count=2)
    assert [axes.get_title() for axes in figure.axes] == ["slice 0", "slice 5"]
    assert drawn(figure)
    with pytest.raises(ValueError, match="colours"):
        plot.histogram(volume(is_colour=True), {"liver": mask()})


def test_a_histogram_counts_each_region_over_common_bins() -> None:
    regions = {"liver": mask(), "_all $x$": np.ones(SHAPE, dtype=bool)}
    figure = plot.histogram(volume(), regions, bins=10)
    steps = [patch.get_data() for patch in figure.axes[0].patches if isinstance(patch, StepPatch)]
    (shares, edges, _), (_, others, _) = steps
    assert np.array_equal(edges, others)
    assert np.allclose(shares, np.histogram(volume().values[mask()], edges)[0] / mask().sum())
    assert figure.axes[0].get_xlabel() == "HU"
    legend = figure.axes[0].get_legend()
    texts = [text.get_text() for text in legend.get_texts()] if legend else []
    assert texts == ["liver (19 voxels)", r" _all \$x\$ (480 voxels)"]
    assert drawn(figure)


def test_a_surface_lies_where_the_mask_is() -> None:
    figure = plot.surface(volume(), {"liver": mask()})
    axes = figure.axes[0]
    (shown,) = (each for each in axes.collections if isinstance(each, Poly3DCollection))
    assert shown is not None
    place = AXIAL @ np.array([[2.5, 1.5, 2.5, 1], [4.5, 4.5, 8.5, 1]]).T
    assert axes.get_xlim() == pytest.approx(tuple(place[0]))
    assert axes.get_ylim() == pytest.approx(tuple(place[1]))
    assert drawn(figure)


def test_what_is_not_one_image_or_not_of_its_grid_is_refused() -> None:
    several = Volume(np.zeros((2, *SHAPE)), AXIAL, ())
    with pytest.raises(VolumeError, match="several_volumes"):
        plot.mosaic(several)
    with pytest.raises(ValueError, match="another shape"):
        plot.overlay(volume(), {"liver": mask()[1:]})
    with pytest.raises(ValueError, match="empty"):
        plot.surface(volume(), {"liver": np.zeros(SHAPE, dtype=bool)})
    with pytest.raises(ValueError, match="no mask has a voxel"):
        plot.histogram(volume(), {})
    with pytest.raises(ValueError, match="at least one"):
        plot.mosaic(volume(), count=0)


def test_the_sphere_of_a_series_is_where_its_bright_voxels_are() -> None:
    from firstread.imaging import load

    loaded = load(phantoms.series())
    bright = loaded.values > 0
    axes = plot.surface(loaded, {"sphere": bright}).axes[0]
    middle = [np.mean(axes.get_xlim()), np.mean(axes.get_ylim())]
    assert middle == pytest.approx(phantoms.CENTRE[:2].tolist(), abs=1.0)
