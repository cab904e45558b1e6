"""Structure sets and segmentations as binary segmentations on the images of a series, made when somebody asks.

What the viewer draws are segments whose every frame lies on one frame of an image. A segmentation that is so is served
as it is; contours, and segments on another grid, are put onto the grid of the series first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from threading import Lock

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, RTStructureSetStorage, SegmentationStorage

from firstread.dicom.silence import quiet
from firstread.dicomweb.held import Held, Place
from firstread.errors import FirstReadError
from firstread.imaging.index.through_pydicom import items
from firstread.imaging.masks.mask import Mask, MaskError, MaskReason
from firstread.imaging.masks.segments import Segmented, read_segmentation, segment_masks
from firstread.imaging.masks.structures import Structures, read_structures, structure_masks
from firstread.imaging.masks.written import to_segmentation
from firstread.imaging.mosaics import is_mosaic
from firstread.imaging.pixels import frame_count
from firstread.imaging.reading import Images, OnDisk
from firstread.imaging.series import Looks
from firstread.imaging.slices import slices_of
from firstread.imaging.stacks import arrange
from firstread.imaging.verdict import MEND, VolumeError, VolumeReason
from firstread.imaging.volume import SourceFrame, Volume
from firstread.objects.identity import named
from portal.folder.files import Made
from portal.folder.found import held_of
from portal.folder.kinds import Drawn, Folder, Region, Series, Study
from portal.folder.labels import Labels
from portal.folder.slices import Images as Slices
from portal.folder.voxels import Array, Loaded, Voxels
from portal.logic.display import reason_words


@dataclass(frozen=True)
class Label:
    """One number of a label map on the images of a volume.

    Parameters
    ----------
    voxels
        The label map.
    number
        Of the region.
    loaded
        Has its values.
    slices
        SOP Instance UIDs of the images, in the order of its slices; the slices of each time follow those before.
    """

    voxels: Voxels
    number: int
    loaded: Loaded = field(repr=False)
    slices: tuple[str, ...] = field(repr=False)

    def on(self, volume: Volume) -> Array:
        """Return its voxels on a volume of these images."""
        places = {uid: number % self.voxels.shape[0] for number, uid in enumerate(self.slices)}
        planes = [self.loaded.plane(self.voxels, places[each.sop_uid]) for each in volume.frames]
        return np.stack([each == self.number for each in planes])


Part = Structures | Segmented | Label
Parts = dict[int, Part]
"""Regions by number, each in an object of its own."""

UNREADABLE = "unreadable"
NOT_HERE = "the images are not in this folder"
RESAMPLED = "the images make a volume only after mending, and masks lie on images as they are"


@dataclass(frozen=True)
class Shown:
    """One region on one series, or why it is not drawn.

    Parameters
    ----------
    key
        As `Drawn.key_of`.
    colour
        As `Region.colour`.
    held, segment
        The segmentation and the number in it that show the region; None and 0 where it is not drawn.
    reason
        Why it is not; "" where it is.
    """

    key: str
    colour: str
    held: Held | None = field(default=None, repr=False)
    segment: int = 0
    reason: str = ""


@dataclass(frozen=True)
class _Grid:
    """Images that make a volume as they are, and the volume without its voxels."""

    images: Sequence[Dataset] = field(repr=False)
    volume: Volume


class Masks:
    """The regions of studies, each study's made once.

    Parameters
    ----------
    folder
        What was found.
    made
        Takes the segmentations that are made.
    """

    def __init__(self, folder: Folder, made: Made) -> None:
        self._folder, self._made = folder, made
        self._lock = Lock()
        self._shown: dict[str, tuple[Shown, ...]] = {}

    def of(self, study: Study) -> tuple[Shown, ...]:
        """Return the regions of a study; the first call takes as long as they take to be made."""
        with self._lock:
            if study.uid not in self._shown:
                with quiet():
                    self._shown[study.uid] = tuple(
                        each for drawn in study.drawn for each in self._object(study, drawn)
                    )
            return self._shown[study.uid]

    def known(self, study: Study) -> list[Held]:
        """Return the segmentations of a study that were made or found so far."""
        found = {each.held.key: each.held for each in self._shown.get(study.uid, ()) if each.held is not None}
        return list(found.values())

    def _object(self, study: Study, drawn: Drawn) -> Iterator[Shown]:
        if not drawn.targets:
            yield from _refused(drawn, NOT_HERE)
            return
        if drawn.labels is not None:
            yield from self._label_map(study, drawn, drawn.labels)
            return
        try:
            dataset = dcmread(self._folder.root / drawn.row["path"])
            if _lies_on_images(dataset, study):
                yield from _as_it_is(drawn)
                return
            parts = _parts(dataset)
        except FirstReadError as error:
            yield from _refused(drawn, reason_words(str(error)))
            return
        except Exception:  # what pydicom raises on bad input varies, and its texts quote the object
            yield from _refused(drawn, UNREADABLE)
            return
        for series in study.series:
            if series.uid in drawn.targets:
                yield from self._on(drawn, parts, series)

    def _label_map(self, study: Study, drawn: Drawn, labels: Labels) -> Iterator[Shown]:
        for series in study.series:
            if series.uid not in drawn.targets or series.voxels is None:
                continue
            if not labels.voxels.is_on(series.voxels):
                yield from _refused(drawn, reason_words(MaskReason.OTHER_GRID.value))
                continue
            slices = tuple(each["sop_uid"] for each in series.images)
            loaded = self._folder.loaded
            parts: Parts = {
                each.number: Label(labels.voxels, each.number, loaded, slices) for each in drawn.regions
            }
            yield from self._on(drawn, parts, series)

    def _on(self, drawn: Drawn, parts: Parts, series: Series) -> Iterator[Shown]:
        try:
            grids = _grids(self._images(series))
        except FirstReadError as error:
            yield from _refused(drawn, reason_words(str(error)))
            return
        except Exception:  # as above, of any of the images
            yield from _refused(drawn, UNREADABLE)
            return
        if not grids:
            yield from _refused(drawn, RESAMPLED)
            return
        for region in drawn.regions:
            part = parts.get(region.number)
            for grid in grids:
                yield self._region(drawn, region, part, grid)

    def _images(self, series: Series) -> Images:
        if series.voxels is not None:
            return Slices(series.voxels, self._folder.loaded)
        return OnDisk([self._folder.root / each["path"] for each in series.images])

    def _region(self, drawn: Drawn, region: Region, part: Part | None, grid: _Grid) -> Shown:
        key = drawn.key_of(region)
        try:
            if part is None:
                raise MaskError(MaskReason.BAD_SEGMENTS)
            mask = _mask(part, grid.volume)
            made = _written(mask, grid, f"{key} {grid.volume.frames[0].sop_uid}")
        except FirstReadError as error:
            return Shown(key, region.colour, reason=reason_words(str(error)))
        except Exception:  # a library that writes objects is strict about those it takes over from
            return Shown(key, region.colour, reason=UNREADABLE)
        held = _held(made)
        with BytesIO() as file:
            made.save_as(file, enforce_file_format=True)
            self._made.put(held.key, file.getvalue())
        return Shown(key, region.colour, held, 1)


def _refused(drawn: Drawn, reason: str) -> Iterator[Shown]:
    for region in drawn.regions:
        yield Shown(drawn.key_of(region), region.colour, reason=reason)


def _as_it_is(drawn: Drawn) -> Iterator[Shown]:
    held = held_of(drawn.row)
    for region in drawn.regions:
        yield Shown(drawn.key_of(region), region.colour, held, region.number)


def _lies_on_images(dataset: Dataset, study: Study) -> bool:
    """Return whether every frame of a binary segmentation names the image that it lies on, and that is here."""
    if dataset.get("SOPClassUID") != SegmentationStorage or dataset.get("SegmentationType") != "BINARY":
        return False
    sizes = {
        image["sop_uid"]: (image["rows"], image["columns"]) for each in study.series for image in each.images
    }
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    return bool(groups) and all(
        any(sizes.get(uid) == (dataset.get("Rows"), dataset.get("Columns")) for uid in _sources(group))
        for group in groups
    )


def _sources(group: Dataset) -> Iterator[str]:
    for derivation in items(group, "DerivationImageSequence"):
        for source in items(derivation, "SourceImageSequence"):
            yield str(source.get("ReferencedSOPInstanceUID", ""))


def _grids(opened: Images) -> list[_Grid]:
    """Return the volumes of a series whose slices are its images as they are.

    Raises
    ------
    VolumeError
        If it has none, mended or not.
    """
    headers = opened.headers
    planes = [
        plane
        for number, header in enumerate(headers)
        if not is_mosaic(header)
        for plane in slices_of(header, number, frame_count(header))
    ]
    if not planes:
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    found = []
    for stack in arrange(planes, MEND, Looks(opened)):
        for time in stack.times if stack.grid.is_exact else ():
            empty = np.broadcast_to(np.zeros((), np.uint8), stack.grid.shape)  # nobody asks for the voxels
            volume = Volume(
                empty,
                stack.grid.affine,
                tuple(SourceFrame(each.sop_uid, each.frame + 1) for each in time),
                frame_of_reference=time[0].frame_of_reference,
            )
            sources = dict.fromkeys(each.source for each in time)
            found.append(_Grid([headers[each] for each in sources], volume))
    return found


def _parts(dataset: Dataset) -> Parts:
    """Return each region alone: those of a large structure set together take gigabytes as masks."""
    if dataset.get("SOPClassUID") == RTStructureSetStorage:
        structures = read_structures(dataset)
        return {each.number: Structures((each,), structures.series) for each in structures.rois}
    segmented = read_segmentation(dataset)
    return {each.number: replace(segmented, segments=(each,)) for each in segmented.segments}


def _mask(part: Part, volume: Volume) -> Mask:
    if isinstance(part, Label):
        values = part.on(volume)
        if not values.any():
            raise MaskError(MaskReason.NO_VOXELS)
        return Mask("Region", values)
    found = segment_masks(part, volume) if isinstance(part, Segmented) else structure_masks(part, volume)
    for reason in found.refused.values():
        raise MaskError(reason)
    (mask,) = found.masks
    values = mask.values if mask.values.dtype == np.bool_ else mask.values >= 0.5
    if not values.any():
        raise MaskError(MaskReason.NO_VOXELS)
    return Mask(mask.name or "Region", values)


def _written(mask: Mask, grid: _Grid, name: str) -> Dataset:
    """Return a mask as a segmentation of the slices that it is on; the same one for the same name."""
    slices = np.flatnonzero(mask.values.any(axis=(1, 2)))
    first, last = int(slices[0]), int(slices[-1]) + 1
    affine = grid.volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * first
    frames = grid.volume.frames[first:last]
    volume = replace(grid.volume, values=grid.volume.values[first:last], affine=affine, frames=frames)
    uids = {each.sop_uid for each in frames}
    images = [each for each in grid.images if each.SOPInstanceUID in uids]
    made = to_segmentation([replace(mask, values=mask.values[first:last])], volume, images)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(named("instance", name))
    made.SeriesInstanceUID = UID(named("series", name))
    return made


def _held(made: Dataset) -> Held:
    return Held(
        study_uid=str(made.StudyInstanceUID),
        series_uid=str(made.SeriesInstanceUID),
        sop_uid=str(made.SOPInstanceUID),
        sop_class_uid=str(made.SOPClassUID),
        place=Place.RESULTS,
        key=f"made/{made.SOPInstanceUID}",
    )
