"""What a folder holds: series with their geometry, the objects that draw on them, and what cannot be read."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from firstread.dicom.guard import Limits
from firstread.dicom.reader import read
from firstread.dicom.silence import quiet
from firstread.dicomweb.held import Held, Place
from firstread.errors import QuarantineError, Reason
from firstread.imaging.index.identity import NAMES, identify
from firstread.imaging.index.kinds import Level
from firstread.imaging.index.record import FileReason, Outcome, Reader
from firstread.imaging.index.tree import walk
from firstread.imaging.index.volumes import volumes_of
from portal.folder.colours import colours_of, palette

Row = dict[str, Any]

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


@dataclass(frozen=True)
class Region:
    """A ROI of a structure set, or a segment.

    Parameters
    ----------
    number, name
        In its object.
    colour
        As ``#rrggbb``: that of the object, or one of ours.
    """

    number: int
    name: str
    colour: str


@dataclass(frozen=True)
class Drawn:
    """An object that draws regions on images.

    Parameters
    ----------
    row
        What the index knows of it.
    regions
        In its order.
    targets
        Series Instance UIDs of the series of its study that it is about.
    """

    row: Row = field(repr=False)
    regions: tuple[Region, ...]
    targets: tuple[str, ...]

    def key_of(self, region: Region) -> str:
        """Return what names one of its regions on the page."""
        return f"{self.row['sop_uid']}#{region.number}"


@dataclass(frozen=True)
class Series:
    """The images of one series.

    Parameters
    ----------
    images
        What the index knows of each, in the order in which they are scrolled.
    volumes
        What geometry they have, as `firstread.imaging.index` says it.
    """

    images: tuple[Row, ...] = field(repr=False)
    volumes: tuple[Row, ...] = field(repr=False)

    @property
    def uid(self) -> str:
        """Return the Series Instance UID."""
        return str(self.images[0]["series_uid"])


@dataclass(frozen=True)
class Study:
    """What there is of one study."""

    uid: str
    series: tuple[Series, ...]
    drawn: tuple[Drawn, ...]

    @property
    def first(self) -> Row:
        """Return what the index knows of one of its objects."""
        return self.series[0].images[0] if self.series else self.drawn[0].row


@dataclass(frozen=True)
class Folder:
    """What was found.

    Parameters
    ----------
    root
        The folder; of a single file, the one that it is in.
    studies
        By Study Instance UID.
    left_out
        Path below the root and typed reason of what could not be read.
    other_files
        How many files are no DICOM objects.
    without_image
        How many objects are neither images nor draw on them: reports, plans.
    unlisted
        How many folders could not be listed.
    """

    root: Path = field(repr=False)
    studies: Mapping[str, Study]
    left_out: tuple[tuple[str, str], ...] = ()
    other_files: int = 0
    without_image: int = 0
    unlisted: int = 0


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
    if path.is_dir():
        files, unlisted = walk(path, leave_out=path)
        root, names = path, [(each.path, each.size) for each in files]
    else:
        root, names, unlisted = path.parent, [(path.name, path.stat().st_size)], 0
    looker = _Looker(root, limits or Limits())
    for name, size in names:
        looker.take(name, size)
    return looker.folder(unlisted)


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

    def folder(self, unlisted: int) -> Folder:
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
        return Folder(self._root, studies, tuple(self._left_out), self._others, without, unlisted)

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
