"""What there is to learn from: series with the objects that draw regions on them, and labels."""

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom

from firstread.dicom.silence import quiet
from firstread.imaging.learn.errors import LearnError, LearnReason

if TYPE_CHECKING:
    import pyarrow

    from firstread.imaging.convert.tree import Tree
    from firstread.imaging.index import Index

Label = int | float | str
_REGIONS = ("SEG", "RTSTRUCT")
# An object that names its images is about these alone; one that names none is about its frame of reference.
_DRAWN = """
    SELECT DISTINCT links.target_series_uid AS series_uid, instances.path
    FROM links JOIN instances USING (sop_uid)
    WHERE links.modality IN ('SEG', 'RTSTRUCT') AND links.is_resolved AND (links.kind = 'source_images'
        OR links.kind = 'frame_of_reference' AND links.sop_uid NOT IN (
            SELECT sop_uid FROM links WHERE kind = 'source_images' AND sop_uid IS NOT NULL))
    ORDER BY ALL
"""
_OBJECTS = "SELECT study_uid, path FROM instances WHERE modality IN ('SEG', 'RTSTRUCT')"


@dataclass(frozen=True)
class Sample:
    """A series to learn from; its `repr` names nobody.

    Parameters
    ----------
    patient
        Who is never in two parts of a split: Patient ID, or the study where there is none.
    series_uid
        Series Instance UID.
    paths
        Its files.
    regions
        Files of segmentations and structure sets that are drawn on it.
    label
        Of the series or its patient; None where there is none.
    """

    patient: str = field(repr=False)
    series_uid: str = field(repr=False)
    paths: tuple[Path, ...] = field(repr=False)
    regions: tuple[Path, ...] = field(default=(), repr=False)
    label: Label | None = None


