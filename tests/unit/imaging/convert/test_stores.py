"""What is written is what is read: by us, by nibabel and by SimpleITK."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import Dataset

import firstread.imaging.convert as conversion
from firstread.imaging import STRICT, Volume, load
from firstread.imaging.convert import ConvertError, ConvertReason, Filter, Options, Target, convert
from firstread.imaging.convert.stores import store_for
from firstread.imaging.even import even
from firstread.imaging.index.record import Reader
from firstread.imaging.index.volumes import volumes_of
from firstread.imaging.slices import slices_of
from firstread.imaging.verdict import Act, Done, Geometry, Repairs, Verdict
from firstread.imaging.volume import SourceFrame
from tests.support.phantoms import planes, rotated, series
from tests.unit.imaging.convert.trees import write
from tests.unit.imaging.test_geometry import tilted, two_times

FORMATS = {
    "nii": Options(Target.NIFTI, compress=False),
    "nii.gz": Options(Target.NIFTI),
    "h5": Options(Target.HDF5),
    "h5 gzip": Options(Target.HDF5, filter=Filter.GZIP),
    "h5 contiguous": Options(Target.HDF5, compress=False),
    "zarr": Options(Target.ZARR),
    "zarr uncompressed": Options(Target.ZARR, compress=False),
}
NO_PLACE = ("ImagePositionPatient", "ImageOrientationPatient")


def planar(*, colour: bool) -> list[Dataset]:
    made = series()[:3]
    for number, each in enumerate(made):
        for keyword in NO_PLACE:
            delattr(each, keyword)
        if colour:
            each.SamplesPerPixel, each.PhotometricInterpretation, each.PlanarConfiguration = 3, "RGB", 0
            each.BitsAllocated, each.BitsStored, each.HighBit = 8, 8, 7
            rng = np.random.default_rng(number)
            each.PixelData = rng.integers(0, 256, (each.Rows, each.Columns, 3), np.uint8).tobytes()
    return made


CASES: dict[str, Callable[[], list[Dataset]]] = {
    "regular": series,
    "oblique": lambda: series(planes(directions=rotated(35))),
    "the other way round": lambda: series(planes(directions=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))),
    "several times": lambda: two_times("TemporalPositionIdentifier"),
    "gantry tilt": tilted,
    "planar": lambda: planar(colour=False),
    "colour": lambda: planar(colour=True),
    "fractions": lambda: series(slope=lambda number: 0.5 + number),
}


def same(one: Volume, other: Volume) -> None:
    assert np.array_equal(one.values, other.values) and one.values.dtype == other.values.dtype
    assert abs(one.affine - other.affine).max() < 1e-6
    assert one.verdict.to_json() == other.verdict.to_json()
    assert (one.modality, one.units, one.is_colour) == (other.modality, other.units, other.is_colour)


def converted(tmp_path: Path, options: Options, images: list[Dataset]) -> tuple[Path, Volume]:
    paths = write(tmp_path / "in", images)
    summary = convert([tmp_path / "in"], tmp_path / "out", options)
    assert summary.totals["made"] == 1 and not summary.failed, summary
    return tmp_path / "out" / summary.outcomes[0].outputs[0], load(paths)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_written_is_read(case: str, kind: str, tmp_path: Path) -> None:
    path, loaded = converted(tmp_path, FORMATS[kind], CASES[case]())
    same(conversion.open(path), loaded)


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_a_store_stands_alone(kind: str, tmp_path: Path) -> None:
    path, loaded = converted(tmp_path, FORMATS[kind], CASES["oblique"]())
    path.with_suffix(".json").unlink()
    same(conversion.open(path), loaded)


def corners(volume: Volume) -> np.ndarray:
    index = np.array([[s, r, c, 1.0] for s in (0, 5) for r in (0, 7) for c in (0, 11)])
    found: np.ndarray = (volume.affine @ index.T).T[:, :3]
    return found


def nifti(path: Path) -> Any:  # noqa: ANN401 - nibabel has types for some of it
    return nibabel.load(path)


@pytest.mark.parametrize(
    "case", ["regular", "oblique", "the other way round", "several times", "gantry tilt"]
)
def test_others_see_voxels_where_they_are(case: str, tmp_path: Path) -> None:
    path, loaded = converted(tmp_path, FORMATS["nii"], CASES[case]())
    image = nifti(path)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.get_sform(coded=True)[1] == image.get_qform(coded=True)[1] == 1
    assert np.allclose(image.get_sform(), image.get_qform(), atol=1e-3)
    voxels = np.asanyarray(image.dataobj)
    assert voxels.dtype == loaded.values.dtype
    assert np.array_equal(voxels.T, loaded.values)  # columns, rows, slices, times: the other way round
    index = np.array([[c, r, s, 1.0] for s in (0, 5) for r in (0, 7) for c in (0, 11)])
    there = (image.affine @ index.T).T[:, :3] * [-1, -1, 1]
    assert np.allclose(there, corners(loaded), atol=1e-3)
    reader = SimpleITK.ReadImage(str(path))
    if loaded.is_in_time:
        reader = reader[..., 0]
    points = [
        reader.TransformIndexToPhysicalPoint((c, r, s)) for s in (0, 5) for r in (0, 7) for c in (0, 11)
    ]
    assert np.allclose(points, corners(loaded), atol=1e-3)


def test_a_shear_is_in_the_sform_alone(tmp_path: Path) -> None:
    lean = Repairs(tilt=False)
    slices = [plane for number, each in enumerate(tilted(2.0)) for plane in slices_of(each, number, 1)]
    grid, _ = even(slices, slices[0].normal, lean)
    volume = Volume(np.zeros(grid.shape, np.int16), grid.affine, ())
    assert not volume.is_upright and STRICT.tilt is False
    store = store_for(tmp_path / "a.nii")
    assert store is not None
    store.write(volume, tmp_path / "a.nii", {})
    image = nifti(tmp_path / "a.nii")
    assert image.get_qform(coded=True)[1] == 0 and image.get_sform(coded=True)[1] == 1
    assert np.allclose(conversion.open(tmp_path / "a.nii").affine, grid.affine, atol=1e-4)


def test_planar_images_claim_no_place(tmp_path: Path) -> None:
    path, _ = converted(tmp_path, FORMATS["nii"], CASES["planar"]())
    image = nifti(path)
    assert image.get_qform(coded=True)[1] == image.get_sform(coded=True)[1] == 0
    assert np.allclose(image.header.get_zooms()[:2], (1.5, 2.0))
    assert json.loads(path.with_suffix(".json").read_text())["spacing_mm"] == [None, 2.0, 1.5]


def test_colour_is_rgb_for_others(tmp_path: Path) -> None:
    path, loaded = converted(tmp_path, FORMATS["nii"], CASES["colour"]())
    voxels = np.asanyarray(nifti(path).dataobj)
    assert voxels.dtype.names == ("R", "G", "B")
    assert np.array_equal(voxels["G"].T, loaded.values[..., 1])


def test_colour_of_sixteen_bits_is_a_vector(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 3, dtype=np.uint16).reshape(2, 3, 4, 3)
    volume = Volume(values, np.diag([1.0, 2, 3, 1]), (), is_colour=True)
    store = store_for(tmp_path / "a.nii.gz")
    assert store is not None
    store.write(volume, tmp_path / "a.nii.gz", {})
    assert np.array_equal(store.read(tmp_path / "a.nii.gz")[0], values)
    assert nifti(tmp_path / "a.nii.gz").shape == (4, 3, 2, 1, 3)


@pytest.mark.parametrize("turn", range(0, 360, 45))
def test_quaternions_of_many_rotations(turn: int, tmp_path: Path) -> None:
    for number, mirrored in enumerate((1.0, -1.0)):
        affine = np.eye(4)
        a, b = rotated(float(turn))
        affine[:3, :3] = np.stack([np.cross(a, b) * 3 * mirrored, b * 2, a * 1.5], axis=1)
        path = tmp_path / f"{number}.nii"
        store = store_for(path)
        assert store is not None
        store.write(Volume(np.zeros((2, 3, 4), np.int16), affine, ()), path, {})
        image = nifti(path)
        assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-5)


def test_the_same_voxels_are_the_same_bytes(tmp_path: Path) -> None:
    first, _ = converted(tmp_path / "a", FORMATS["nii.gz"], series())
    second, _ = converted(tmp_path / "b", FORMATS["nii.gz"], series())
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.h5", "a.zarr", "a.txt"])
def test_what_is_no_volume_of_ours_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x5c\x01\0\0" + bytes(400))
    with pytest.raises(ConvertError) as caught:
        conversion.open(tmp_path / name)
    assert caught.value.reason is ConvertReason.NOT_OURS


def test_voxels_and_sidecar_belong_together(tmp_path: Path) -> None:
    path, _ = converted(tmp_path, FORMATS["nii"], series())
    sidecar = path.with_suffix(".json")
    said = json.loads(sidecar.read_text())
    said["affine_lps"][0][3] += 1
    for text in (json.dumps(said), "[]", "{"):
        sidecar.write_text(text)
        with pytest.raises(ConvertError) as caught:
            conversion.open(path)
        assert caught.value.reason is ConvertReason.SIDECAR_DIFFERS


def test_without_a_sidecar_nifti_has_its_own_affine(tmp_path: Path) -> None:
    path, loaded = converted(tmp_path, FORMATS["nii.gz"], CASES["oblique"]())
    (path.parent / path.name.replace(".nii.gz", ".json")).unlink()
    found = conversion.open(path)
    assert np.array_equal(found.values, loaded.values)
    assert np.allclose(found.affine, loaded.affine, atol=1e-4)


def test_frames_come_back_where_they_may(tmp_path: Path) -> None:
    path, loaded = converted(tmp_path, Options(Target.ZARR, identifying=True), series())
    assert conversion.open(path).frames == loaded.frames
    assert isinstance(loaded.frames[0], SourceFrame)


def test_a_verdict_survives() -> None:
    from firstread.imaging.convert.reading import _done

    done = Done(Act.RESAMPLED, 3, {"smallest_mm": 1.5}, by="EchoTime", slices=(1, 2))
    assert _done(json.loads(json.dumps(done.to_json()))) == done
    assert Verdict(Geometry.MENDED, (done,)).to_json()["geometry"] == "mended"


@pytest.mark.parametrize(
    ("slope", "zero", "expected"),
    [(None, None, [0, 7]), (1.0, 0.0, [0, 7]), (0.5, -3.0, [-3, 0.5]), (1.0, 2.0, [2, 9])],
)
def test_nifti_of_others_is_scaled_as_its_header_says(
    tmp_path: Path, slope: float | None, zero: float | None, expected: list[float]
) -> None:
    image = nibabel.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_slope_inter(slope, zero)
    for units, factor in (("mm", 1.0), ("meter", 1000.0), ("micron", 0.001)):
        image.header.set_xyzt_units(units)
        (tmp_path / "a.nii").write_bytes(image.to_bytes())
        found = conversion.open(tmp_path / "a.nii")
        assert [found.values.min(), found.values.max()] == expected
        assert found.spacing_mm == pytest.approx([3 * factor, 2 * factor, 2 * factor])


def test_nobody_measured_the_thickness_of_a_single_slice(tmp_path: Path) -> None:
    write(tmp_path / "in", series(planes()[:1]))
    conversion.convert([tmp_path / "in"], tmp_path / "out", conversion.Options(conversion.Target.NIFTI))
    (sidecar,) = (tmp_path / "out").glob("[!.]*/*/*.json")
    said = json.loads(sidecar.read_text())
    assert (said["spacing_mm"], said["size_mm"][0]) == ([None, 2.0, 1.5], None)
    (index,) = volumes_of(
        [Reader().row(path, path.stat().st_size) for path in (tmp_path / "in").iterdir()], tmp_path
    )
    assert (index["slice_spacing_mm"], index["row_spacing_mm"]) == (None, 2.0)
