"""Volumes of research files in the viewer: every voxel its value at its place, label maps on what they belong to."""

import gzip
import json
from io import BytesIO
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from pydicom import dcmread
from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet
from firstread.dicomweb.errors import CannotRenderError
from firstread.imaging.convert import Options, Target, convert
from firstread.imaging.prepare.pipeline import Pipeline
from portal.folder.found import look
from portal.folder.kinds import Folder, Series
from portal.folder.local import Local
from portal.folder.masks import Shown
from portal.folder.said import said
from portal.folder.slices import Images
from portal.folder.voxels import Loaded, VoxelsError, look_at
from portal.folder.words import converted_scale
from tests.support.phantoms import planes
from tests.support.phantoms import series as phantom
from tests.unit.imaging.convert.trees import PLANTED, write

Array = npt.NDArray[Any]

_SIDES = (4, 5, 6)
_VALUES = np.arange(np.prod(_SIDES), dtype=np.int16).reshape(_SIDES) - 40
_TURN = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
_AFFINE = np.eye(4)
_AFFINE[:3, :3] = _TURN * [1.5, 2.0, 3.0]
_AFFINE[:3, 3] = -10.0, 20.0, -30.0
_CODES = [codes for axes in permutations(("LR", "PA", "IS")) for codes in product(*axes)]


