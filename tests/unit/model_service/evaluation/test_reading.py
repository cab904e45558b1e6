from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import UID

from firstread.errors import QuarantineError
from firstread.imaging.verdict import VolumeError
from firstread.imaging.volume import SourceFrame, Volume
from model_service.evaluation import nifti
from model_service.evaluation.cases import Case, Kind
from model_service.evaluation.reading import Source, load, load_mask
from model_service.evaluation.reasons import CaseError
from model_service.manifest import ImageInput, VolumeInput
from tests.support.dicoms import encode, header

GREY = ImageInput.model_validate({"kind": "image", "intensity": {"kind": "unchanged"}})
COLOUR = GREY.model_copy(update={"channels": 3})
UNITS = GREY.model_copy(update={"values": "modality"})
VOLUME = VolumeInput.model_validate({"kind": "volume", "intensity": {"kind": "unchanged"}})
STEPS = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def raster(path: Path, wanted: ImageInput = GREY) -> npt.NDArray[np.float32]:
    return load(Case(path.name, Kind.RASTER, (path,)), wanted).image()


def saved(path: Path, values: npt.NDArray[np.generic], **more: object) -> Path:
    Image.fromarray(values).save(path, **more)  # type: ignore[arg-type]
    return path


def test_eight_bits_are_brightness_as_they_are(tmp_path: Path) -> None:
    assert np.allclose(raster(saved(tmp_path / "a.png", STEPS)), STEPS / 255)


def test_deep_images_use_their_whole_range(tmp_path: Path) -> None:
    values = raster(saved(tmp_path / "a.png", STEPS.astype(np.uint16) * 10 + 700))
    assert values.min() == 0
    assert values.max() == 1
    assert raster(saved(tmp_path / "b.tif", np.full((3, 3), 900, np.uint16))).max() == 0


def test_colour_becomes_luminance_or_stays(tmp_path: Path) -> None:
    green = saved(tmp_path / "a.png", np.full((4, 5, 3), (0, 255, 0), np.uint8))
    assert raster(green)[0, 0] == pytest.approx(0.587, abs=0.002)
    assert raster(green, COLOUR)[0, 0].tolist() == [0, 1, 0]
    assert raster(saved(tmp_path / "b.png", STEPS), COLOUR).shape == (6, 8, 3)


def test_the_camera_s_orientation_is_obeyed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert raster(saved(tmp_path / "a.jpg", STEPS, exif=exif)).shape == (8, 6)


@pytest.mark.parametrize(
    ("content", "wanted", "reason"),
    [(b"", GREY, "not_decoded"), (b"\x89PNG\r\n\x1a\nrest", GREY, "not_decoded"), (None, UNITS, "no_units")],
)
def test_bad_rasters_have_a_reason(
    tmp_path: Path, content: bytes | None, wanted: ImageInput, reason: str
) -> None:
    path = saved(tmp_path / "a.png", STEPS)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaseError, match=reason):
        raster(path, wanted)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_service.evaluation.reading.MAX_FRAME_PIXELS", 47)
    with pytest.raises(CaseError, match="too_large"):
        raster(saved(tmp_path / "a.png", STEPS))


def test_dicom_is_read_as_in_the_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(encode(header(PixelSpacing=[0.5, 0.25])))
    source = load(Case("a.dcm", Kind.DICOM, (path,)), GREY)
    assert source.shape == (8, 8)
    assert source.spacing_mm == (0.5, 0.25)
    assert source.patient == "MRN-998877"
    path.write_bytes(b"no" * 100)
    with pytest.raises(QuarantineError, match="not_dicom"):
        load(Case("a.dcm", Kind.DICOM, (path,)), GREY)


@pytest.mark.parametrize(("frames", "means"), [("first", [0]), ("middle", [500]), ("all", [0, 500, 1000])])
def test_the_model_chooses_its_frames(tmp_path: Path, frames: str, means: list[float]) -> None:
    path = tmp_path / "a.dcm"
    pixels = b"".join(np.full((8, 8), value, "<u2").tobytes() for value in (0, 500, 1000))
    path.write_bytes(encode(header(NumberOfFrames=3), pixels=pixels))
    wanted = UNITS.model_copy(update={"frames": frames})
    assert [float(each.mean()) for each in load(Case("a", Kind.DICOM, (path,)), wanted).inputs] == means  # type: ignore[union-attr]


