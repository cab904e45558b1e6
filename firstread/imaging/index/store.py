"""The folder of an index: Parquet files, of which all or none are of one run."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstread.errors import FirstReadError
from firstread.imaging.index import values
from firstread.imaging.index.columns import COLUMNS

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]

VERSION = 2
"""Of the tables. An index of another one is built anew."""
TABLES = ("files", "series", "volumes", "links", "rois", "pixels", "quality")
_MANIFEST = "index.json"
_KEEP_EVERY, _KEEP_SECONDS = 20_000, 60.0
_NOT_OF_A_SERIES = frozenset({"sop_uid", "instance_number", "acquisition_number"})
PER_SERIES = (
    *(each.name for each in COLUMNS if each.name not in _NOT_OF_A_SERIES),
    "patient_age_years",
)
"""Columns of instances that a series has too."""


class IndexingError(FirstReadError):
    """A folder that cannot be indexed, or an index that cannot be used; the text says why and quotes nothing."""


@lru_cache
def schemas() -> dict[str, "pyarrow.Schema"]:
    """Return the columns of each table."""
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int64(), pa.float64()
    kinds = {
        values.number: real,
        values.integer: whole,
        values.day: pa.date32(),
        values.words: pa.list_(text),
        values.body_parts: pa.list_(text),
    }
    header = {each.name: kinds.get(each.read, text) for each in COLUMNS} | {"patient_age_years": real}
    link = {"kind": text, "level": text, "uid": text}
    roi = {"number": text, "name": text, "type": text, "algorithm": text, "contours": whole}
    file = {"path": text, "size": whole, "mtime_ns": whole, "outcome": text, "reason": text}
    again = {"duplicate_of": text, "same_bytes": pa.bool_(), "sha256": text}
    frames = {"frames": whole, "planes": pa.list_(real), "keys": text, "planar_spacing": pa.list_(real)}
    place = {"patient_id": text, "study_uid": text, "series_uid": text, "modality": text}
    counts = {"instances": whole, "bytes": whole, "frames": whole, "volumes": whole}
    judged = {"geometry": text, "reason": text, "verdict": text, "missing_slices": whole}
    sizes = {"times": whole, "slices": whole, "rows": whole, "columns": whole}
    found: dict[str, dict[str, Any]] = {
        "files": file
        | again
        | {"derived_uids": pa.list_(text), "transfer_syntax_uid": text}
        | header
        | frames
        | {"is_image": pa.bool_(), "links": pa.list_(pa.struct(link)), "rois": pa.list_(pa.struct(roi))},
        "series": {name: header[name] for name in PER_SERIES}
        | {"transfer_syntax_uid": text, "differing": pa.list_(text), "derived_uids": pa.list_(text)}
        | counts
        | {"geometry": text, "volume_reason": text, "missing_slices": whole}
        | {"slice_spacing_mm": real, "row_spacing_mm": real, "column_spacing_mm": real},
        "volumes": place
        | {"number": whole}
        | judged
        | sizes
        | {"slice_spacing_mm": real, "row_spacing_mm": real, "column_spacing_mm": real}
        | {"affine": pa.list_(real), "sop_uids": pa.list_(text)},
        "links": place
        | {"sop_uid": text, "kind": text, "level": text, "target_uid": text}
        | {"target_series_uid": text, "target_modality": text, "count": whole, "is_resolved": pa.bool_()},
        "rois": place | {"sop_uid": text, "path": text} | {**roi, "number": whole},
        "pixels": {"path": text, "size": whole, "mtime_ns": whole, "reason": text}
        | dict.fromkeys(("frames", "voxels", "padding_voxels"), whole)
        | dict.fromkeys(("noise", "lowest", "highest", "mean"), real)
        | dict.fromkeys(
            ("lowest_voxels", "highest_voxels", "clipped_low_voxels", "clipped_high_voxels"), whole
        )
        | {"constant_frames": whole, "empty_frames": whole},
        "quality": place
        | {"number": whole, "images": whole, "measured": whole, "reason": text}
        | dict.fromkeys(("noise", "lowest", "highest", "mean"), real)
        | dict.fromkeys(("at_lowest", "at_highest", "clipped_low", "clipped_high", "padding"), real)
        | dict.fromkeys(("frames", "constant_frames", "empty_frames"), whole),
    }
    return {name: pa.schema(list(columns.items())) for name, columns in found.items()}


class Store:
    """The folder of an index.

    Parameters
    ----------
    folder
        Made where it is missing.

    Raises
    ------
    IndexingError
        If it is something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = folder / "parts"
        if folder.exists() and not (folder.is_dir() and self._is_ours()):
            raise IndexingError("the folder for the index holds something else")

    def _is_ours(self) -> bool:
        held = {each.name for each in self.folder.iterdir()}
        return not held or ".lock" in held

    @contextmanager
    def alone(self, root: Path) -> Iterator[None]:
        """Hold the index for one run at a time.

        Parameters
        ----------
        root
            The folder that is indexed.

        Raises
        ------
        IndexingError
            If another run holds it, or it is that of another folder: even of runs that did not end, rows are kept.
        """
        self._parts.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise IndexingError("another run is writing this index") from None
            lock.seek(0)
            if (before := lock.read()) not in (b"", os.fsencode(root)):
                raise IndexingError("the index is that of another folder")
            if not before:
                lock.write(os.fsencode(root))
                lock.flush()
            yield

    def manifest(self) -> Row | None:
        """Return what is known of the run that wrote the tables; None where none has ended."""
        try:
            found = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("version") == VERSION else None

    def known(self, name: str) -> dict[str, Row]:
        """Return what runs before have read, by path: the last that ended, and those that did not.

        Parameters
        ----------
        name
            Of the table: ``files`` or ``pixels``.
        """
        import pyarrow.parquet as pq

        found: dict[str, Row] = {}
        for path in (self.folder / f"{name}.parquet", *sorted(self._parts.glob(f"{name}-*.parquet"))):
            try:
                table = pq.ParquetFile(path).read()  # read_table would load what data sets of many files need
            except (OSError, ValueError):
                continue  # none yet, or one that was being written
            if table.schema.equals(schemas()[name]):
                found.update((row["path"], row) for row in table.to_pylist())
        return found

    @contextmanager
    def keeping(self, name: str) -> Iterator[Callable[[Row], None]]:
        """Keep the rows of a run that takes long now and then, and when it is stopped.

        Parameters
        ----------
        name
            Of their table.

        Yields
        ------
        Callable
            Is given each row.
        """
        rows: list[Row] = []
        since = time.monotonic()

        def keep() -> None:
            nonlocal since
            if rows:
                number = sum(1 for _ in self._parts.iterdir())
                self._write(self._parts / f"{name}-{number:08d}.parquet", rows, name)
            rows.clear()
            since = time.monotonic()

        def add(row: Row) -> None:
            rows.append(row)
            if len(rows) >= _KEEP_EVERY or time.monotonic() - since > _KEEP_SECONDS:
                keep()

        try:
            yield add
        except BaseException:
            keep()
            raise

    def write(self, tables: Mapping[str, Sequence[Row]], manifest: Row) -> None:
        """Replace tables, and forget the rows that were kept.

        Parameters
        ----------
        tables
            Rows by table; of an index that is new, all.
        manifest
            What there is to know of the run.
        """
        # Without its manifest an index is unfinished: nobody reads tables of two runs.
        (self.folder / _MANIFEST).unlink(missing_ok=True)
        for name, rows in tables.items():
            self._write(self.folder / f"{name}.parquet", rows, name)
        for each in self._parts.iterdir():
            each.unlink()
        new = self.folder / f"{_MANIFEST}.new"
        new.write_text(json.dumps({"version": VERSION, **manifest}, indent=1), encoding="utf-8")
        new.replace(self.folder / _MANIFEST)

    def _write(self, path: Path, rows: Sequence[Row], name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        new = path.with_suffix(".new")
        pq.write_table(pa.Table.from_pylist(rows, schema=schemas()[name]), new, compression="zstd")
        new.replace(path)
