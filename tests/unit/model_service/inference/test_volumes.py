from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.spatial.array import Orientation, Spacing

from firstread.imaging.volume import Volume
from model_service.inference.volumes import orientation, prepare_volume
from model_service.manifest import VolumeInput

ORIENTATIONS = [
    "".join(side[flip] for side, flip in zip(order, flips, strict=True))
    for order in permutations(["RL", "AP", "SI"])
    for flips in product((0, 1), repeat=3)
]


def wanted(**more: object) -> VolumeInput:
    return VolumeInput.model_validate({"kind": "volume", "intensity": {"kind": "unchanged"}} | more)


def volume(spacing: tuple[float, float, float] = (3.0, 1.0, 1.5), tilt: float = 0.1, size: int = 0) -> Volume:
    """A smooth object on an oblique grid, sagittal slices."""
    shape = (9 + size, 20 + size, 16 + size)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    axes = np.array(
        [[-1.0, 0, 0], [0, 0, -1], [0, 1, 0]]
    ).T  # slices to the right, rows down, columns to the back
    affine = np.eye(4)
    affine[:3, :3] = turn @ axes * np.array(spacing)
    affine[:3, 3] = (10, -20, 30)
    index = np.moveaxis(np.indices(shape), 0, -1)
    waves = np.sin(index @ np.array([0.5, 0.2, 0.3])) + 0.1 * index[..., 1]
    return Volume(waves.astype(np.float32), affine, ())


def as_monai(
    source: Volume, axes: str, spacing: tuple[float, float, float] | None
) -> npt.NDArray[np.float32]:
    """Do it with the transforms of MONAI, whose coordinates are RAS."""
    affine = np.diag([-1.0, -1, 1, 1]) @ source.affine
    tensor = MetaTensor(torch.from_numpy(source.values)[None], affine=torch.from_numpy(affine))
    turned = Orientation(axcodes=axes, labels=(("L", "R"), ("P", "A"), ("I", "S")))(tensor)
    if spacing is not None:
        turned = Spacing(pixdim=spacing, mode="bilinear", padding_mode="border")(turned)
    return np.asarray(turned.numpy(), np.float32)


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_orientation_is_that_of_monai(axes: str) -> None:
    found = prepare_volume(volume(), wanted(orientation=axes))
    np.testing.assert_array_equal(found.values[0], as_monai(volume(), axes, None)[0])
    assert found.labels_back(np.zeros(found.values.shape[1:], np.uint8)).shape == volume().values.shape


# None where the count of voxels is a tie, which the rounding of the affine decides.
@pytest.mark.parametrize("spacing", [(0.9, 0.9, 0.9), (2.1, 2.1, 2.1), (1.6, 3.1, 1.0), (0.7, 1.3, 4.0)])
@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR"])
def test_spacing_is_that_of_monai(axes: str, spacing: tuple[float, float, float]) -> None:
    found = prepare_volume(volume(), wanted(orientation=axes, spacing_mm=spacing)).values
    expected = as_monai(volume(), axes, spacing)
    assert found.shape == expected.shape
    inside = tuple(slice(0, side - 1) for side in found.shape[1:])
    np.testing.assert_allclose(found[0][inside], expected[0][inside], atol=1e-4)


def test_spacing_that_a_header_rounded_is_kept() -> None:
    source = volume((3.0001, 1.0, 1.5))
    found = prepare_volume(source, wanted(orientation="RIP", spacing_mm=(3.0, 1.0, 1.5))).values
    np.testing.assert_array_equal(found[0], source.values)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "PIL"])
@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("crop", [False, True])
def test_labels_come_back_to_where_they_were(
    axes: str, spacing: tuple[float, float, float] | None, crop: bool
) -> None:
    values = np.zeros((24, 40, 40), np.float32)
    values[8:18, 10:30, 5:25] = 5
    values[8:13, 10:20, 5:15] = 9
    source = Volume(values, volume().affine, ())
    found = prepare_volume(source, wanted(orientation=axes, spacing_mm=spacing, crop_foreground=crop))
    labels = (found.values[0] > 2.5).astype(np.uint8) + (found.values[0] > 7).astype(np.uint8)
    back = found.labels_back(labels)
    assert back.flags.c_contiguous
    truth = (values > 2.5).astype(np.uint8) + (values > 7)
    if spacing is None:
        np.testing.assert_array_equal(back, truth)
        assert not crop or labels.size == 10 * 20 * 20
    for number in (1, 2):
        both = ((back == number) & (truth == number)).sum()
        assert 2 * both / ((back == number).sum() + (truth == number).sum()) > 0.75
    assert not back[0].any()


def test_nothing_but_background_is_not_cropped() -> None:
    source = Volume(np.zeros((4, 5, 6), np.float32), volume().affine, ())
    found = prepare_volume(source, wanted(orientation="RIP", crop_foreground=True))
    assert found.values.shape == (1, 4, 5, 6)
    assert found.labels_back(np.ones((4, 5, 6), np.uint8)).all()


def test_two_axes_alike_are_no_orientation() -> None:
    with pytest.raises(ValueError, match="three axes"):
        orientation(np.eye(4), "RLS")


def test_values_that_are_no_numbers_are_refused() -> None:
    values = volume().values.copy()
    values[3, 3, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        prepare_volume(Volume(values, volume().affine, ()), wanted())


def test_source_is_not_changed() -> None:
    source = volume()
    before: npt.NDArray[np.float32] = source.values.copy()
    intensity = {"kind": "minmax", "upper_percentile": 90}
    prepare_volume(source, wanted(orientation="RIP", intensity=intensity))
    np.testing.assert_array_equal(source.values, before)
