"""What is found in a folder: series with verdicts, regions with their series and colours, files with reasons."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedSRStorage

from firstread.dicom.guard import Limits
from portal.folder.found import look
from portal.folder.kinds import Folder
from portal.folder.said import said
from portal.folder.words import no_planes, printable, verdict_words
from tests.support.folders import (
    CT,
    PRIOR,
    SEGMENTATION,
    STRUCTURES,
    STUDY,
    TILTED,
    TWICE,
    save,
    write_folder,
    write_series,
)
from tests.support.phantoms import Plane, image, planes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("folder")
    write_folder(path)
    return look(path)


def test_series_come_with_their_verdicts(folder: Folder) -> None:
    (study,) = folder.studies.values()
    assert study.uid == STUDY
    told = {each.uid: (len(each.images), verdict_words(each.volumes)) for each in study.series}
    assert told == {
        CT: (28, "regular"),
        TILTED: (28, "mended: tilt corrected (28)"),
        TWICE: (12, "refused: two slices at one position"),
    }
    whys = [no_planes(each.volumes) for each in study.series]
    assert whys[0] == ""
    assert "tilt corrected" in whys[1]
    assert "two slices at one position" in whys[2]


def test_regions_know_their_series_and_colour(folder: Folder) -> None:
    (study,) = folder.studies.values()
    drawn = {each.row["series_uid"]: each for each in study.drawn}
    assert {uid: each.targets for uid, each in drawn.items()} == {SEGMENTATION: (CT,), STRUCTURES: (CT,)}
    named = {
        uid: [(each.number, each.name, each.colour) for each in one.regions] for uid, one in drawn.items()
    }
    assert named[SEGMENTATION] == [(1, "Box", "#ffc400"), (2, "Small", "#5fd0ff")]
    assert named[STRUCTURES][0] == (1, "Box", "#ff0000")


def test_what_is_left_out_has_its_reason(folder: Folder) -> None:
    assert dict(folder.left_out) == {"broken.dcm": "truncated", "ct/7003.dcm": "duplicate"}
    assert folder.other_files == 1
    lines = list(said(folder, most=1))
    assert lines[:2] == ["study 1", "  CT · Axial: 28 images, regular"]
    assert "  RTSTRUCT: 2 regions on 1 series" in lines
    assert lines[-3:] == [
        "  broken.dcm: truncated",
        "  and 1 more, which the page lists",
        "1 other file",
    ]


def test_a_file_is_a_folder_of_one(tmp_path: Path) -> None:
    save(image(planes()[0], 1), tmp_path / "one.dcm")
    save(image(planes()[1], 2), tmp_path / "other.dcm")
    found = look(tmp_path / "one.dcm")
    (study,) = found.studies.values()
    assert [each["path"] for series in study.series for each in series.images] == ["one.dcm"]
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "none.dcm")


def test_images_stripped_of_their_uids_are_those_of_their_folder(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_series(
            tmp_path / name,
            planes()[:5],
            "2.25.2",
            SOPInstanceUID="",
            SeriesInstanceUID="",
            StudyInstanceUID="",
        )
    found = look(tmp_path)
    assert not found.left_out
    series = [each for study in found.studies.values() for each in study.series]
    assert [len(each.images) for each in series] == [5, 5]
    uids = {each["sop_uid"] for one in series for each in one.images}
    assert len(uids) == 10
    assert all(uid.startswith("2.25.") for uid in uids)
    assert [verdict_words(each.volumes) for each in series] == ["regular", "regular"]
    assert look(tmp_path).studies.keys() == found.studies.keys()


def test_what_is_no_uid_never_becomes_an_address(tmp_path: Path) -> None:
    one = image(planes()[0], 1)
    one.add_new(0x0020000E, "LO", "../../etc/passwd?")  # no UI: pydicom would refuse to write it
    save(one, tmp_path / "one.dcm")
    found = look(tmp_path)
    for study in found.studies.values():
        assert all(each.uid.replace(".", "").isdigit() for each in study.series)


def test_files_beyond_the_limits_are_left_out(tmp_path: Path) -> None:
    one = image(planes()[0], 1)
    one.ReferencedImageSequence = [Dataset() for _ in range(300)]
    save(one, tmp_path / "one.dcm")
    save(image(planes()[1], 2), tmp_path / "other.dcm")
    found = look(tmp_path, Limits(elements=200))
    assert found.left_out == (("one.dcm", "too_many_elements"),)
    assert len(found.studies) == 1


def test_regions_that_name_no_images_are_about_those_in_their_coordinates(tmp_path: Path) -> None:
    written = write_folder(tmp_path)
    for name in ("seg", "rt"):
        path = tmp_path / "masks" / f"{name}.dcm"
        one = dcmread(path)
        if name == "rt":
            del one.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
        else:
            for keyword in ("ReferencedSeriesSequence", "SourceImageSequence"):
                if keyword in one:
                    delattr(one, keyword)
            for group in one.PerFrameFunctionalGroupsSequence:
                del group.DerivationImageSequence
        save(one, path)
    (study,) = look(written.path).studies.values()
    assert {each.targets for each in study.drawn} == {(CT, TILTED, TWICE)}


def test_objects_without_an_image_are_counted_and_studies_stay_apart(tmp_path: Path) -> None:
    write_series(tmp_path / "now", planes()[:4], CT)
    write_series(tmp_path / "before", planes()[:4], "2.25.91", first=7500, StudyInstanceUID=PRIOR)
    report = image(planes()[0], 1)
    report.SOPClassUID, report.SOPInstanceUID, report.Modality = EnhancedSRStorage, "2.25.92", "SR"
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    save(report, tmp_path / "sr.dcm")
    found = look(tmp_path)
    assert set(found.studies) == {STUDY, PRIOR}
    assert found.without_image == 1


def test_planar_images_and_several_volumes_have_no_planes(tmp_path: Path) -> None:
    flat = image(Plane(np.zeros(3)), 1)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
        delattr(flat, keyword)
    save(flat, tmp_path / "flat.dcm")
    ((series,),) = [study.series for study in look(tmp_path).studies.values()]
    assert verdict_words(series.volumes) == "no place in the patient"
    assert no_planes(series.volumes) == "No other planes: no place in the patient."
    several = [{"geometry": "mended", "verdict": '{"done": [{"act": "split", "count": 2}]}'}] * 2
    assert verdict_words(several) == "mended: split (2); 2 volumes"
    assert verdict_words([]) == "not judged"


def test_a_terminal_is_told_no_escape_sequences(tmp_path: Path) -> None:
    assert printable("Axial\x1b[2J\u202e\r") == "Axial?[2J??"
    write_series(tmp_path, planes()[:4], CT, SeriesDescription="Axial\x1b]0;x")
    assert "\x1b" not in "".join(said(look(tmp_path), most=1))