@dataclass(frozen=True)
class Selection:
    """What was found.

    Parameters
    ----------
    samples
        By study and series.
    left_out
        Series that make no sample, by reason: `several_volumes`, `region_object`, `no_volume`, or that of
        `VolumeReason`; of folders, files that are `unreadable`. Segmentations and structure sets of the studies that
        lead to none of the images: `regions_without_images`.
    """

    samples: tuple[Sample, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def from_index(
    index: "Index", series: "str | pyarrow.Table" = "true", parameters: Sequence[object] = ()
) -> Selection:
    """Return the series of an index that are one volume, with the objects whose links lead to them.

    Parameters
    ----------
    index
        Opened.
    series
        A condition of DuckDB's SQL on the columns of `series`, or a table with a column ``series_uid``.
    parameters
        For the question marks of the condition.

    Raises
    ------
    duckdb.Error
        If the condition is none.
    """
    if isinstance(series, str):
        rows = index.series(series, parameters)
    else:
        wanted = set(series.column("series_uid").to_pylist())
        rows = [each for each in index.series() if each["series_uid"] in wanted]
    drawn: dict[str, list[Path]] = defaultdict(list)
    for each in index.query(_DRAWN).to_pylist():
        drawn[each["series_uid"]].append(index.root / each["path"])
    leading = {each for paths in drawn.values() for each in paths}
    studies = {row["study_uid"] for row in rows}
    left = Counter(
        "regions_without_images"
        for each in index.query(_OBJECTS).to_pylist()
        if each["study_uid"] in studies and index.root / each["path"] not in leading
    )
    found: list[Sample] = []
    for row in rows:
        if reason := _unfit(row):
            left[reason] += 1
            continue
        uid = row["series_uid"]
        patient = _patient(row["patient_id"], row["study_uid"])
        found.append(Sample(patient, uid, tuple(index.paths(uid)), tuple(drawn[uid])))
    return Selection(tuple(found), dict(left))


def _unfit(row: Mapping[str, Any]) -> str:
    if row["modality"] in _REGIONS:
        return "region_object"
    if (row["volumes"] or 0) > 1:
        return "several_volumes"
    return "" if row["volumes"] else row["volume_reason"] or "no_volume"


def _patient(patient_id: str | None, study_uid: str) -> str:
    return (patient_id or "").strip() or f"\0{study_uid}"


def from_folders(folders: Iterable[str | os.PathLike[str]]) -> Selection:
    """Return the series of folders, each with the objects of these folders that name it or one of its images.

    Whether a series is one volume is found out when it is loaded; an index knows before.

    Parameters
    ----------
    folders
        Of any order and depth.
    """
    from firstread.imaging.convert.tree import grow

    tree = grow([Path(each) for each in folders], Path(os.devnull))
    left = Counter({"unreadable": len(tree.broken)})
    drawn, alone = _drawn(tree)
    left["regions_without_images"] = alone
    found: list[Sample] = []
    for uid, series in sorted(tree.series.items(), key=lambda each: (each[1].ids.study_uid, each[0])):
        if series.ids.modality in _REGIONS:
            left["region_object"] += 1
        elif not series.has_images:
            left["no_volume"] += 1
        else:
            patient = _patient(series.ids.patient_id, series.ids.study_uid)
            # A second copy of an image would make two slices of one place.
            first = {each.sop_uid: each.path for each in reversed(series.files)}
            found.append(Sample(patient, uid, tuple(sorted(first.values())), tuple(drawn[uid])))
    return Selection(tuple(found), dict(+left))


def _drawn(tree: "Tree") -> tuple[Mapping[str, list[Path]], int]:
    """Return the objects of each series, and how many lead to none."""
    from firstread.imaging.index.kinds import Kind
    from firstread.imaging.index.links import links_of

    home = {image.sop_uid: uid for uid, series in tree.series.items() for image in series.files}
    found: dict[str, list[Path]] = defaultdict(list)
    alone = 0
    for series in tree.series.values():
        for file in series.files if series.ids.modality in _REGIONS else ():
            with quiet():
                links = links_of(pydicom.dcmread(file.path, stop_before_pixels=True))
            named = [each["uid"] for each in links if each["kind"] == Kind.SOURCE]
            there = {home.get(each, each) for each in named} & tree.series.keys()
            alone += not there
            for uid in sorted(there):
                found[uid].append(file.path)
    return found, alone


def with_labels(samples: Iterable[Sample], labels: Mapping[str, Label]) -> tuple[Sample, ...]:
    """Return samples with their labels.

    Parameters
    ----------
    samples
        Of one data set.
    labels
        By Series Instance UID or, for those it does not have, by Patient ID.

    Raises
    ------
    LearnError
        ``no_label`` if one has none: leave it out on purpose, or label it.
    """
    made = []
    for each in samples:
        label = labels.get(each.series_uid, labels.get(each.patient))
        if label is None:
            raise LearnError(LearnReason.NO_LABEL)
        made.append(replace(each, label=label))
    return tuple(made)


def read_labels(path: str | os.PathLike[str], column: str = "label") -> dict[str, Label]:
    """Read labels from CSV.

    Parameters
    ----------
    path
        With a line of names: ``series_uid`` or ``patient_id``, and that of the label.
    column
        The label: whole numbers where all are, else numbers where all are, else text.

    Raises
    ------
    LearnError
        ``labels_not_understood`` if a column is missing, a cell is empty, or one key has two labels.
    OSError
        If it cannot be read.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    key = next((name for name in ("series_uid", "patient_id") if rows and name in rows[0]), None)
    if key is None or any(
        not (row.get(key) or "").strip() or not (row.get(column) or "").strip() for row in rows
    ):
        raise LearnError(LearnReason.BAD_LABELS)
    texts: dict[str, str] = {}
    for row in rows:
        if texts.setdefault(row[key].strip(), row[column].strip()) != row[column].strip():
            raise LearnError(LearnReason.BAD_LABELS)
    for kind in (int, float):
        try:
            return {uid: kind(text) for uid, text in texts.items()}
        except ValueError:
            continue
    return dict(texts)
