"""What the routes of a folder work with: the portal's own DICOMweb logic over files."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from firstread.dicomweb.header import Source
from firstread.dicomweb.held import Held, Place
from portal.errors import MissingError
from portal.folder.files import Files, Made, Make, NoShelf
from portal.folder.found import held_of
from portal.folder.kinds import Folder, Series, Study
from portal.folder.masks import Masks
from portal.folder.slices import files_of
from portal.folder.words import before_words, no_planes, verdict_words
from portal.logic.dicomweb.documents import Documents
from portal.logic.dicomweb.frames import Frames
from portal.logic.pictures import Pictures
from portal.logic.study import ImageView, SeriesView


class FolderSeries(SeriesView):
    """A series of a folder.

    Parameters
    ----------
    verdict
        What geometry it has, in words.
    no_planes
        Why it has no other planes; "" where it has.
    """

    verdict: str
    no_planes: str


@dataclass(frozen=True)
class Local:
    """A folder that is served."""

    folder: Folder
    sources: dict[Place, Source]
    documents: Documents
    frames: Frames
    pictures: Pictures
    masks: Masks

    @classmethod
    def of(cls, folder: Folder) -> "Local":
        """Put the parts together."""
        found: dict[str, Path | Make] = {}
        for study in folder.studies.values():
            for series in study.series:
                if series.voxels is not None:
                    found |= files_of(series.voxels, folder.loaded)
                else:
                    found |= {row["path"]: folder.root / row["path"] for row in series.images}
            found |= {
                each.row["path"]: folder.root / each.row["path"]
                for each in study.drawn
                if each.labels is None
            }
        files, made = Files(found), Made()
        sources: dict[Place, Source] = {Place.STUDIES: files, Place.RESULTS: made}
        documents, frames = Documents(sources, NoShelf()), Frames(sources)
        return cls(folder, sources, documents, frames, Pictures(files), Masks(folder, made))

    def study(self, uid: str) -> Study:
        """Return a study.

        Raises
        ------
        MissingError
            If it is not in the folder.
        """
        try:
            return self.folder.studies[uid]
        except KeyError:
            raise MissingError("no such study") from None

    def series(self, study_uid: str, series_uid: str) -> list[Held]:
        """Return the images of a series, or a segmentation.

        Raises
        ------
        MissingError
            If it is not in the folder, and was not made.
        """
        study = self.study(study_uid)
        for series in study.series:
            if series.uid == series_uid:
                return [held_of(each) for each in series.images]
        found = [each for each in self.masks.known(study) if each.series_uid == series_uid]
        if not found:
            raise MissingError("no such series")
        return found

    def instance(self, study_uid: str, series_uid: str, sop_uid: str) -> Held:
        """Return an image or a segmentation.

        Raises
        ------
        MissingError
            If it is not in the folder, and was not made.
        """
        for each in self.series(study_uid, series_uid):
            if each.sop_uid == sop_uid:
                return each
        raise MissingError("no such instance")


def local_of(request: Request) -> Local:
    """Return what the application that serves a request shows."""
    local = request.app.state.local
    if not isinstance(local, Local):
        raise TypeError("the application was not made by create_app")
    return local


def series_views(study: Study) -> tuple[FolderSeries, ...]:
    """Return the series of a study as the viewer asks for them."""
    return tuple(_view(each) for each in study.series)


def _view(series: Series) -> FolderSeries:
    first = series.images[0]
    return FolderSeries(
        series_uid=series.uid,
        number=first["series_number"],
        modality=first["modality"] or "",
        body_part=first["body_part_raw"] or "",
        view=first["view_position"] or "",
        description=first["series_description"] or "",
        images=tuple(
            ImageView(
                sop_uid=each["sop_uid"],
                number=each["instance_number"],
                frames=each["frames"],
                rows=each["rows"],
                columns=each["columns"],
            )
            for each in series.images
        ),
        verdict=verdict_words(series.volumes) + before_words(series.voxels),
        no_planes=no_planes(series.volumes),
    )