def series(folder: Path, positions: list[float], **more: object) -> Case:
    files = []
    for number, position in enumerate(positions):
        path = folder / f"{number}.dcm"
        where = {
            "ImagePositionPatient": [10, 20, position],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [2, 3],
            "FrameOfReferenceUID": UID("1.2.9"),
            "SOPInstanceUID": f"1.2.3.{number + 1}",
        }
        path.write_bytes(encode(header(**where | more), pixels=np.full((8, 8), number, "<u2").tobytes()))
        files.append(path)
    return Case("s", Kind.DICOM, tuple(files))


def test_a_series_is_a_volume(tmp_path: Path) -> None:
    source = load(series(tmp_path, [8.0, 4.0, 0.0]), VOLUME)
    (volume,) = source.inputs
    assert isinstance(volume, Volume)
    assert volume.values.mean(axis=(1, 2)).tolist() == [2, 1, 0]
    assert source.spacing_mm == (4, 2, 3)
    anonymous = load(series(tmp_path, [0.0, 4.0], SOPInstanceUID=None, StudyInstanceUID=None), VOLUME)
    assert anonymous.shape == (2, 8, 8)
    with pytest.raises(VolumeError, match="uneven_slice_spacing"):
        load(series(tmp_path, [0.0, 4.0, 9.0]), VOLUME)
    with pytest.raises(TypeError):
        source.image()


def niftied(
    path: Path, values: npt.NDArray[np.generic], affine: npt.NDArray[np.float64] | None = None
) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def test_nifti_becomes_slices_rows_columns_in_dicom_s_space(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    affine = np.array([[2.0, 0, 0, -5], [0, 3, 0, 7], [0, 0, 4, 11], [0, 0, 0, 1]])
    volume = nifti.load(niftied(tmp_path / "a.nii.gz", values, affine))
    assert volume.values.shape == (4, 3, 2)
    assert volume.values[3, 2, 1] == values[1, 2, 3]
    assert volume.spacing_mm == (4, 3, 2)
    # Right, anterior, superior of voxel (1, 2, 3) is (-3, 13, 23).
    assert (volume.affine @ [3, 2, 1, 1])[:3].tolist() == [3, -13, 23]


def test_label_maps_go_back_onto_the_file_s_grid(tmp_path: Path) -> None:
    affine = np.array([[0, 2.0, 0, -5], [-3, 0, 0, 7], [0, 0.5, 4, 11], [0, 0, 0, 1]])
    path = niftied(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.float32), affine)
    volume = nifti.load(path)
    labels = np.arange(24, dtype=np.uint8).reshape(volume.values.shape)
    nifti.save(tmp_path / "new" / "b.nii.gz", labels, volume.affine)
    back = nibabel.load(tmp_path / "new" / "b.nii.gz")
    assert np.allclose(back.affine, affine)  # type: ignore[attr-defined]
    assert np.array_equal(np.asarray(back.dataobj).T, labels)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((2, 2, 2, 3), np.float32), "not_three_dimensional"),
        (np.zeros((2, 2), np.float32), "not_three_dimensional"),
        (np.full((2, 2, 2), np.nan, np.float32), "not_finite"),
    ],
)
def test_bad_nifti_has_a_reason(tmp_path: Path, values: npt.NDArray[np.float32], reason: str) -> None:
    with pytest.raises(CaseError, match=reason):
        nifti.load(niftied(tmp_path / "a.nii", values))


def test_nifti_without_a_geometry_is_refused(tmp_path: Path) -> None:
    described = nibabel.Nifti1Header()
    described["sform_code"] = 1  # with a matrix of zeros
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), None, described), tmp_path / "a.nii")
    with pytest.raises(CaseError, match="no_geometry"):
        nifti.load(tmp_path / "a.nii")


def test_what_is_no_nifti_is_told(tmp_path: Path) -> None:
    path = niftied(tmp_path / "a.nii.gz", np.zeros((9, 9, 9), np.float32))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CaseError, match="not_decoded"):
        nifti.load(path)
    assert nifti.load(niftied(tmp_path / "b.nii", np.zeros((2, 3, 4, 1), np.float32))).values.shape == (
        4,
        3,
        2,
    )


