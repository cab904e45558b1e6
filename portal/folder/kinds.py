"""What a folder holds, as pages, routes and the terminal see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.folder.labels import Labels
from portal.folder.voxels import Loaded, Voxels

Row = dict[str, Any]


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
    labels
        The label map that it is; None of a DICOM object.
    """

    row: Row = field(repr=False)
    regions: tuple[Region, ...]
    targets: tuple[str, ...]
    labels: Labels | None = None

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
    voxels
        The volume whose slices they are; None of DICOM images.
    """

    images: tuple[Row, ...] = field(repr=False)
    volumes: tuple[Row, ...] = field(repr=False)
    voxels: Voxels | None = None

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
        How many files are neither DICOM objects nor volumes.
    without_image
        How many objects are neither images nor draw on them: reports, plans.
    unlisted
        How many folders could not be listed.
    loaded
        Has the values of volumes.
    """

    root: Path = field(repr=False)
    studies: Mapping[str, Study]
    left_out: tuple[tuple[str, str], ...] = ()
    other_files: int = 0
    without_image: int = 0
    unlisted: int = 0
    loaded: Loaded = field(default_factory=Loaded, repr=False)
