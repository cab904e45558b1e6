"""Quality figures of volumes, of those of their images."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

Row = dict[str, Any]
_PLACE = ("patient_id", "study_uid", "series_uid", "modality", "number")


def quality(volumes: Sequence[Row], images: Sequence[Row], pixels: Mapping[str, Row]) -> Iterator[Row]:
    """Return a row for each volume, and each series that is none, of which an image was looked at.

    Parameters
    ----------
    volumes
        Rows of `volumes`.
    images
        Rows of `files` of images.
    pixels
        Rows of `pixels` by path.
    """
    by_uid = {row["sop_uid"]: row["path"] for row in images}
    by_series: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in images:
        by_series[row["study_uid"], row["series_uid"]].append(row["path"])
    for volume in volumes:
        uids = volume.get("sop_uids")
        own = by_series[volume["study_uid"], volume["series_uid"]]
        paths = own if uids is None else [by_uid[uid] for uid in uids]
        found = [pixels[path] for path in paths if path in pixels]
        if found:
            yield {name: volume[name] for name in _PLACE} | {"images": len(paths)} | _of(found)


def _of(found: Sequence[Row]) -> Row:
    measured = [row for row in found if row["reason"] is None]
    full = [row for row in measured if row["lowest"] is not None]
    valued = [row["voxels"] - row["padding_voxels"] for row in full]
    lowest = min((row["lowest"] for row in full), default=None)
    highest = max((row["highest"] for row in full), default=None)
    told = [row["noise"] for row in full if row["noise"] is not None]
    count = sum(valued)
    return {
        "measured": len(measured),
        "reason": next((row["reason"] for row in found if row["reason"] is not None), None),
        "noise": median(told) if told else None,
        "lowest": lowest,
        "highest": highest,
        "mean": sum(row["mean"] * share / count for row, share in zip(full, valued, strict=True))
        if count
        else None,
        "at_lowest": _share((row["lowest_voxels"] for row in full if row["lowest"] == lowest), count),
        "at_highest": _share((row["highest_voxels"] for row in full if row["highest"] == highest), count),
        "clipped_low": _share((row["clipped_low_voxels"] for row in full), count),
        "clipped_high": _share((row["clipped_high_voxels"] for row in full), count),
        "padding": _share(
            (row["padding_voxels"] for row in measured), sum(row["voxels"] for row in measured)
        ),
        **{
            name: sum(row[name] for row in measured) for name in ("frames", "constant_frames", "empty_frames")
        },
    }


def _share(counts: Iterator[int | None], of: int) -> float | None:
    """Return the sum as a share; None where one is not known, or there is nothing."""
    known = list(counts)
    return sum(each or 0 for each in known) / of if of and None not in known else None
