"""The folder of an index: Parquet files, of which all or none are of one run."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
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

VERSION = 1
"""Of the tables. An index of another one is built anew."""
TABLES = ("files", "series", "volumes", "links", "rois")
_MANIFEST = "index.json"
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
        | {"transfer_syntax_uid": text}
        | header
        | frames
        | {"is_image": pa.bool_(), "links": pa.list_(pa.struct(link)), "rois": pa.list_(pa.struct(roi))},
        "series": {name: header[name] for name in PER_SERIES}
        | {"transfer_syntax_uid": text, "differing": pa.list_(text)}
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

    def known(self) -> dict[str, Row]:
        """Return the files of runs before, by path: of the last that ended, and of those that did not."""
        import pyarrow.parquet as pq

        found: dict[str, Row] = {}
        files = [self.folder / "files.parquet", *sorted(self._parts.glob("*.parquet"))]
        for path in files:
            try:
                table = pq.read_table(path, partitioning=None)
            except (OSError, ValueError):
                continue  # none yet, or one that was being written
            if table.schema.equals(schemas()["files"]):
                found.update((row["path"], row) for row in table.to_pylist())
        return found

    def keep(self, rows: Sequence[Row]) -> None:
        """Keep rows of a run that has not ended."""
        number = sum(1 for _ in self._parts.iterdir())
        self._write(self._parts / f"{number:08d}.parquet", rows, "files")

    def write(self, tables: dict[str, Sequence[Row]], manifest: Row) -> None:
        """Replace all tables.

        Parameters
        ----------
        tables
            Rows by table.
        manifest
            What there is to know of the run.
        """
        # Without its manifest an index is unfinished: nobody reads tables of two runs.
        (self.folder / _MANIFEST).unlink(missing_ok=True)
        for name in TABLES:
            self._write(self.folder / f"{name}.parquet", tables[name], name)
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
