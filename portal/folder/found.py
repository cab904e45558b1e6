"""What a folder holds: series with their geometry, the objects that draw on them, and what cannot be read."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from firstread.dicom.guard import Limits
from firstread.dicom.reader import read
from firstread.dicom.silence import quiet
from firstread.dicomweb.held import Held, Place
from firstread.errors import QuarantineError, Reason
from firstread.imaging.index.identity import NAMES, identify
from firstread.imaging.index.kinds import Level
from firstread.imaging.index.record import FileReason, Outcome, Reader
from firstread.imaging.index.volumes import volumes_of
from firstread.imaging.tree import walk
from portal.folder.colours import colours_of, palette
from portal.folder.kinds import Drawn, Folder, Region, Row, Series, Study
from portal.folder.volumes import Volumes

_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1
_OTHER = frozenset({Reason.EMPTY, Reason.NOT_DICOM})
_ANATOMY = frozenset({"CT", "MR", "PT"})
_DRAWN = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
    }
)
_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"  # no image to the index, and one to a viewer
DUPLICATE = "duplicate"
"""Of a file whose SOP Instance UID is that of a file before it, by path."""


def look(path: Path, limits: Limits | None = None) -> Folder:
    """Look through a folder, or at a file.

    Parameters
    ----------
    path
        The folder, with all below it; links to folders are not followed.
    limits
        How far a file may go.

    Raises
    ------
    OSError
        If there is no such path.
    """
    if path.is_dir() and path.suffix == ".zarr":
        root, names, unlisted = path.parent, [(f"{path.name}/zarr.json", 0)], 0
    elif path.is_dir():
        files, unlisted = walk(path, leave_out=path)
        root, names = path, [(each.path, each.size) for each in files]
    else:
        root, names, unlisted = path.parent, [(path.name, path.stat().st_size)], 0
    volumes = Volumes(root, (name for name, _ in names))
    looker = _Looker(root, limits or Limits())
    for name, size in names:
        if not volumes.has(name):
            looker.take(name, size)
    return looker.folder(unlisted, volumes)


class _Looker:
    def __init__(self, root: Path, limits: Limits) -> None:
        self._root, self._limits = root, limits
        self._reader = Reader()
        self._rows: dict[str, Row] = {}
        self._left_out: list[tuple[str, str]] = []
        self._others = 0

    def take(self, name: str, size: int) -> None:
        """Read one file."""
        try:
            row = self._row(name, size)
        except QuarantineError as error:
            if error.reason in _OTHER:
                self._others += 1
            else:
                self._left_out.append((name, error.reason.value))
            return
        except OSError:
            self._left_out.append((name, FileReason.NOT_OPENED.value))
            return
        if row["outcome"] == Outcome.OTHER.value:
            self._others += 1
        elif row["outcome"] != Outcome.INSTANCE.value:
            self._left_out.append((name, str(row["reason"])))
        elif row["sop_uid"] in self._rows:
            self._left_out.append((name, DUPLICATE))
        else:
            self._rows[row["sop_uid"]] = row | {"path": name, "size": size}

    def _row(self, name: str, size: int) -> Row:
        path = self._root / name
        colours: dict[int, str] = {}
        try:
            with (
                path.open("rb") as file,
                read(file, self._limits) as guarded,
            ):  # bounds whatever reads it afterwards
                colours = _colours(guarded.dataset)
        except QuarantineError as error:
            if error.reason is not Reason.MISSING_UID:  # said when everything else was looked at
                raise
        row = self._reader.row(path, size)
        return (
            _identified(row, name) | {"colours": colours} if row["outcome"] == Outcome.INSTANCE.value else row
        )

    def folder(self, unlisted: int, volumes: Volumes) -> Folder:
        """Return what was found."""
        images: dict[tuple[str, str], list[Row]] = defaultdict(list)
        drawn: list[Row] = []
        without = 0
        for row in self._rows.values():
            if row["sop_class_uid"] in _DRAWN:
                drawn.append(row)
            elif row["is_image"] or (row["sop_class_uid"] == _DOSE and row["rows"] and row["columns"]):
                images[row["study_uid"], row["series_uid"]].append(row)
            else:
                without += 1
        series: dict[str, list[Series]] = defaultdict(list)
        for (study_uid, _), members in images.items():
            series[study_uid].append(self._series(members))
        objects: dict[str, list[Drawn]] = defaultdict(list)
        for row in drawn:
            objects[row["study_uid"]].append(_drawn(row, series.get(row["study_uid"], [])))
        studies = {
            uid: Study(uid, tuple(sorted(series[uid], key=_series_order)), tuple(objects[uid]))
            for uid in sorted(
                {*series, *objects}, key=lambda uid: _study_order(series[uid], objects[uid], uid)
            )
        }
        return Folder(
            self._root,
            {**studies, **volumes.studies()},
            (*self._left_out, *volumes.left_out),
            self._others,
            without,
            unlisted,
            volumes.loaded,
        )

    def _series(self, members: list[Row]) -> Series:
        judged = [each for each in members if each["is_image"]]
        volumes = volumes_of(judged, self._root) if judged else []
        return Series(tuple(sorted(members, key=_image_order)), tuple(volumes))


def _identified(row: Row, name: str) -> Row:
    """Return a row with UIDs that an address can hold: what is missing or malformed is derived as by the index."""
    own = {each: row[each] if _UID.fullmatch(row[each] or "") else None for each in NAMES}
    row = row | own | {"path": name}
    identify(row)
    return row


def held_of(row: Row) -> Held:
    """Return the object of a row, as DICOMweb serves it."""
    return Held(
        study_uid=row["study_uid"],
        series_uid=row["series_uid"],
        sop_uid=row["sop_uid"],
        sop_class_uid=row["sop_class_uid"] or "",
        place=Place.STUDIES,
        key=row["path"],
    )


def _colours(dataset: Dataset) -> dict[int, str]:
    with quiet():
        try:
            return colours_of(dataset)
        except Exception:  # pydicom converts on access; what has no colour gets one of ours
            return {}


def _image_order(row: Row) -> tuple[int, str]:
    return (row["instance_number"] or 0, row["path"])


def _series_order(series: Series) -> tuple[int, str]:
    return (series.images[0]["series_number"] or 0, series.uid)


def _study_order(series: Sequence[Series], objects: Sequence[Drawn], uid: str) -> tuple[str, str, str]:
    first = series[0].images[0] if series else objects[0].row
    return (first["patient_id"] or "", str(first["study_date"] or ""), uid)


def _drawn(row: Row, series: Iterable[Series]) -> Drawn:
    colours = palette()
    regions = []
    for each in row["rois"] or []:
        own = next(colours)
        text = each["number"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if number > 0 or (
            number == 0 and each["contours"] is not None
        ):  # segment 0 is the background of a label map
            name = each["name"] or f"Region {number}"
            regions.append(Region(number, name, row["colours"].get(number, own)))
    return Drawn(row, tuple(regions), _targets(row, list(series)))


def _targets(row: Row, series: Sequence[Series]) -> tuple[str, ...]:
    """Return the series that an object names; where it names none that is here, those in its coordinates."""
    links = row["links"] or []
    named = {each["uid"] for each in links if each["level"] in (Level.SERIES, Level.INSTANCE)}
    found = [
        each.uid
        for each in series
        if each.uid in named or any(image["sop_uid"] in named for image in each.images)
    ]
    if found:
        return tuple(found)
    places = {each["uid"] for each in links if each["level"] == Level.FRAME_OF_REFERENCE}
    places |= {row["frame_of_reference_uid"]} - {None}
    return tuple(
        each.uid
        for each in series
        if each.images[0]["frame_of_reference_uid"] in places and each.images[0]["modality"] in _ANATOMY
    )
