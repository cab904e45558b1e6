"""A folder of DICOM files as tables that answer SQL.

`build` reads headers into Parquet, `Index` asks them by DuckDB. The tables hold what headers hold, patients' IDs among
them; nothing of it goes into logs, errors or `Summary`.
"""

from firstread.imaging.index.build import Summary, build
from firstread.imaging.index.opened import Index
from firstread.imaging.index.store import IndexingError

__all__ = ["Index", "IndexingError", "Summary", "build"]
