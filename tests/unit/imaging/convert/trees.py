"""Trees of phantoms on a disk."""

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset

from firstread.dicom.silence import quiet

PLANTED = {
    "PatientName": "Zyxwvut^Quentin",
    "PatientID": "MRN90817263",
    "PatientBirthDate": "19470312",
    "AccessionNumber": "ACC5566778899",
    "InstitutionName": "Saint Hedgehog Infirmary",
    "ReferringPhysicianName": "Okonkwo^Bartholomew",
    "StudyDescription": "Zyxwvut follow-up",
    "SeriesDescription": "Quentin thin slices",
    "ProtocolName": "for Mr Zyxwvut",
    "Manufacturer": "Zyxwvut Q.",
    "BodyPartExamined": "zyxwvut quentin!",
    "StationName": "HEDGEHOG7",
    "DeviceSerialNumber": "SNR778812",
    "StudyDate": "20240131",
    "StudyID": "HH4471",
}


def write(folder: Path, images: Sequence[Dataset], **more: str) -> list[Path]:
    """Write images below a folder, with a name and an id planted into each."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, each in enumerate(images):
        assert isinstance(each, FileDataset)
        paths.append(folder / f"{number:04}.dcm")
        with quiet():
            for keyword, value in (PLANTED | more).items():
                setattr(each, keyword, value)
            each.save_as(paths[-1], enforce_file_format=True)
    return paths


def files(out: Path) -> dict[str, bytes]:
    """Return all files below a folder by their paths."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
