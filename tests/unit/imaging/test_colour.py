"""Images in colour: with a place in the patient they are volumes, as grey ones are; and the index says the same."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    UID,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from firstread.dicom.silence import quiet
from firstread.imaging.index import Index, build
from firstread.imaging.pixels import PixelError, PixelReason
from firstread.imaging.series import load, load_all, load_volume
from firstread.imaging.verdict import STRICT, Act, Geometry, VolumeError, VolumeReason
from tests.support.phantoms import GAP, Plane, image, planes, series

SIZE = (8, 12)
STEPS = [GAP * each for each in range(4)]
PLANES = planes(STEPS)


def picture(number: int) -> np.ndarray:
    """Return an image in which each pair of pixels in a row has one colour, as 4:2:2 keeps it."""
    found: np.ndarray = np.random.default_rng(number).integers(0, 256, (SIZE[0], SIZE[1] // 2, 3), np.uint8)
    return np.repeat(found, 2, axis=1)


def coloured(plane: Plane, number: int) -> Dataset:
    made = image(Plane(plane.position, plane.directions, SIZE), number)
    del made.RescaleSlope, made.RescaleIntercept
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.SamplesPerPixel, made.PlanarConfiguration = 7, 3, 0
    made.PhotometricInterpretation, made.PixelData = "RGB", picture(number).tobytes()
    return made


def by_pixel(made: Dataset, colours: np.ndarray) -> None:
    made.PixelData = colours.tobytes()


def by_plane(made: Dataset, colours: np.ndarray) -> None:
    made.PlanarConfiguration, made.PixelData = 1, np.moveaxis(colours, -1, 0).tobytes()


def by_halves(made: Dataset, colours: np.ndarray) -> None:
    full = convert_color_space(colours, "RGB", "YBR_FULL")
    pairs = np.concatenate([full[:, ::2, :1], full[:, 1::2, :1], full[:, ::2, 1:]], axis=-1)
    made.PhotometricInterpretation, made.PixelData = "YBR_FULL_422", pairs.tobytes()


def by_palette(made: Dataset, colours: np.ndarray) -> None:
    table, index = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    del made.PlanarConfiguration
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "PALETTE COLOR"
    made.PixelData = index.astype(np.uint8).tobytes()
    for name, entries in zip(("Red", "Green", "Blue"), table.T, strict=True):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [len(table), 0, 8])
        setattr(made, f"{name}PaletteColorLookupTableData", entries.tobytes() + b"\0" * (len(table) % 2))


WAYS: dict[str, tuple[Callable[[Dataset, np.ndarray], None], int]] = {
    "RGB by pixel": (by_pixel, 0),
    "RGB by plane": (by_plane, 0),
    "YBR_FULL_422": (by_halves, 2),
    "PALETTE COLOR": (by_palette, 0),
}


def written(images: Sequence[Dataset], folder: Path) -> Path:
    folder.mkdir()
    for number, each in enumerate(images):
        with quiet():
            each.save_as(folder / f"{number:02d}.dcm", enforce_file_format=True)
    return folder


def index_of(folder: Path, where: Path) -> list[dict[str, object]]:
    build(folder, where)
    found: list[dict[str, object]] = Index.open(where).query("SELECT * FROM volumes").to_pylist()
    return found


@pytest.mark.parametrize("way", WAYS)
def test_slices_in_colour_are_a_volume(way: str, tmp_path: Path) -> None:
    change, within = WAYS[way]
    images = [coloured(plane, number) for number, plane in enumerate(PLANES, 1)]
    for number, each in enumerate(images, 1):
        change(each, picture(number))
    folder = written(images[::-1], tmp_path / "in")
    for volume in (load(images), load(folder)):
        assert volume.is_colour and not volume.is_in_time and volume.units == ""
        assert volume.values.dtype == np.uint8 and volume.grid == (4, *SIZE)
        for number, values in enumerate(volume.values, 1):
            assert abs(values.astype(int) - picture(number)).max() <= within
        assert np.allclose(volume.affine[:3, 3], PLANES[0].position)
        assert volume.verdict.geometry is Geometry.REGULAR
    (row,) = index_of(folder, tmp_path / "index")
    assert (row["geometry"], row["slices"]) == ("regular", 4)


def test_colour_is_mended_as_grey_is() -> None:
    lean = np.array([0.0, math.tan(math.radians(20.0)), 1.0])
    images = [coloured(plane, 1) for plane in planes(STEPS, lean=lean)]
    grey = series([Plane(each.position, each.directions, SIZE) for each in planes(STEPS, lean=lean)])
    for each in grey:
        each.PixelData = picture(1)[..., 1].astype("<u2").tobytes()
        each.RescaleIntercept = 0
    volume, expected = load(images), load(grey)
    assert volume.verdict.to_json() == expected.verdict.to_json()
    assert volume.verdict.has(Act.TILT_CORRECTED)
    inside = expected.values != expected.values.min()
    assert np.array_equal(volume.values[..., 1][inside], expected.values[inside])


def test_two_times_in_colour() -> None:
    images = [coloured(plane, number) for number, plane in enumerate([*PLANES, *PLANES], 1)]
    for number, each in enumerate(images):
        each.TemporalPositionIdentifier = 1 + number // 4
    volume = load(images)
    assert volume.is_in_time and volume.is_colour and volume.grid == (4, *SIZE)
    assert np.array_equal(volume.values[1, 2], picture(7))
    with pytest.raises(VolumeError, match="several_volumes"):
        volume.to_sitk()


def test_colour_is_not_put_among_grey(tmp_path: Path) -> None:
    grey = [image(Plane(each.position, each.directions, SIZE), number) for number, each in enumerate(PLANES)]
    fused = [coloured(plane, number) for number, plane in enumerate(PLANES[:2], 10)]
    found = load_all([*grey, *fused])
    assert [(each.is_colour, each.grid[0]) for each in found] == [(False, 4), (True, 2)]
    assert found[0].verdict.done[0].by == "PhotometricInterpretation"
    rows = index_of(written([*grey, *fused], tmp_path / "in"), tmp_path / "index")
    assert [each["slices"] for each in rows] == [4, 2]
    with pytest.raises(VolumeError) as caught:
        load([*grey, *fused], STRICT)
    assert caught.value.reason is VolumeReason.SEVERAL_VOLUMES


def test_models_are_given_no_colour() -> None:
    with pytest.raises(PixelError) as caught:
        load_volume([coloured(plane, number) for number, plane in enumerate(PLANES)])
    assert caught.value.reason is PixelReason.UNSUPPORTED_PHOTOMETRIC


def test_a_header_that_denies_its_colours_is_refused() -> None:
    images = [coloured(plane, number) for number, plane in enumerate(PLANES)]
    images[2].PhotometricInterpretation = "MONOCHROME2"
    with pytest.raises(PixelError):
        load(images)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("storage", "modality"),
    [(UltrasoundMultiFrameImageStorage, "US"), (MultiFrameTrueColorSecondaryCaptureImageStorage, "OT")],
)
def test_frames_in_colour_without_a_place(storage: UID, modality: str, way: str) -> None:
    change, within = WAYS[way]
    made = coloured(PLANES[0], 1)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = storage
    made.Modality, made.NumberOfFrames = modality, 3
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
        del made[keyword]
    colours = np.stack([picture(each) for each in range(3)])
    parts = []
    if way == "PALETTE COLOR":
        by_palette(made, colours)
    else:
        for each in colours:
            change(made, each)
            parts.append(made.PixelData)
        made.PixelData = b"".join(parts)
    volume = load([made])
    assert volume.verdict.geometry is Geometry.PLANAR and volume.is_colour and volume.modality == modality
    assert volume.values.shape == (3, *SIZE, 3)
    assert abs(volume.values.astype(int) - colours).max() <= within
    assert volume.spacing_mm == (1.0, 2.0, 1.5)
