"""Two patients, the first with a structure set."""

from datetime import datetime
from pathlib import Path

import pydicom
import pytest

from firstread.dicom.silence import quiet
from firstread.imaging.learn import Sample, from_folders, with_labels
from firstread.imaging.masks.mask import Mask
from firstread.imaging.masks.written import to_structures
from firstread.imaging.series import load
from tests.unit.imaging.learn.makers import write


@pytest.fixture(scope="session")
def two_patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for number, patient in enumerate(("Doe", "Roe")):
        write(root / patient, patient, number)
    files = sorted((root / "Doe").iterdir())
    images, volume = [pydicom.dcmread(each) for each in files], load(files)
    with quiet():
        to_structures([Mask("GTV", volume.values > 0)], volume, images, datetime(2026, 1, 1)).save_as(
            root / "rt.dcm", enforce_file_format=True
        )
    return root


@pytest.fixture(scope="session")
def samples(two_patients: Path) -> tuple[Sample, ...]:
    return with_labels(from_folders([two_patients]).samples, {"Doe": 1, "Roe": 0})
