"""A tree becomes tables, in whatever state it is."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from firstread.dicom.silence import quiet
from firstread.imaging.index import Index, IndexingError, Summary, build
from firstread.imaging.index import build as build_function
from firstread.imaging.index.record import Reader
from firstread.imaging.series import load, load_all
from firstread.imaging.verdict import VolumeError
from tests.support.phantoms import image, planes, series
from tests.support.said import SHARED
from tests.unit.imaging.test_geometry import CASES
from tests.unit.imaging.test_mosaics import mosaic

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


def write(folder: Path, images: list[Dataset]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        for number, each in enumerate(images):
            each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{number + 1}")
            each.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder


def other(modality: str, sop_class: str, uid: str, **attributes: object) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = UID(sop_class), UID(uid)
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "2.25.1", uid + ".1", modality
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def item(**attributes: object) -> Dataset:
    made = Dataset()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def save(folder: Path, name: str, dataset: Dataset) -> None:
    folder.mkdir(exist_ok=True)
    with quiet():
        dataset.save_as(folder / name, enforce_file_format=True)


def judged(folder: Path) -> list[object]:
    try:
        return [each.verdict.to_json() for each in load_all(folder)]
    except VolumeError as error:
        return [error.reason.value]


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_is_that_of_load(case: str, tmp_path: Path) -> None:
    made: Callable[[], list[Dataset]] = CASES[case][0]
    folder = write(tmp_path / "in", made())
    build(folder, tmp_path / "out")
    rows = Index.open(tmp_path / "out").query("SELECT * FROM volumes ORDER BY number").to_pylist()
    assert [json.loads(row["verdict"]) if row["verdict"] else row["reason"] for row in rows] == judged(folder)


@pytest.mark.parametrize("kind", ["one", "two times", "says nothing"])
def test_the_verdict_on_mosaics_is_that_of_load(kind: str, tmp_path: Path) -> None:
    made: list[Dataset] = [mosaic(1), mosaic(2)] if kind == "two times" else [mosaic()]
    if kind == "says nothing":
        del made[0].SpacingBetweenSlices
    folder = write(tmp_path / "in", made)
    build(folder, tmp_path / "out")
    (row,) = Index.open(tmp_path / "out").query("SELECT * FROM volumes").to_pylist()
    assert [json.loads(row["verdict"]) if row["verdict"] else row["reason"]] == judged(folder)
    assert kind == "says nothing" or (row["slices"], row["rows"], row["columns"]) == (28, 48, 64)


def test_the_samples_of_pydicom(tmp_path: Path) -> None:
    found = build(SAMPLES, tmp_path)
    assert found.files == sum(1 for each in SAMPLES.rglob("*") if each.is_file())
    assert found.left_out["truncated"] == 2
    assert found.left_out["dicomdir"] >= 5
    index = Index.open(tmp_path)
    assert index.series("modality = 'CT' AND list_contains(body_parts, 'HEAD')") or index.series()
    ((name,),) = (list(row.values()) for row in index.query("SELECT name FROM rois LIMIT 1").to_pylist())
    assert name == "Liver"
    assert index.query("SELECT count(*) AS n FROM studies").to_pylist() == [{"n": found.studies}]


def test_columns_and_paths(tmp_path: Path) -> None:
    made = series()
    for each in made:
        each.add(pydicom.DataElement("PatientAge", "AS", "47", validation_mode=pydicom.config.IGNORE))
        each.PatientSex, each.KVP, each.BodyPartExamined = "F", "120", "CHESTABD"
    folder = write(tmp_path / "in" / "a'b*[c]", made)
    found = build(tmp_path / "in", tmp_path / "out'[x]")
    assert found == Summary(28, 28, 0, 28, 1, 1, 1, {"regular": 1})
    index = Index.open(tmp_path / "out'[x]")
    (row,) = index.series("patient_age_years > ? AND kvp = 120", [40])
    assert (row["patient_age_years"], row["patient_age_raw"], row["patient_sex"]) == (47.0, "47", "F")
    assert (row["body_parts"], row["body_part_raw"]) == (["CHEST", "ABDOMEN"], "CHESTABD")
    assert (row["slice_spacing_mm"], row["row_spacing_mm"], row["geometry"]) == (3.0, 2.0, "regular")
    assert index.paths(row["series_uid"]) == sorted(folder.iterdir())
    assert index.series("patient_age_years > 60") == []


def test_what_differs_within_a_series_is_named(tmp_path: Path) -> None:
    made = series()
    made[3].ConvolutionKernel = "B30f"
    build(write(tmp_path / "in", made), tmp_path / "out")
    (row,) = Index.open(tmp_path / "out").series()
    assert row["convolution_kernel"] is None
    assert row["differing"] == ["convolution_kernel"]


def test_references(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", series()[:5])
    series_item = item(SeriesInstanceUID="2.25.2")
    study_item = item(RTReferencedSeriesSequence=[series_item])
    frame = item(FrameOfReferenceUID="2.25.3", RTReferencedStudySequence=[study_item])
    rt = "1.2.840.10008.5.1.4.1.1.481."
    structures = other("RTSTRUCT", f"{rt}3", "2.25.50", ReferencedFrameOfReferenceSequence=[frame])
    structures.StructureSetROISequence = [item(ROINumber=7, ROIName="GTV", ROIGenerationAlgorithm="MANUAL")]
    structures.ROIContourSequence = [item(ReferencedROINumber=7, ContourSequence=[Dataset(), Dataset()])]
    save(folder, "s.dcm", structures)
    dose = other("RTDOSE", f"{rt}2", "2.25.51", FrameOfReferenceUID="2.25.3")
    dose.ReferencedRTPlanSequence = [item(ReferencedSOPInstanceUID="2.25.99")]
    dose.ReferencedStructureSetSequence = [item(ReferencedSOPInstanceUID="2.25.50")]
    save(folder, "d.dcm", dose)
    images = [item(ReferencedSOPInstanceUID=f"2.25.{each}") for each in (1, 2, 3, 77)]
    segments = other("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "2.25.52", SourceImageSequence=images)
    segments.SegmentSequence = [item(SegmentNumber=1, SegmentLabel="liver")]
    save(folder, "g.dcm", segments)
    for number in (1, 2):
        pet = other("PT", "1.2.840.10008.5.1.4.1.1.128", f"2.25.6{number}", FrameOfReferenceUID="2.25.3")
        pet.SeriesInstanceUID = "2.25.60"
        save(folder, f"p{number}.dcm", pet)
    found = build(folder, tmp_path / "out")
    index = Index.open(tmp_path / "out")
    sql = "SELECT modality, kind, target_uid, target_series_uid, count, is_resolved FROM links ORDER BY ALL"
    assert [tuple(row.values()) for row in index.query(sql).to_pylist()] == [
        ("PT", "frame_of_reference", "2.25.3", "2.25.2", 2, True),
        ("RTDOSE", "frame_of_reference", "2.25.3", "2.25.2", 1, True),
        ("RTDOSE", "plan", "2.25.99", None, 1, False),
        ("RTDOSE", "structure_set", None, "2.25.50.1", 1, True),
        ("RTSTRUCT", "frame_of_reference", "2.25.3", "2.25.2", 1, True),
        ("RTSTRUCT", "source_images", "2.25.2", "2.25.2", 1, True),
        ("SEG", "source_images", "2.25.77", None, 1, False),
        ("SEG", "source_images", None, "2.25.2", 3, True),
    ]
    assert found.unresolved == 2
    rois = index.query("SELECT modality, number, name, contours FROM rois ORDER BY ALL").to_pylist()
    assert [tuple(row.values()) for row in rois] == [("RTSTRUCT", 7, "GTV", 2), ("SEG", 1, "liver", None)]


def test_copies_are_told_from_conflicts(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", series())
    shutil.copy(folder / "003.dcm", folder / "copy.dcm")
    changed = image(planes()[4], 5)
    changed.SOPInstanceUID, changed.PixelData = "2.25.5", bytes(len(changed.PixelData))
    save(folder, "other.dcm", changed)
    found = build(folder, tmp_path / "out")
    assert (found.instances, found.duplicates, found.conflicting) == (28, 2, 1)
    sql = "SELECT path, duplicate_of, same_bytes FROM files WHERE outcome = 'duplicate' ORDER BY path"
    assert [tuple(row.values()) for row in Index.open(tmp_path / "out").query(sql).to_pylist()] == [
        ("copy.dcm", "003.dcm", True),
        ("other.dcm", "004.dcm", False),
    ]
    (folder / "003.dcm").unlink()
    assert build(folder, tmp_path / "out").instances == 28


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    folder, out = write(tmp_path / "in", series()), tmp_path / "out"
    first = build(folder, out)
    before = Index.open(out).query("SELECT * FROM volumes").to_pylist()
    assert build(folder, out).read == 0
    assert Index.open(out).query("SELECT * FROM volumes").to_pylist() == before
    os.utime(folder / "003.dcm", (1, 1))
    (folder / "020.dcm").unlink()
    again = build(folder, out)
    assert (first.read, again.read, again.files) == (28, 1, 27)
    assert again.geometry == {"mended": 1}


def test_killed_in_the_middle_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = write(tmp_path / "in", series()), tmp_path / "out"
    read = Reader.row

    def until_the_tenth(self: Reader, path: Path | str, size: int) -> dict[str, Any]:
        if str(path).endswith("010.dcm"):
            raise KeyboardInterrupt
        return read(self, path, size)

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "row", until_the_tenth)
        with pytest.raises(KeyboardInterrupt):
            build(folder, out)
    with pytest.raises(IndexingError, match="not ended"):
        Index.open(out)
    with pytest.raises(IndexingError, match="another folder"):
        build(tmp_path, out)
    assert build(folder, out).read == 18
    assert not list((out / "parts").iterdir())


def test_files_that_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path / "in", series()[:2])
    (folder / "empty").touch()
    (folder / "notes.txt").write_text("Quimby^Louis was here", encoding="utf-8")
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder)
    whole = (folder / "000.dcm").read_bytes()
    (folder / "cut").write_bytes(whole[:-100])
    (folder / "broken").write_bytes(whole[:132] + b"\xff" * 500)
    no_uid = other("RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3", "2.25.70")
    del no_uid.SeriesInstanceUID
    save(folder, "no_uid", no_uid)
    with caplog.at_level(logging.DEBUG):
        found = build(folder, folder / "index")
        again = build(folder, folder / "index")
    assert found.left_out == {
        "empty": 1,
        "missing_uid": 1,
        "not_dicom": 1,
        "not_opened": 1,
        "truncated": 1,
        "unreadable": 1,
    }
    assert (found.instances, again.files, again.read) == (2, found.files, 0)
    assert not caplog.records


def without_uids(folder: Path, modality: str = "CT") -> None:
    made = series()[:4]
    for each in made:
        each.StudyInstanceUID, each.SeriesInstanceUID, each.Modality = "", "", modality
    write(folder, made)
    for path in folder.iterdir():
        found = pydicom.dcmread(path)
        found.SOPInstanceUID = ""
        found.save_as(folder / f"{modality}-{path.name}")
        path.unlink()


def test_images_without_uids_are_series_by_folder_and_say_so(tmp_path: Path) -> None:
    write(tmp_path / "in" / "whole", series()[:4])
    without_uids(tmp_path / "in" / "one")
    shutil.copytree(tmp_path / "in" / "one", tmp_path / "in" / "two")
    without_uids(tmp_path / "in" / "three", "MR")
    shutil.copytree(tmp_path / "in" / "one", tmp_path / "in" / "three", dirs_exist_ok=True)
    found = build(tmp_path / "in", tmp_path / "out")
    assert (found.instances, found.series, found.derived, found.left_out) == (20, 5, 16, {})
    assert found.geometry == {"regular": 5}
    index = Index.open(tmp_path / "out")
    rows = index.series("derived_uids = ['study_uid', 'series_uid', 'sop_uid']")
    told = sorted((row["modality"], index.paths(row["series_uid"])[0].parent.name) for row in rows)
    assert told == [("CT", "one"), ("CT", "three"), ("CT", "two"), ("MR", "three")]
    assert all(UID(row["series_uid"]).is_valid for row in rows)
    assert [row["derived_uids"] for row in index.series("series_uid = '2.25.2'")] == [[]]
    again = build(tmp_path / "in", tmp_path / "other")
    assert again == found
    assert Index.open(tmp_path / "other").series() == index.series()


def test_of_an_image_with_a_series_the_others_are_derived(tmp_path: Path) -> None:
    for number, folder in enumerate("ab"):
        one = image(planes()[number], number)
        one.StudyInstanceUID = ""
        save(tmp_path / folder, "1.dcm", one)
    assert build(tmp_path, tmp_path / "out").series == 1
    (row,) = Index.open(tmp_path / "out").series()
    assert (row["series_uid"], row["instances"], row["derived_uids"]) == ("2.25.2", 2, ["study_uid"])


def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", series()[:2])
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dcm"))).write_bytes(b"x")
    assert build(folder, tmp_path / "out").left_out == {"not_opened": 1}


def test_wrong_folders(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", series()[:2])
    with pytest.raises(IndexingError, match="no such folder"):
        build(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(IndexingError, match="something else"):
        build_function(folder, folder)
    build(folder, tmp_path / "out")
    with pytest.raises(IndexingError, match="another folder"):
        build(tmp_path, tmp_path / "out")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_real_series_are_judged_as_they_are_loaded(tmp_path: Path) -> None:
    build(SHARED / "mr-brain-dicom", tmp_path)
    index = Index.open(tmp_path)
    assert index.series("geometry IS NOT NULL")
    for row in index.series("geometry IS NOT NULL"):
        sql = "SELECT verdict FROM volumes WHERE series_uid = ? ORDER BY number"
        told = [json.loads(each["verdict"]) for each in index.query(sql, [row["series_uid"]]).to_pylist()]
        assert told == [each.verdict.to_json() for each in load_all(index.paths(row["series_uid"]))]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_a_real_series_without_uids_is_one_by_its_folder(tmp_path: Path) -> None:
    found = build(SHARED / "ct-torso", tmp_path)
    assert (found.instances, found.derived, found.series, found.geometry) == (20, 20, 1, {"regular": 1})
    index = Index.open(tmp_path)
    (row,) = index.series("len(derived_uids) > 0")
    assert load(index.paths(row["series_uid"])).values.shape == (20, 512, 512)
