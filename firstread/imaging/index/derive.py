"""Series, volumes, links and regions, of the rows of files."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from firstread.imaging.index.identity import NAMES
from firstread.imaging.index.kinds import Kind, Level
from firstread.imaging.index.store import PER_SERIES
from firstread.imaging.index.volumes import volumes_of

Row = dict[str, Any]
_PLACE = ("patient_id", "study_uid", "series_uid", "modality")
_SPACING = ("slice_spacing_mm", "row_spacing_mm", "column_spacing_mm")
_OVER_IMAGES = frozenset({"PT", "RTDOSE", "RTSTRUCT", "SEG"})
_ANATOMY = frozenset({"CT", "MR"})


def tables(files: Sequence[Row], root: Path) -> dict[str, list[Row]]:
    """Return the rows of all tables but that of files.

    Parameters
    ----------
    files
        Instances, by path.
    root
        Where they are.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in files:
        groups[row["study_uid"], row["series_uid"]].append(row)
    series: list[Row] = []
    volumes: list[Row] = []
    for members in groups.values():
        place = {name: members[0][name] for name in _PLACE}
        own = volumes_of([each for each in members if each["is_image"]], root)
        volumes += [place | {"number": number} | each for number, each in enumerate(own)]
        series.append(_series(members, own))
    return {
        "series": sorted(series, key=lambda each: (each["study_uid"], each["series_uid"])),
        "volumes": volumes,
        "links": list(_links(files, series)),
        "rois": list(_rois(files)),
    }


def _series(members: Sequence[Row], volumes: Sequence[Row]) -> Row:
    found: Row = {}
    differing = []
    for name in (*PER_SERIES, "transfer_syntax_uid"):
        values = [each[name] for each in members]
        if values.count(values[0]) == len(values):
            found[name] = values[0]
        else:
            differing.append(name)
    first_volume = volumes[0] if volumes else {}
    kinds = {each["geometry"] for each in volumes}
    worst = next((each for each in ("refused", "mended", "planar", "regular") if each in kinds), None)
    return {
        **found,
        "differing": differing,
        "derived_uids": [name for name in NAMES if any(name in each["derived_uids"] for each in members)],
        # Never null: without them no row would say which series it is about.
        "study_uid": members[0]["study_uid"],
        "series_uid": members[0]["series_uid"],
        "instances": len(members),
        "bytes": sum(each["size"] for each in members),
        "frames": sum(each["frames"] for each in members),
        "volumes": len(volumes) if worst != "refused" else 0,
        "geometry": worst,
        "volume_reason": first_volume.get("reason"),
        "missing_slices": sum(each.get("missing_slices") or 0 for each in volumes),
        **{name: first_volume.get(name) for name in _SPACING},
    }


def _links(files: Sequence[Row], series: Sequence[Row]) -> Iterator[Row]:
    by_instance = {row["sop_uid"]: row for row in files}
    by_series = {row["series_uid"]: row for row in series}
    by_frame: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in files:
        if row["is_image"] and row["modality"] in _ANATOMY and row["frame_of_reference_uid"]:
            by_frame[row["frame_of_reference_uid"]][row["series_uid"]] = row
    held: dict[str, dict[str, dict[str, Row]]] = {
        Level.INSTANCE: {uid: {row["series_uid"]: row} for uid, row in by_instance.items()},
        Level.SERIES: {uid: {uid: row} for uid, row in by_series.items()},
        Level.FRAME_OF_REFERENCE: by_frame,
    }
    counted: Counter[tuple[Any, ...]] = Counter()
    for row in files:
        for link in _own_links(row):
            targets = held[link["level"]].get(link["uid"], {})
            for uid, target in targets.items() or [(None, None)]:
                # Many images of one series, which is there, are one link.
                named = None if uid and link["level"] == Level.INSTANCE else link["uid"]
                place = tuple(row[name] for name in _PLACE)
                modality = target["modality"] if target else None
                of = None if row["modality"] == "PT" else row["sop_uid"]
                counted[(*place, of, link["kind"], link["level"], named, uid, modality)] += 1
    names = (*_PLACE, "sop_uid", "kind", "level", "target_uid", "target_series_uid", "target_modality")
    for values, count in counted.items():
        found = dict(zip(names, values, strict=True))
        yield found | {"count": count, "is_resolved": found["target_series_uid"] is not None}


def _own_links(row: Row) -> Iterator[dict[str, str]]:
    links = row["links"] or []
    yield from links
    frame = row["frame_of_reference_uid"]
    named = any(each["level"] == Level.FRAME_OF_REFERENCE for each in links)
    if row["modality"] in _OVER_IMAGES and frame and not named:
        yield {"kind": Kind.FRAME_OF_REFERENCE, "level": Level.FRAME_OF_REFERENCE, "uid": frame}


def _rois(files: Sequence[Row]) -> Iterator[Row]:
    for row in files:
        for roi in row["rois"] or []:
            number = roi["number"]
            yield {name: row[name] for name in (*_PLACE, "sop_uid", "path")} | {
                **roi,
                "number": int(number) if number.isascii() and number.isdigit() and len(number) < 18 else None,
            }