def write_nifti(path: Path, values: Array, affine: Array | None = _AFFINE, **codes: int) -> Path:
    """Write a volume; codes of sform and qform as they are given, else 1."""
    image: Any = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, codes.get("sform", 1))
    image.set_qform(affine, codes.get("qform", 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def images_of(path: Path) -> list[Dataset]:
    """Return the images of a volume as the viewer gets them."""
    voxels = look_at(path.name, path)
    assert voxels
    images = Images(voxels, Loaded())
    return [dcmread(BytesIO(images.file(number))) for number in range(voxels.images)]


def the_series(folder: Folder) -> list[Series]:
    return [series for study in folder.studies.values() for series in study.series]


@pytest.mark.parametrize("codes", _CODES, ids="".join)
def test_every_voxel_keeps_its_place_in_the_patient(tmp_path: Path, codes: tuple[str, str, str]) -> None:
    orientation = axcodes2ornt(codes)
    affine = _AFFINE @ inv_ornt_aff(orientation, _SIDES)
    values = nibabel.orientations.apply_orientation(_VALUES, orientation)
    path = write_nifti(tmp_path / "a.nii", values, affine)
    to_index = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
    seen = 0
    for image in images_of(path):
        along, down = np.array(image.ImageOrientationPatient).reshape(2, 3)
        position, (rows, columns) = np.array(image.ImagePositionPatient), image.PixelSpacing
        for row, column in np.ndindex(image.Rows, image.Columns):
            place = position + along * columns * column + down * rows * row
            index = to_index @ [*place, 1.0]
            assert np.abs(index - np.rint(index)).max() < 1e-4
            i, j, k = np.rint(index[:3]).astype(int)
            assert image.pixel_array[row, column] == values[i, j, k]
            seen += 1
        # As readers look at it: left and back, left and feet, or back and feet (Table of PS3.3 C.7.6.2.1.1).
        normal = int(np.argmax(np.abs(np.cross(along, down))))
        expected = {2: ((0, 1), (1, 1)), 1: ((0, 1), (2, -1)), 0: ((1, 1), (2, -1))}[normal]
        for direction, (axis, sign) in zip((along, down), expected, strict=True):
            assert int(np.argmax(np.abs(direction))) == axis
            assert np.sign(direction[axis]) == sign
    assert seen == values.size
    (series,) = the_series(look(path))
    assert series.volumes[0]["geometry"] == "regular"


@pytest.mark.parametrize(
    ("values", "slope", "shown"),
    [
        (_VALUES, (None, None), "<i2"),
        (_VALUES.astype(">i2"), (None, None), "<i2"),
        ((_VALUES + 50).astype(np.uint8), (None, None), "<u1"),
        ((_VALUES % 100).astype(np.int8), (None, None), "<i2"),
        (_VALUES.astype(np.int32) * 90_000, (None, None), "<i4"),
        (_VALUES.astype(np.int64), (None, None), "<i4"),
        (_VALUES.astype(np.int64) << 40, (None, None), "<f4"),
        (_VALUES.astype(np.float32) / 7, (None, None), "<f4"),
        (_VALUES.astype(np.float64) / 7, (None, None), "<f4"),
        (_VALUES, (0.1, -3.25), "<f4"),
    ],
)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_values_are_those_of_the_file(
    tmp_path: Path, values: Array, slope: tuple[float | None, float | None], shown: str, kind: type[Any]
) -> None:
    image = kind(values, _AFFINE, dtype=values.dtype)
    image.header.set_slope_inter(*slope)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(image.to_bytes()))
    expected = np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
    for number, one in enumerate(images_of(path)):
        pixels = one.pixel_array
        assert pixels.dtype == np.dtype(shown)
        assert np.array_equal(pixels, expected[::-1, ::-1, number].T.astype(shown))


def test_colour_and_times_and_two_dimensions(tmp_path: Path) -> None:
    colour = np.zeros(_SIDES, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["G"][0, 0, 0] = 200
    first, *_ = images_of(write_nifti(tmp_path / "rgb.nii", colour))
    assert first.PhotometricInterpretation == "RGB"
    assert first.pixel_array[-1, -1].tolist() == [0, 200, 0]
    times = np.stack([_VALUES, _VALUES + 1], axis=-1)
    path = write_nifti(tmp_path / "times.nii", times)
    images = images_of(path)
    assert [each.TemporalPositionIdentifier for each in images] == [1] * 6 + [2] * 6
    assert np.array_equal(images[0].pixel_array + 1, images[6].pixel_array)
    assert [each["times"] for series in the_series(look(path)) for each in series.volumes] == [2]
    (flat,) = images_of(write_nifti(tmp_path / "flat.nii", _VALUES[:, :, 0]))
    assert np.array_equal(flat.pixel_array, _VALUES[::-1, ::-1, 0].T)


def test_who_says_where_voxels_are(tmp_path: Path) -> None:
    moved = _AFFINE.copy()
    moved[:3, 3] += 5
    image: Any = nibabel.Nifti1Image(_VALUES, _AFFINE)
    for sform, qform, x in ((1, 1, 5.0), (1, 0, 5.0), (0, 1, 0.0)):
        image.set_qform(_AFFINE, qform)
        image.set_sform(moved, sform)
        nibabel.save(image, tmp_path / "a.nii")
        far = nibabel.affines.apply_affine(_AFFINE, [3, 4, 0]) + x
        assert np.allclose(
            images_of(tmp_path / "a.nii")[0].ImagePositionPatient, far * [-1, -1, 1], atol=1e-5
        )
    (series,) = the_series(look(write_nifti(tmp_path / "b" / "a.nii", _VALUES, sform=0, qform=0)))
    assert series.volumes[0]["geometry"] == "planar"
    first = images_of(tmp_path / "b" / "a.nii")[0]
    assert "ImagePositionPatient" not in first
    assert first.PixelSpacing == [2.0, 1.5]
    assert np.array_equal(first.pixel_array, _VALUES[:, :, 0].T)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "a.nii")
    assert np.allclose(images_of(tmp_path / "a.nii")[0].PixelSpacing, [2000, 1500])


def test_axes_that_lean(tmp_path: Path) -> None:
    tilted, skewed = _AFFINE.copy(), _AFFINE.copy()
    tilted[:3, 2] = 0.0, 1.0, 3.0
    skewed[:3, 1] += [0.5, 0.0, 0.0]
    (series,) = the_series(look(write_nifti(tmp_path / "tilted.nii", _VALUES, tilted, qform=0)))
    assert series.volumes[0]["geometry"] == "mended"
    (series,) = the_series(look(write_nifti(tmp_path / "skewed.nii", _VALUES, skewed, qform=0)))
    assert series.volumes[0]["geometry"] == "planar"


def converted(tmp_path: Path, to: Target, pipeline: Pipeline | None = None, **attributes: str) -> Path:
    write(tmp_path / "in", phantom(planes()[8:20]), **attributes)
    summary = convert([tmp_path / "in"], tmp_path / "out", Options(to, pipeline=pipeline))
    assert not summary.failed
    return tmp_path / "out"


@pytest.mark.parametrize("to", [Target.NIFTI, Target.HDF5, Target.ZARR])
def test_what_was_converted_is_what_is_shown_and_nobody_is_named(tmp_path: Path, to: Target) -> None:
    out = converted(tmp_path, to)
    folder = look(out)
    (series,) = the_series(folder)
    assert series.voxels
    images = Images(series.voxels, folder.loaded)
    sent = sorted(phantom(planes()[8:20]), key=lambda each: float(each.ImagePositionPatient[2]))
    for number, before in enumerate(sent):
        after = dcmread(BytesIO(images.file(number)))
        assert np.allclose(after.ImagePositionPatient, before.ImagePositionPatient, atol=1e-4)
        assert np.allclose(after.ImageOrientationPatient, before.ImageOrientationPatient, atol=1e-6)
        assert np.array_equal(after.pixel_array, before.pixel_array.astype(int) - 1024)
        assert (after.Modality, after.RescaleType, after.WindowWidth) == ("CT", "HU", 400)
        assert not [value for value in PLANTED.values() if value in str(after)]
    (line,) = [each for each in said(folder, 9) if "CT ·" in each]
    assert line.endswith(": 12 images, regular")
    assert folder.other_files == 4  # the report, and what the command keeps for itself


def shown_of(folder: Folder) -> tuple[Local, list[Shown]]:
    local = Local.of(folder)
    return local, [each for study in folder.studies.values() for each in local.masks.of(study)]


def voxels_of(local: Local, shown: Shown, series: Series) -> Array:
    """Return what a segmentation draws on the images of a series."""
    assert shown.held
    with local.sources[shown.held.place].open(shown.held.key) as file:  # type: ignore[attr-defined]
        made = dcmread(file)
    first = series.images[0]
    found = np.zeros((len(series.images), first["rows"], first["columns"]), np.bool_)
    places = {each["sop_uid"]: number for number, each in enumerate(series.images)}
    pixels = made.pixel_array.reshape(-1, first["rows"], first["columns"])
    for group, frame in zip(made.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        found[places[source]] |= frame > 0
    return found


_LABELS = np.zeros(_SIDES, np.uint8)
_LABELS[1:3, 2:4, 1:5] = 1
_LABELS[3, 0, 2] = 2


@pytest.mark.parametrize(
    ("image", "labels", "rule", "names"),
    [
        ("imagesTr/case_0000.nii.gz", "labelsTr/case.nii.gz", "by its folder", ["Organ", "Lesion"]),
        ("imagesTr/case.nii.gz", "labelsTr/case.nii.gz", "by its folder", ["Organ", "Lesion"]),
        ("a/scan.nii.gz", "a/scan_seg.nii.gz", "by its name", ["scan_seg 1", "scan_seg 2"]),
        ("a/scan.nii.gz", "a/segmentations/both.nii.gz", "by its name", ["both 1", "both 2"]),
    ],
)
def test_label_maps_lie_on_their_images(
    tmp_path: Path, image: str, labels: str, rule: str, names: list[str]
) -> None:
    write_nifti(tmp_path / image, _VALUES)
    write_nifti(tmp_path / labels, _LABELS)
    said_of_labels = {"background": 0, "Organ": 1, "Lesion": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": said_of_labels}))
    folder = look(tmp_path)
    (study,) = folder.studies.values()
    (series,), (drawn,) = study.series, study.drawn
    assert drawn.row["series_description"].endswith(rule)
    assert [each.name for each in drawn.regions] == names
    local, shown = shown_of(folder)
    for each, number in zip(shown, (1, 2), strict=True):
        assert not each.reason
        expected = (_LABELS == number)[::-1, ::-1].transpose(2, 1, 0)
        assert np.array_equal(voxels_of(local, each, series), expected)


def test_the_decathlon_names_its_labels_the_other_way_round(tmp_path: Path) -> None:
    write_nifti(tmp_path / "imagesTr" / "a.nii", _VALUES)
    write_nifti(tmp_path / "labelsTr" / "a.nii", _LABELS)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "Anterior"}}))
    (study,) = look(tmp_path).studies.values()
    assert [each.name for each in study.drawn[0].regions] == ["Anterior"]


