"""The pages of a folder: what it holds, and a study of it in the viewer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portal.folder.kinds import Drawn, Study
from portal.folder.local import FolderSeries, Local, series_views
from portal.folder.routes import FolderStudy, Shown
from portal.logic.display import reason_words
from portal.services import templates

_MOST_LISTED = 200

router = APIRouter()


@dataclass(frozen=True)
class Summary:
    """What the list says of a study, and what the viewer's part of a page asks of one.

    Parameters
    ----------
    number
        1 first; two studies may have nothing else that tells people one from the other.
    """

    number: int
    study_uid: str
    patient: str
    date: str
    description: str
    modalities: tuple[str, ...]
    simulated: bool = False


@dataclass(frozen=True)
class Page:
    """A study of a folder."""

    summary: Summary
    series: tuple[FolderSeries, ...]
    drawn: tuple[Drawn, ...]

    @property
    def titles(self) -> dict[str, str]:
        """Return what each series is called."""
        return {each.series_uid: title_of(each.modality, each.description) for each in self.series}


def title_of(modality: str, description: str) -> str:
    """Return what a series is called."""
    return " · ".join(filter(None, (modality, description))) or "Series"


def pages_of(local: Local) -> Iterator[Page]:
    """Return the studies of a folder."""
    for number, study in enumerate(local.folder.studies.values(), 1):
        yield _page(number, study)


def _page(number: int, study: Study) -> Page:
    first = study.first
    found = {each.images[0]["modality"] or "" for each in study.series}
    found |= {each.row["modality"] or "" for each in study.drawn}
    summary = Summary(
        number,
        study.uid,
        first["patient_id"] or "",
        str(first["study_date"] or ""),
        first["study_description"] or "",
        tuple(sorted(found - {""})),
    )
    return Page(summary, series_views(study), study.drawn)


@router.get("/")
def show_folder(request: Request, local: Shown) -> Response:
    """List what the folder holds."""
    folder = local.folder
    left_out = [(path, reason_words(reason)) for path, reason in folder.left_out[:_MOST_LISTED]]
    context: dict[str, Any] = {
        "name": folder.root.name or str(folder.root),
        "pages": list(pages_of(local)),
        "folder": folder,
        "left_out": left_out,
    }
    return templates.TemplateResponse(request, "folder.html", context)


@router.get("/studies/{study_uid}")
def show_study(request: Request, local: Shown, study_uid: str, series: str = "") -> Response:
    """Show a study, beginning with a series."""
    study = local.study(study_uid)
    number = list(local.folder.studies).index(study_uid) + 1
    page = _page(number, study)
    # The series that the viewer begins with: the one that was asked for, else the first.
    first = next((each for each in page.series if each.series_uid == series), next(iter(page.series), None))
    context: dict[str, Any] = {
        "study": page,
        "begin": first,
        "entry": FolderStudy(series=page.series).model_dump(mode="json"),
    }
    return templates.TemplateResponse(request, "folder_study.html", context)
