from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from model_service.training.config import DataConfig, SourceConfig
from model_service.training.simulate import as_magnetic_resonance, draw
from model_service.training.sources import Pixels, read_source
from model_service.training.split import Sample
from tests.support.dicoms import encode, header


def _read(root: Path, colour: bool = False, **source: object) -> list[tuple[Sample, Pixels]]:
    settings = SourceConfig.model_validate({"name": "x", "label": "b", "files": "*"} | source)
    data = DataConfig(
        classes=("a", "b"),
        sources=(settings,),
        side=32,
        colour=colour,
        duplicate_distance=0,
        link_distance=0,
        validation_fraction=0.2,
        test_fraction=0.2,
    )
    return list(read_source(root, settings, data))


def test_pictures_are_squashed_and_keep_colour_only_if_asked(tmp_path: Path) -> None:
    Image.new("RGB", (50, 20), (200, 10, 10)).save(tmp_path / "red.png")
    ((sample, grey),) = _read(tmp_path)
    ((_, colour),) = _read(tmp_path, colour=True)
    assert grey.shape == (32, 32)
    assert colour.shape == (32, 32, 3)
    assert colour[5, 5].tolist() == [200, 10, 10]
    assert (sample.label, sample.source, sample.use) == (1, "x", "split")
    assert sample.patient == f"{tmp_path.name}/red"


def test_limit_spreads_over_the_names(tmp_path: Path) -> None:
    for number in range(9):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    assert [sample.path.name for sample, _ in _read(tmp_path, limit=3)] == ["0.png", "3.png", "6.png"]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    values = np.full((20, 24, 10), -1000, np.float32)
    values[4:16, 4:20, 1:9] = 40
    values[8:12, 8:12, 3:6] = 800
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "ct.nii.gz")
    return tmp_path


def test_slices_of_a_volume_are_windowed_and_empty_ones_left_out(volume: Path) -> None:
    found = _read(volume, reader="nifti", windows=[[40, 400], [400, 2000]])
    assert len(found) == 8 * 2  # the first and last slice hold air only, in both windows
    assert len({sample.sha256 for sample, _ in found}) == len(found)
    assert {sample.patient for sample, _ in found} == {f"{volume.name}/ct.nii"}
    narrow, wide = (pixels for _, pixels in found[6:8])
    assert narrow.max() == 255
    assert abs(int(narrow[16, 8]) - 127) < 3
    assert abs(int(wide[16, 8]) - 81) < 3


def test_slices_are_taken_along_the_axes_and_between_the_shares_asked_for(volume: Path) -> None:
    assert len(_read(volume, reader="nifti", axes=[0, 1], between=[0.4, 0.6])) == 4 + 4
    assert len(_read(volume, reader="nifti", axes=[2], between=[0.2, 0.8], limit=3)) == 3


def test_dicom_images_are_read_as_the_pipeline_shows_them(tmp_path: Path) -> None:
    for name, photometric in (("plain.dcm", "MONOCHROME2"), ("negative.dcm", "MONOCHROME1")):
        (tmp_path / name).write_bytes(encode(header(PhotometricInterpretation=photometric)))
    (_, negative), (_, plain) = _read(tmp_path, reader="dicom", one_patient=True)
    assert plain[0, 0] < plain[-1, -1]
    assert negative[0, 0] > negative[-1, -1]
    assert {sample.patient for sample, _ in _read(tmp_path, reader="dicom", one_patient=True)} == {"x"}


def test_files_of_an_installed_package_are_found() -> None:
    found = _read(Path(), reader="dicom", package="pydicom", files="data/test_files/MR_small.dcm")
    assert len(found) == 1
    with pytest.raises(FileNotFoundError, match="package"):
        _read(Path(), package="no_such_package")


@pytest.mark.parametrize(
    "wrong",
    [{"patient": "no group"}, {"files": ""}, {"reader": "pickle"}, {"use": "maybe"}, {"axes": [3]}],
)
def test_source_is_validated(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SourceConfig.model_validate({"name": "x", "label": "b", "files": "*"} | wrong)


def test_drawings_repeat_by_seed_and_differ() -> None:
    first, again = (draw(np.random.default_rng(3)).tobytes() for _ in range(2))
    assert first == again
    assert len({draw(np.random.default_rng(seed)).tobytes() for seed in range(40)}) == 40


def test_bone_gets_dark_and_skin_bright_in_a_recomputed_head() -> None:
    row, column = np.mgrid[0:64, 0:64]
    radius = np.hypot(row - 32, column - 32)
    head = np.select([radius < 20, radius < 24, radius < 28], [110, 255, 100], 20).astype(np.uint8)
    for seed in range(5):
        shown = np.asarray(as_magnetic_resonance(Image.fromarray(head), np.random.default_rng(seed)))
        bone, skin, brain, air = shown[32, 54], shown[32, 58], shown[32, 32], shown[2, 2]
        assert bone < skin
        assert bone < brain
        assert air < 10
