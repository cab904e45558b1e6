"""The volumes of a folder as studies: images and the label maps that lie on them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from firstread.dicomweb.errors import CannotRenderError
from firstread.imaging.index.volumes import volumes_of
from firstread.objects.identity import named
from portal.folder.colours import palette
from portal.folder.kinds import Drawn, Region, Row, Series, Study
from portal.folder.labels import Labels, group_of, labels_among, regions_of
from portal.folder.slices import rows_of, series_uid_of, study_uid_of
from portal.folder.voxels import SUFFIXES, Loaded, Voxels, VoxelsError, look_at, stem_of

_ARRAY = ".zarr/"


class Volumes:
    """Finds the volumes among the files of a folder.

    Parameters
    ----------
    root, names
        The folder; paths below it, in their order.
    """

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self._root = root
        self.loaded = Loaded()
        self.left_out: list[tuple[str, str]] = []
        self._found: dict[str, Voxels] = {}
        for name in dict.fromkeys(filter(None, map(_volume_name, names))):
            try:
                if (found := look_at(name, root / name)) is not None:
                    self._found[name] = found
            except (VoxelsError, OSError) as error:
                self.left_out.append((name, str(error) if isinstance(error, VoxelsError) else "not_opened"))
        self._refused = {name for name, _ in self.left_out}
        self._sidecars = {
            f"{name.removesuffix(name.rpartition('/')[2])}{stem_of(name)}.json" for name in self._found
        }

    def has(self, name: str) -> bool:
        """Return whether a file is a volume, a part of one, or its sidecar, or was left out as a volume."""
        volume = _volume_name(name)
        return volume in self._found or volume in self._refused or name in self._sidecars

    def studies(self) -> dict[str, Study]:
        """Return them: volumes of a folder together, or of a case where a folder has the images of all cases."""
        labels = labels_among(list(self._found.values()), self._root)
        drawn = {each.voxels.name for each in labels}
        series: dict[str, list[Series]] = defaultdict(list)
        for name, voxels in self._found.items():
            if name not in drawn:
                rows = rows_of(voxels)
                series[group_of(name)].append(
                    Series(tuple(rows), tuple(volumes_of(rows, self._root)), voxels)
                )
        objects: dict[str, list[Drawn]] = defaultdict(list)
        for each in labels:
            for group, object_ in self._drawn(each):
                objects[group].append(object_)
        return {
            study_uid_of(group): Study(study_uid_of(group), tuple(members), tuple(objects[group]))
            for group, members in sorted(series.items())
        }

    def _drawn(self, labels: Labels) -> Iterator[tuple[str, Drawn]]:
        try:
            regions = regions_of(labels, self.loaded)
        except CannotRenderError as error:
            self.left_out.append((labels.voxels.name, str(error)))
            return
        colours = palette()
        shown = tuple(Region(number, name, next(colours)) for number, name in regions.items())
        for group in dict.fromkeys(group_of(each.name) for each in labels.on):
            targets = tuple(series_uid_of(each) for each in labels.on if group_of(each.name) == group)
            yield group, Drawn(_row(labels, group), shown, targets, labels)


def _row(labels: Labels, group: str) -> Row:
    file = labels.voxels.name.rpartition("/")[2]
    return {
        "study_uid": study_uid_of(group),
        "sop_uid": named("label map", labels.voxels.name, group),
        "path": labels.voxels.name,
        "modality": "SEG",
        "series_description": f"{file}, {labels.rule}",
        "study_description": group,
        "patient_id": None,
        "study_date": None,
    }


def _volume_name(name: str) -> str:
    """Return the volume that a file is, or is a part of; "" of others."""
    if _ARRAY in name:
        return name.partition(_ARRAY)[0] + _ARRAY.rstrip("/")
    return name if name.endswith(SUFFIXES) else ""
