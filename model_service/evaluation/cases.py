"""Which cases a folder holds, and what is known of each: by a CSV, by class folders, or by images/ and labels/."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

from firstread.deid.folder.tree import walk
from firstread.dicom.peek import peek
from firstread.dicom.reader import read
from firstread.errors import QuarantineError, Reason
from model_service.evaluation.reasons import CaseReason, EvaluationError

RASTERS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif"})
_COLUMNS = frozenset({"file", "label", "mask", "patient", "top", "bottom", "left", "right"})
_BOX = ("top", "bottom", "left", "right")

Area = tuple[int, int, int, int]
"""Top, bottom, left, right in pixels of the image; bottom and right exclusive."""
LabelsFrom = Literal["none", "csv", "class_folders", "mask_folders"]


class Kind(StrEnum):
    """How the pixels of a case are stored."""

    RASTER = "raster"
    NIFTI = "nifti"
    DICOM = "dicom"


@dataclass(frozen=True)
class Case:
    """One image, or one volume.

    Parameters
    ----------
    name : str
        Path below the data folder, with slashes; for a series in a folder of its own, the folder. It may carry a
        patient's name: it is shown in the user's own report and nowhere else.
    kind : Kind
        How it is stored.
    files : tuple of pathlib.Path
        One, or those of a DICOM series.
    label, mask, boxes : str, pathlib.Path or tuple of Area, optional
        What is true of it; None where nothing is known.
    patient : str, optional
        Whose it is, as the CSV says.
    groups : mapping of str to str
        Further columns of the CSV, for subgroups.
    """

    name: str
    kind: Kind
    files: tuple[Path, ...]
    label: str | None = None
    mask: Path | None = None
    boxes: tuple[Area, ...] | None = None
    patient: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Parameters
    ----------
    cases : tuple of Case
        By name.
    refused : tuple of (str, str)
        Name and reason of what is no case.
    labels_from : str
        Where labels come from.
    passed_over : int
        Files that the CSV does not name.
    """

    cases: tuple[Case, ...]
    refused: tuple[tuple[str, str], ...]
    labels_from: LabelsFrom
    passed_over: int = 0


def fold(text: str) -> str:
    """Return letters and digits only, in lower case: class names are compared so."""
    return "".join(character for character in text.casefold() if character.isalnum())


def discover(
    data: Path, *, volumes: bool, labels: Path | None, positive: Sequence[str], classes: Sequence[str]
) -> Found:
    """Find the cases below a folder.

    Parameters
    ----------
    data : pathlib.Path
        The folder.
    volumes : bool
        Whether DICOM files are taken together by series.
    labels : pathlib.Path, optional
        CSV of what is known of the cases.
    positive : sequence of str
        Class folders that are positive.
    classes : sequence of str
        Names that a class folder may have.

    Raises
    ------
    EvaluationError
        If the folder or the CSV cannot be used.
    """
    if not data.is_dir():
        raise EvaluationError("the data folder is not there")
    files, refused = _files(data, labels)
    masks = (data / "images").is_dir() and (data / "labels").is_dir() and labels is None
    beside = [path for path in files if masks and _first(data, path) == "labels"]
    cases, unusable = _cases(data, [path for path in files if path not in set(beside)], volumes=volumes)
    refused += unusable
    if labels is not None:
        return _by_csv(data, cases, refused, labels)
    if masks:
        return _by_mask_folders(data, cases, refused, beside)
    known = {fold(name) for name in (*positive, *classes)}
    if any(fold(_folder(case)) in known for case in cases):
        labelled = [replace(case, label=_folder(case) or None) for case in cases]
        return Found(tuple(labelled), tuple(refused), "class_folders")
    return Found(tuple(cases), tuple(refused), "none")


def _files(data: Path, labels: Path | None) -> tuple[list[Path], list[tuple[str, str]]]:
    files, refused = [], []
    own = labels.resolve() if labels is not None else None
    for found in walk(data.resolve()):
        path = Path(found.path)
        if path.name.startswith(".") or path == own:
            continue
        path = data / path.relative_to(data.resolve())
        if found.refusal is None:
            files.append(path)
        else:
            refused.append((_name(data, path), found.refusal.value))
    return files, refused


def _kind(path: Path) -> Kind | None:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return Kind.NIFTI
    if path.suffix.lower() in RASTERS:
        return Kind.RASTER
    with path.open("rb") as file:
        file.seek(128)
        return Kind.DICOM if file.read(4) == b"DICM" else None  # PS3.10 7.1


def _cases(data: Path, files: Sequence[Path], *, volumes: bool) -> tuple[list[Case], list[tuple[str, str]]]:
    cases: list[Case] = []
    refused: list[tuple[str, str]] = []
    series: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        try:
            kind = _kind(path)
            if kind is None:
                refused.append((_name(data, path), CaseReason.NOT_AN_IMAGE.value))
            elif kind is Kind.DICOM and volumes:
                series[_series(path)].append(path)
            elif volumes != (kind is Kind.NIFTI):
                refused.append((_name(data, path), CaseReason.WRONG_KIND.value))
            else:
                cases.append(Case(_name(data, path), kind, (path,)))
        except QuarantineError as error:
            refused.append((_name(data, path), error.reason.value))
        except OSError:
            refused.append((_name(data, path), CaseReason.NOT_READABLE.value))
    cases += _series_cases(data, series)
    return sorted(cases, key=lambda case: case.name), refused


