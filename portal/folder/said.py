"""What is printed about a folder before it is shown."""

from collections.abc import Iterator

from portal.folder.kinds import Folder, Study
from portal.folder.local import series_views
from portal.folder.pages import title_of
from portal.folder.words import printable
from portal.logic.display import reason_words


def said(folder: Folder, most: int) -> Iterator[str]:
    """Yield lines: each series with its geometry, what draws on it, and what could not be read.

    Parameters
    ----------
    most
        How many of the files that could not be read are named.
    """
    for number, study in enumerate(folder.studies.values(), 1):
        yield f"study {number}"
        yield from _of_study(study)
    if folder.without_image:
        yield f"objects without an image (reports, plans): {folder.without_image}"
    if folder.left_out:
        yield f"{len(folder.left_out)} left out:"
    for path, reason in folder.left_out[:most]:
        yield f"  {printable(path)}: {reason_words(reason)}"
    if len(folder.left_out) > most:
        yield f"  and {len(folder.left_out) - most} more, which the page lists"
    if folder.other_files:
        yield f"{folder.other_files} other file{'' if folder.other_files == 1 else 's'}"
    if folder.unlisted:
        yield f"folders that could not be listed: {folder.unlisted}"


def _of_study(study: Study) -> Iterator[str]:
    for series in series_views(study):
        count = series.frame_total
        title = printable(title_of(series.modality, series.description))
        yield f"  {title}: {count} image{'' if count == 1 else 's'}, {series.verdict}"
    for drawn in study.drawn:
        count, on = len(drawn.regions), len(drawn.targets)
        title = printable(title_of(drawn.row["modality"] or "", drawn.row["series_description"] or ""))
        yield f"  {title}: {count} region{'' if count == 1 else 's'} on {on} series"