def test_a_label_map_that_does_not_fit_is_not_drawn(tmp_path: Path) -> None:
    moved = _AFFINE.copy()
    moved[0, 3] += 1
    write_nifti(tmp_path / "imagesTr" / "a_0000.nii", _VALUES)
    write_nifti(tmp_path / "labelsTr" / "a.nii", _LABELS, moved)
    _, shown = shown_of(look(tmp_path))
    assert [each.reason for each in shown] == ["masks of another grid"] * 2
    # By name alone it is none: it is a series of its own.
    write_nifti(tmp_path / "b" / "scan.nii", _VALUES)
    write_nifti(tmp_path / "b" / "scan_seg.nii", _LABELS, moved)
    (study,) = look(tmp_path / "b").studies.values()
    assert (len(study.series), study.drawn) == (2, ())


def test_masks_that_convert_wrote_are_named_by_the_sidecar(tmp_path: Path) -> None:
    steps = Pipeline.model_validate({"steps": [{"kind": "body_mask"}]})
    folder = look(converted(tmp_path, Target.NIFTI, steps))
    (study,) = folder.studies.values()
    (series,), (drawn,) = study.series, study.drawn
    (region,) = drawn.regions
    assert (region.name, drawn.row["series_description"].endswith("by the sidecar")) == (steps.makes[0], True)
    local, (shown,) = shown_of(folder)
    (mask,) = (tmp_path / "out").rglob("*.body.nii.gz")
    values = np.asarray(nibabel.load(mask).dataobj)  # type: ignore[attr-defined]
    assert voxels_of(local, shown, series).sum() == np.count_nonzero(values)