def _series(path: Path) -> str:
    """Return what the files of one series have in common: its UID; the folder, where research data came without."""
    try:
        with path.open("rb") as file, read(file) as header:
            return str(peek(header.dataset, "SeriesInstanceUID"))
    except QuarantineError as error:
        if error.reason is Reason.MISSING_UID:
            return str(path.parent)
        raise


def _series_cases(data: Path, series: Mapping[str, Sequence[Path]]) -> Iterator[Case]:
    here = Counter(paths[0].parent for paths in series.values())
    for paths in series.values():
        folder = paths[0].parent
        alone = here[folder] == 1 and folder != data and all(path.parent == folder for path in paths)
        yield Case(_name(data, folder if alone else paths[0]), Kind.DICOM, tuple(paths))


def _name(data: Path, path: Path) -> str:
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else path.name


def _first(data: Path, path: Path) -> str:
    return path.relative_to(data).parts[0]


def _folder(case: Case) -> str:
    return case.name.partition("/")[0] if "/" in case.name else ""


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (".nii.gz", ".nii", path.suffix):
        if suffix and name.lower().endswith(suffix.lower()):
            return name[: -len(suffix)]
    return name


def _by_mask_folders(
    data: Path, cases: Sequence[Case], refused: Sequence[tuple[str, str]], masks: Sequence[Path]
) -> Found:
    """Pair images/NAME with labels/NAME, whatever their suffixes are."""
    left = {(path.relative_to(data / "labels").parent / _stem(path)).as_posix(): path for path in masks}
    labelled, without = [], []
    for case in cases:
        if _folder(case) != "images":
            without.append((case.name, CaseReason.MASK_MISSING.value))
            continue
        place = (data / case.name).relative_to(data / "images")
        mask = left.pop((place.parent / _stem(place)).as_posix(), None)
        if mask is None:
            without.append((case.name, CaseReason.MASK_MISSING.value))
        else:
            labelled.append(replace(case, mask=mask))
    without += [(_name(data, path), CaseReason.MISSING.value) for path in left.values()]
    return Found(tuple(labelled), (*refused, *without), "mask_folders")


@dataclass(frozen=True)
class _Row:
    line: int
    cells: Mapping[str, str]

    @property
    def box(self) -> Area | None:
        values = [self.cells.get(name, "") for name in _BOX]
        if not any(values):
            return None
        try:
            top, bottom, left, right = (int(value) for value in values)
        except ValueError:
            raise EvaluationError(f"line {self.line} of the labels: a box is four whole numbers") from None
        if not (0 <= top < bottom and 0 <= left < right):
            raise EvaluationError(f"line {self.line} of the labels: a box is top < bottom and left < right")
        return top, bottom, left, right


def _rows(path: Path) -> tuple[dict[str, list[_Row]], frozenset[str]]:
    """Return the rows by file, and the names of all columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            columns = frozenset(name.strip() for name in reader.fieldnames or () if name)
            if "file" not in columns:
                raise EvaluationError("the labels have no column `file`")
            by_file: dict[str, list[_Row]] = defaultdict(list)
            for cells in reader:
                values = {name.strip(): cell.strip() for name, cell in cells.items() if isinstance(cell, str)}
                place = Path(values["file"]).as_posix()
                by_file[place].append(_Row(reader.line_num, values))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise EvaluationError("the labels cannot be read as CSV in UTF-8") from None
    boxed = set(_BOX) <= columns
    for rows in by_file.values():
        if len(rows) > 1 and not (boxed and all(row.box for row in rows)):
            raise EvaluationError(f"line {rows[1].line} of the labels: a file is named twice")
    return dict(by_file), columns


def _by_csv(data: Path, cases: Sequence[Case], refused: Sequence[tuple[str, str]], labels: Path) -> Found:
    """Take the cases that the CSV names; a row may name a file, or the folder of a series."""
    by_file, columns = _rows(labels)
    named = {**{_name(data, file): case for case in cases for file in case.files}}
    named |= {case.name: case for case in cases}
    told = dict(refused)
    chosen: dict[str, Case] = {}
    bad: list[tuple[str, str]] = []
    for place, rows in by_file.items():
        case = named.get(place)
        if case is None:
            bad.append((place, told.get(place, CaseReason.MISSING.value)))
        elif case.name in chosen:
            raise EvaluationError(f"line {rows[0].line} of the labels: a case is named twice")
        else:
            chosen[case.name] = _told(data, case, rows, columns)
    masks = {case.mask for case in chosen.values()}
    others = [case for case in cases if case.name not in chosen and not masks & set(case.files)]
    found = tuple(sorted(chosen.values(), key=lambda case: case.name))
    return Found(found, tuple(bad), "csv", len(others))


def _told(data: Path, case: Case, rows: Sequence[_Row], columns: frozenset[str]) -> Case:
    cells = rows[0].cells
    boxes = tuple(box for row in rows if (box := row.box)) if set(_BOX) <= columns else None
    mask = cells.get("mask")
    return replace(
        case,
        label=cells.get("label") or None,
        mask=data / mask if mask else None,
        boxes=boxes,
        patient=cells.get("patient") or None,
        groups={name: cells.get(name, "") for name in sorted(columns - _COLUMNS)},
    )
