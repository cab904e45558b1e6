"""Recipes of the package `deid` as a site's own rules."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileDataset

from firstread.deid import Profile, rules
from firstread.deid.engine import clean_header, write
from firstread.deid.recipe import RecipeError, read_recipe
from firstread.deid.rules import Action
from firstread.dicom import read
from tests.support.dicoms import encode, header
from tests.support.vaults import memory_vault

pytest.importorskip("deid.config", reason="the package deid is not installed")

RECIPE = """FORMAT dicom

%fields names
FIELD contains:Physician

%header
REMOVE fields:names
BLANK SeriesDescription
KEEP (0018,1400)
JITTER StudyDate 31
REPLACE InstitutionName Our Hospital
REMOVE endswith:Comments
REMOVE contains:UID
"""


def recipe(folder: Path, text: str) -> Path:
    path = folder / "deid.site"
    path.write_text(text)
    return path


def cleaned(path: Path, **values: object) -> FileDataset:
    chosen = rules(Profile.LONGITUDINAL.options, overlay=read_recipe(path))
    target = io.BytesIO()
    with read(io.BytesIO(encode(header(**values)))) as file:
        write(clean_header(file, memory_vault(), chosen), file, target)
    target.seek(0)
    return pydicom.dcmread(target)


def test_a_recipe_is_laid_over_the_profile(tmp_path: Path) -> None:
    after = cleaned(
        recipe(tmp_path, RECIPE),
        SeriesDescription="AX THIN",
        ImageComments="6 mm nodule",
        AcquisitionDeviceProcessingDescription="CHEST Quimby",
        InstitutionName="St. Elsewhere",
        PatientName="Quimby^Louis",
        StudyDate="20240318",
    )
    assert after.SeriesDescription == ""
    assert "ImageComments" not in after and "ReferringPhysicianName" not in after
    assert after.AcquisitionDeviceProcessingDescription == "CHEST"  # kept, and swept
    assert after.InstitutionName == "Our Hospital"
    assert after.StudyDate not in ("", "20240318")


def test_no_recipe_takes_away_what_every_object_needs(tmp_path: Path) -> None:
    after = cleaned(recipe(tmp_path, RECIPE))
    assert after.SOPInstanceUID and after.StudyInstanceUID and after.SeriesInstanceUID
    assert after.PatientIdentityRemoved == "YES"
    everything = cleaned(
        recipe(tmp_path, "FORMAT dicom\n\n%header\nREMOVE PatientIdentityRemoved\nREMOVE PatientID\n")
    )
    assert everything.PatientIdentityRemoved == "YES" and everything.PatientID


def test_what_a_recipe_keeps_is_never_more_than_a_sweep_leaves(tmp_path: Path) -> None:
    overlay = read_recipe(recipe(tmp_path, "FORMAT dicom\n\n%header\nKEEP ALL\n"))
    chosen = rules(Profile.SAFE_HARBOR_STRICT.options, overlay=overlay)
    for keyword, action in {
        "ReferringPhysicianName": Action.EMPTY,
        "AccessionNumber": Action.SWEEP,
        "StudyDate": Action.EMPTY,
        "FrameOfReferenceUID": Action.UID,
        "RequestAttributesSequence": Action.RECURSE,
    }.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        assert chosen.action(tag, dictionary_VR(tag)) is action, keyword
    assert chosen.action(0x00091001, "LO") is Action.REMOVE
    after = cleaned(tmp_path / "deid.site", AccessionNumber="ACC4711", PatientName="Quimby")
    assert after.AccessionNumber == ""


def test_a_recipe_moves_no_dates_where_the_profile_leaves_none(tmp_path: Path) -> None:
    overlay = read_recipe(recipe(tmp_path, "FORMAT dicom\n\n%header\nJITTER StudyDate 5\n"))
    assert rules(Profile.SAFE_HARBOR_STRICT.options, overlay=overlay).action(0x00080020, "DA") is Action.EMPTY
    assert rules(Profile.LONGITUDINAL.options, overlay=overlay).action(0x00080020, "DA") is Action.SHIFT


@pytest.mark.parametrize(
    "line",
    [
        "REPLACE PatientComments var:name",
        "ADD PatientComments func:f",
        "REMOVE NoSuchField",
        "FORGET StudyDate",
        "REMOVE contains:(",
        "ADD (0009,1001) anything",
        "ADD Rows five",
        "ADD OtherPatientIDsSequence anything",
        "REPLACE TransferSyntaxUID 1.2.3",
    ],
)
def test_what_is_not_supported_is_an_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(RecipeError):
        read_recipe(recipe(tmp_path, f"FORMAT dicom\n\n%header\n{line}\n"))


def test_what_is_no_recipe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        read_recipe(recipe(tmp_path, "hello"))
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "nowhere")