def test_what_was_mended_before_is_said(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", _VALUES)
    sidecar: dict[str, Any] = {
        "tool": {},
        "affine_lps": [],
        "modality": "CT",
        "units": "",
        "PatientName": "Planted",
    }
    sidecar["verdict"] = {"geometry": "mended", "done": [{"act": "tilt_corrected", "count": 4}]}
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    folder = look(path)
    assert "  CT · a.nii: 6 images, regular; mended before it was written: tilt corrected (4)" in list(
        said(folder, 1)
    )
    first = images_of(path)[0]
    assert (first.RescaleType, "Planted" in str(first)) == (
        "US",
        False,
    )  # CT that is not in Hounsfield units any more
    sidecar["verdict"] = {"done": "nothing"}
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    assert "  CT · a.nii: 6 images, regular" in list(said(look(path), 1))
    path.with_suffix(".json").write_text("[")
    assert "  OT · a.nii: 6 images, regular" in list(said(look(path), 1))


def test_uptake_of_a_converted_volume_is_what_its_sidecar_says(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", _VALUES)
    for units, unit in (("{SUVbw}g/ml", "SUVbw"), ("", "")):
        said_of = {"tool": {}, "affine_lps": [], "modality": "PT", "units": units}
        path.with_suffix(".json").write_text(json.dumps(said_of))
        voxels = look_at("a.nii", path)
        assert voxels
        scale = converted_scale(voxels)
        assert (scale.unit, scale.factor, bool(scale.reason)) == (unit, 1.0, not unit)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no volume", "unreadable"),
        (nibabel.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)).to_bytes(), "not_decoded"),
    ],
)
def test_files_that_are_not_shown_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.nii").write_bytes(content)
    folder = look(tmp_path)
    assert folder.left_out == (("a.nii", reason),)
    assert not folder.studies


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    header: Any = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((20_000, 20_000, 20))
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(400))
    with pytest.raises(VoxelsError, match="too_large"):
        look_at("a.nii", tmp_path / "a.nii")


def test_a_volume_that_ends_too_soon_is_no_picture_of_something_else(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", _VALUES)
    path.write_bytes(path.read_bytes()[:-40])
    voxels = look_at("a.nii", path)
    assert voxels
    with quiet(), pytest.raises(CannotRenderError):
        Images(voxels, Loaded()).file(0)


def test_of_many_volumes_the_last_ones_are_kept(tmp_path: Path) -> None:
    found = [look_at(name, write_nifti(tmp_path / name, _VALUES)) for name in ("a.nii.gz", "b.nii.gz")]
    loaded = Loaded(limit=_VALUES.nbytes)
    for voxels in found:
        assert voxels
        loaded.plane(voxels, 0)
    (tmp_path / "a.nii.gz").unlink()
    assert found[0]
    assert found[1]
    loaded.plane(found[1], 5)
    with pytest.raises(CannotRenderError):
        loaded.plane(found[0], 0)


def test_one_file_or_one_array_alone(tmp_path: Path) -> None:
    out = converted(tmp_path, Target.ZARR)
    (array,) = out.rglob("*.zarr")
    assert len(the_series(look(array))) == 1
    (tmp_path / "odd.h5").write_bytes(b"no volume of ours")
    assert look(tmp_path / "odd.h5").other_files == 1