def test_a_mask_of_one_segment_is_what_is_bright(tmp_path: Path) -> None:
    bright = np.zeros((16, 16), np.uint8)
    bright[4:8, 4:12] = 1
    source = Source((np.zeros((16, 16), np.float32),))
    for path in (
        saved(tmp_path / "one.png", bright),
        saved(tmp_path / "white.png", bright * 255),
        saved(tmp_path / "noisy.jpg", bright * 255, quality=95),
        saved(tmp_path / "bits.png", bright.astype(bool)),
    ):
        assert np.array_equal(load_mask(path, source, 1), bright), path.name
    assert not load_mask(saved(tmp_path / "empty.png", bright * 0), source, 1).any()


def test_a_mask_of_several_segments_has_their_numbers(tmp_path: Path) -> None:
    values = (np.arange(16) % 4).astype(np.uint8).reshape(4, 4)
    source = Source((np.zeros((4, 4), np.float32),))
    assert np.array_equal(load_mask(saved(tmp_path / "a.png", values), source, 3), values)
    for path in (saved(tmp_path / "a.png", values), saved(tmp_path / "c.png", np.zeros((4, 4, 3), np.uint8))):
        with pytest.raises(CaseError, match="mask_values"):
            load_mask(path, source, 2)


def test_masks_that_are_no_use(tmp_path: Path) -> None:
    source = Source((np.zeros((4, 5), np.float32),))
    with pytest.raises(CaseError, match="mask_missing"):
        load_mask(tmp_path / "gone.png", source, 1)
    with pytest.raises(CaseError, match="mask_does_not_fit"):
        load_mask(saved(tmp_path / "a.png", np.zeros((5, 4), np.uint8)), source, 1)
    (tmp_path / "b.png").write_bytes(b"x")
    with pytest.raises(CaseError, match="mask_not_read"):
        load_mask(tmp_path / "b.png", source, 1)


VALUES = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4) % 3
OBLIQUE = np.array([[0.1, 0.2, 2.0, 5], [0.0, 3.0, -0.1, -9], [4.0, 0.0, 0.3, 1], [0, 0, 0, 1]])


@given(axes=st.permutations([0, 1, 2]), turned=st.lists(st.booleans(), min_size=3, max_size=3))
@settings(max_examples=48, deadline=None)
def test_a_mask_in_any_order_and_direction_of_axes_fits(
    tmp_path_factory: pytest.TempPathFactory, axes: list[int], turned: list[bool]
) -> None:
    """A converter may have stored the same voxels in another order: they are the same voxels in space."""
    volume = Volume(VALUES, OBLIQUE, tuple(SourceFrame("", i) for i in (1, 2)))
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for new, (old, back) in enumerate(zip(axes, turned, strict=True)):
        step[old, new] = -1 if back else 1
        step[old, 3] = VALUES.shape[old] - 1 if back else 0
    flips = tuple(slice(None, None, -1) if back else slice(None) for back in turned)
    path = tmp_path_factory.mktemp("mask") / "m.nii"
    nifti.save(path, VALUES.transpose(axes)[flips].astype(np.uint8), OBLIQUE @ step)
    assert np.array_equal(load_mask(path, Source((volume,)), 2), VALUES)


@pytest.mark.parametrize("moved", [0.5, 1.0])
def test_a_mask_of_another_place_does_not_fit(tmp_path: Path, moved: float) -> None:
    volume = Volume(VALUES, np.eye(4), (SourceFrame("", 1), SourceFrame("", 2)))
    there = np.eye(4)
    there[0, 3] = moved
    nifti.save(tmp_path / "m.nii", VALUES.astype(np.uint8), there)
    with pytest.raises(CaseError, match="mask_does_not_fit"):
        load_mask(tmp_path / "m.nii", Source((volume,)), 2)
    (tmp_path / "m.nii").write_bytes(b"x")
    with pytest.raises(CaseError, match="mask_not_read"):
        load_mask(tmp_path / "m.nii", Source((volume,)), 2)


def test_one_segment_may_have_any_one_value_in_nifti(tmp_path: Path) -> None:
    volume = Volume(VALUES, np.eye(4), (SourceFrame("", 1), SourceFrame("", 2)))
    nifti.save(tmp_path / "m.nii", ((VALUES == 2) * 7).astype(np.uint8), np.eye(4))
    assert np.array_equal(load_mask(tmp_path / "m.nii", Source((volume,)), 1), VALUES == 2)
    nifti.save(tmp_path / "m.nii", VALUES.astype(np.uint8), np.eye(4))
    with pytest.raises(CaseError, match="mask_values"):
        load_mask(tmp_path / "m.nii", Source((volume,)), 1)
