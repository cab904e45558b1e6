"""An index that is asked: SQL by DuckDB on its Parquet files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstread.imaging.index.store import TABLES, IndexingError, Store

if TYPE_CHECKING:
    import pyarrow

_VIEWS = {
    "instances": "SELECT * FROM files WHERE outcome = 'instance'",
    "studies": """SELECT study_uid, any_value(patient_id) AS patient_id, any_value(patient_sex) AS patient_sex,
        any_value(patient_age_years) AS patient_age_years, any_value(study_date) AS study_date,
        any_value(study_description) AS study_description, list_sort(list_distinct(list(modality))) AS modalities,
        count(*) AS series, sum(instances)::BIGINT AS instances, sum(bytes)::BIGINT AS bytes
        FROM series GROUP BY study_uid""",
}


class Index:
    """An index, opened to be read.

    Parameters
    ----------
    folder
        That was given to `firstread.imaging.index.build` as ``out``.

    Raises
    ------
    IndexingError
        If it is none, or its last run has not ended.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        import duckdb

        place = Path(folder).resolve()
        manifest = Store(place).manifest() if place.is_dir() else None
        if manifest is None:
            raise IndexingError("there is no index, or the run that writes it has not ended")
        self.root = Path(manifest["root"])
        """The folder that was indexed."""
        self._connection = duckdb.connect()
        for name in TABLES:
            file = str(place / f"{name}.parquet").replace("'", "''")
            # A name with a star in it would be a pattern.
            view = f"CREATE VIEW {name} AS SELECT * FROM read_parquet(['{_literal(file)}'])"  # noqa: S608 - both ours
            self._connection.execute(view)
        for name, query in _VIEWS.items():
            self._connection.execute(f"CREATE VIEW {name} AS {query}")

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Index":
        """Open an index.

        Parameters
        ----------
        folder
            As for `Index`.

        Raises
        ------
        IndexingError
            As `Index`.
        """
        return cls(folder)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> "pyarrow.Table":
        """Return what a query finds in the tables and views.

        Parameters
        ----------
        sql
            One statement of DuckDB's SQL.
        parameters
            For its question marks.

        Raises
        ------
        duckdb.Error
            If it is none.
        """
        found: pyarrow.Table = self._connection.sql(sql, params=list(parameters)).to_arrow_table()
        return found

    def series(self, where: str = "true", parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return series, by their UIDs.

        Parameters
        ----------
        where, parameters
            A condition of DuckDB's SQL on the columns of `series`.

        Raises
        ------
        duckdb.Error
            If it is none.
        """
        sql = f"SELECT * FROM series WHERE ({where}) ORDER BY study_uid, series_uid"  # noqa: S608 - it is SQL
        found: list[dict[str, Any]] = self.query(sql, parameters).to_pylist()
        return found

    def paths(self, series_uid: str) -> list[Path]:
        """Return the files of a series, for `firstread.imaging.load`.

        Parameters
        ----------
        series_uid
            Series Instance UID; () of one that is not there.
        """
        found = self.query("SELECT path FROM instances WHERE series_uid = ? ORDER BY path", [series_uid])
        return [self.root / each for each in found.column("path").to_pylist()]


def _literal(path: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in path)
