import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_service.evaluation.cases import Found, Kind, discover, fold
from model_service.evaluation.reasons import EvaluationError
from tests.support.dicoms import encode, header


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
    return path


def dicom(path: Path, series: str, instance: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(header(SeriesInstanceUID=f"1.2.{series}", SOPInstanceUID=f"1.2.3.{instance}")))
    return path


def images(data: Path, labels: Path | None = None, positive: tuple[str, ...] = ()) -> Found:
    return discover(data, volumes=False, labels=labels, positive=positive, classes=("Chest CT",))


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_without_labels_every_image_is_a_case(tmp_path: Path) -> None:
    png(tmp_path / "b" / "2.png")
    png(tmp_path / "a.png")
    dicom(tmp_path / "no_suffix", "1", 1)
    png(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "v.nii.gz").write_bytes(b"")
    found = images(tmp_path)
    assert [(case.name, case.kind) for case in found.cases] == [
        ("a.png", Kind.RASTER),
        ("b/2.png", Kind.RASTER),
        ("no_suffix", Kind.DICOM),
    ]
    assert sorted(found.refused) == [("notes.txt", "not_an_image"), ("v.nii.gz", "wrong_kind")]
    assert found.labels_from == "none"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    secret = png(tmp_path / "elsewhere" / "x.png")
    png(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "link.png").symlink_to(secret)
    assert images(tmp_path / "data").refused == (("link.png", "link_outside"),)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    assert images(tmp_path).refused == (("secret", "not_readable"),)


def test_class_folders_are_labels_where_a_name_is_known(tmp_path: Path) -> None:
    png(tmp_path / "chest_ct" / "1.png")
    png(tmp_path / "other" / "2.png")
    png(tmp_path / "3.png")
    found = images(tmp_path)
    assert {case.name: case.label for case in found.cases} == {
        "chest_ct/1.png": "chest_ct",
        "other/2.png": "other",
        "3.png": None,
    }
    assert found.labels_from == "class_folders"


def test_positive_names_a_class_folder(tmp_path: Path) -> None:
    png(tmp_path / "SICK" / "1.png")
    assert images(tmp_path).labels_from == "none"
    assert images(tmp_path, positive=("sick",)).cases[0].label == "SICK"


def test_images_and_labels_pair_by_name_whatever_the_suffix(tmp_path: Path) -> None:
    for name in (
        "images/a.png",
        "images/p/b.png",
        "images/alone.png",
        "labels/a.tif",
        "labels/p/b.png",
        "labels/x.png",
    ):
        png(tmp_path / name)
    found = images(tmp_path)
    assert [(case.name, case.mask) for case in found.cases] == [
        ("images/a.png", tmp_path / "labels/a.tif"),
        ("images/p/b.png", tmp_path / "labels/p/b.png"),
    ]
    assert sorted(found.refused) == [("images/alone.png", "mask_missing"), ("labels/x.png", "missing")]


def test_the_csv_chooses_and_tells(tmp_path: Path) -> None:
    png(tmp_path / "a.png")
    png(tmp_path / "mask.png")
    png(tmp_path / "other.png")
    (tmp_path / "broken.dcm").write_bytes(b"no")
    labels = csv(
        tmp_path,
        "\ufefffile, label ,mask,patient,scanner",
        "./a.png,sick,mask.png,p1,A",
        "gone.png,sick,,,",
        "broken.dcm,sick,,,",
    )
    found = images(tmp_path, labels)
    (case,) = found.cases
    assert (case.label, case.mask, case.patient, case.groups) == (
        "sick",
        tmp_path / "mask.png",
        "p1",
        {"scanner": "A"},
    )
    assert found.refused == (("gone.png", "missing"), ("broken.dcm", "not_an_image"))
    assert found.passed_over == 1  # other.png; the mask is no case


def test_boxes_are_rows_of_one_file(tmp_path: Path) -> None:
    png(tmp_path / "a.png")
    png(tmp_path / "b.png")
    labels = csv(tmp_path, "file,top,bottom,left,right", "a.png,0,2,0,2", "a.png,2,4,1,3", "b.png,,,,")
    one, two = images(tmp_path, labels).cases
    assert one.boxes == ((0, 2, 0, 2), (2, 4, 1, 3))
    assert two.boxes == ()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["name", "a.png"], "no column `file`"),
        (["file,label", "a.png,1", "a.png,0"], "line 3 of the labels: a file is named twice"),
        (["file,label", "a.png,1", "./a.png,0"], "named twice"),
        (
            ["file,top,bottom,left,right", "a.png,1,x,1,2"],
            "line 2 of the labels: a box is four whole numbers",
        ),
        (["file,top,bottom,left,right", "a.png,3,1,1,2"], "line 2 of the labels: a box is top < bottom"),
    ],
)
def test_a_bad_csv_says_where(tmp_path: Path, lines: list[str], told: str) -> None:
    png(tmp_path / "a.png")
    with pytest.raises(EvaluationError, match=told):
        images(tmp_path, csv(tmp_path, *lines))


def test_a_csv_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"file\n\xff\xfe")
    with pytest.raises(EvaluationError, match="cannot be read"):
        images(tmp_path, tmp_path / "labels.csv")
    with pytest.raises(EvaluationError, match="cannot be read"):
        images(tmp_path, tmp_path / "gone.csv")


def test_a_volume_is_a_series(tmp_path: Path) -> None:
    for number in range(3):
        dicom(tmp_path / "study" / "s1" / f"{number}.dcm", "1", number)
        dicom(tmp_path / "mixed" / f"a{number}.dcm", "2", 10 + number)
        dicom(tmp_path / "mixed" / f"b{number}.dcm", "3", 20 + number)
    png(tmp_path / "a.png")
    found = discover(tmp_path, volumes=True, labels=None, positive=(), classes=())
    assert [(case.name, len(case.files)) for case in found.cases] == [
        ("mixed/a0.dcm", 3),
        ("mixed/b0.dcm", 3),
        ("study/s1", 3),
    ]
    assert found.refused == (("a.png", "wrong_kind"),)


def test_files_without_uids_are_a_series_by_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.dcm").write_bytes(encode(header(SeriesInstanceUID=None)))
    (tmp_path / "two" / "broken.dcm").write_bytes(encode(header())[:-100])
    found = discover(tmp_path, volumes=True, labels=None, positive=(), classes=())
    assert [(case.name, len(case.files)) for case in found.cases] == [("one", 2), ("two", 2)]
    assert [name for name, _ in found.refused] == ["two/broken.dcm"]


@pytest.mark.parametrize("row", ["study/s1", "study/s1/1.dcm"])
def test_a_row_may_name_a_series_by_its_folder_or_a_file(tmp_path: Path, row: str) -> None:
    for number in range(3):
        dicom(tmp_path / "study" / "s1" / f"{number}.dcm", "1", number)
    labels = csv(tmp_path, "file,patient", f"{row},p9")
    found = discover(tmp_path, volumes=True, labels=labels, positive=(), classes=())
    assert [(case.name, case.patient) for case in found.cases] == [("study/s1", "p9")]


def test_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="not there"):
        images(tmp_path / "none")


def test_names_are_compared_by_letters_and_digits() -> None:
    assert fold("Head-CT (1)") == fold("head_ct1")
