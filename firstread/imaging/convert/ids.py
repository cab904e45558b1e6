"""What a file belongs to: read from its first bytes where its encoding is a plain one, by pydicom where it is not.

A folder of a thousand slices is grouped in a tenth of the time that whole headers take.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.dicom.silence import quiet
from firstread.imaging.elements import (
    IMPLICIT,
    UNDEFINED,
    Head,
    NotDicomError,
    OddError,
    TruncatedError,
    elements,
    turned,
)
from firstread.imaging.plain import HEAD, NotPlainError, PlainHeader, plain_header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DIRECTORY = b"1.2.840.10008.1.3.10"
_WANTED = {
    (0x0008, 0x0018): "SOPInstanceUID",
    (0x0008, 0x0020): "StudyDate",
    (0x0008, 0x0060): "Modality",
    (0x0008, 0x1030): "StudyDescription",
    (0x0008, 0x103E): "SeriesDescription",
    (0x0010, 0x0020): "PatientID",
    (0x0010, 0x0021): "IssuerOfPatientID",
    (0x0020, 0x000D): "StudyInstanceUID",
    (0x0020, 0x000E): "SeriesInstanceUID",
    (0x0020, 0x0011): "SeriesNumber",
    (0x0028, 0x0010): "Rows",
}
_RECORDS, _LAST = turned(0x00041220), 0x0028
_TURNED = {turned(group << 16 | each): name for (group, each), name in _WANTED.items()} | {_RECORDS: ""}


@dataclass(frozen=True)
class Ids:
    """What a file belongs to, as text; "" where it does not say."""

    series_uid: str = ""
    study_uid: str = ""
    sop_uid: str = ""
    patient_id: str = ""
    issuer: str = ""
    modality: str = ""
    series_number: str = ""
    study_date: str = ""
    study_description: str = ""
    series_description: str = ""
    has_image: bool = False


def read_ids(path: Path) -> Ids | None:
    """Return what a file belongs to.

    Parameters
    ----------
    path
        Any file.

    Returns
    -------
    Ids
        With `series_uid` "" for a file that begins as DICOM and cannot be read; None for any other file.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        number = file.fileno()
        try:
            found = _walk(Head(partial(os.pread, number), os.fstat(number).st_size))
        except NotDicomError:
            return None
        except (OddError, TruncatedError):
            return _slowly(path)
    return None if found is None else _ids(found)


def read_file(path: Path) -> tuple[Ids | None, PlainHeader | None]:
    """Return what a file belongs to, and its header where that is a plain one; errors and ids as of `read_ids`."""
    with path.open("rb", buffering=0) as file:
        try:
            header = plain_header(file.read(HEAD))
        except NotPlainError:
            return read_ids(path), None
    return _ids({name: text for name in _WANTED.values() if (text := header.text(name)) is not None}), header


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


def _ids(found: dict[str, str]) -> Ids:
    return Ids(
        series_uid=found.get("SeriesInstanceUID", ""),
        study_uid=found.get("StudyInstanceUID", ""),
        sop_uid=found.get("SOPInstanceUID", ""),
        patient_id=found.get("PatientID", ""),
        issuer=found.get("IssuerOfPatientID", ""),
        modality=found.get("Modality", ""),
        series_number=found.get("SeriesNumber", ""),
        study_date=found.get("StudyDate", ""),
        study_description=found.get("StudyDescription", ""),
        series_description=found.get("SeriesDescription", ""),
        has_image="Rows" in found,
    )


def _walk(head: Head) -> dict[str, str] | None:
    """Return the wanted values; None of a directory."""
    syntax, at = head.meta()
    found: dict[str, str] = {}
    for key, _, start, length in elements(head, at, explicit=syntax != IMPLICIT, wanted=_TURNED, last=_LAST):
        if key == _RECORDS:
            return None
        if length == UNDEFINED:
            raise OddError
        found[_TURNED[key]] = _text(head.value(start, length))
    return found


def _slowly(path: Path) -> Ids | None:
    import pydicom

    try:
        with quiet():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED.values()))
            if str(header.file_meta.get("MediaStorageSOPClassUID", "")).encode() == _DIRECTORY:
                return None
            return _ids({name: str(header[name].value) for name in _WANTED.values() if _there(header, name)})
    except OSError:
        raise
    except Exception:  # what pydicom raises on broken bytes depends on where they break
        return Ids()


def _there(header: "Dataset", name: str) -> bool:
    return name in header and header[name].value is not None
