"""Features as a table: one row for each region, with what they were computed by; written as Parquet."""

import json
import math
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from firstread import __version__
from firstread.imaging.radiomics.features import codes, features
from firstread.imaging.radiomics.region import Mask
from firstread.imaging.radiomics.settings import RadiomicsError, Settings
from firstread.imaging.surface import inside
from firstread.imaging.volume import Volume

SETTINGS_KEY = b"firstread.radiomics"
"""Of the metadata of a table's schema: settings and version, JSON."""


def table(
    volume: Volume,
    masks: Mapping[str, Mask],
    settings: Settings = Settings(),  # noqa: B008 - frozen
    about: Mapping[str, str] | None = None,
) -> pa.Table:
    """Return a table with one row for each region of a volume.

    Parameters
    ----------
    volume
        As for `features`.
    masks
        By name.
    settings
        How; they stand in the metadata of the schema, under ``firstread.radiomics``.
    about
        Columns of text that are the same in each row, such as the Series Instance UID.

    Returns
    -------
    pyarrow.Table
        `about`, then roi, voxels, refused (the reason where a region has no features, else null), modality, units,
        geometry, spacing_slice_mm, spacing_row_mm, spacing_column_mm, then the features; null where one is not
        defined. The field of a feature has its IBSI code as metadata ``ibsi``. `pyarrow.concat_tables` joins tables
        of the same settings.

    Raises
    ------
    VolumeError
        As `features`: if no region of the volume can have features.
    ValueError
        If a name in `about` is one of a column.
    """
    rows = [_row(volume, name, mask, settings, about or {}) for name, mask in masks.items()]
    return pa.Table.from_pylist(rows, schema=_schema(settings, about or {}))


def write(made: pa.Table, path: str | PathLike[str]) -> None:
    """Write a table as Parquet, with the settings in its metadata."""
    pq.write_table(made, path, compression="zstd")


def _schema(settings: Settings, about: Mapping[str, str]) -> pa.Schema:
    told = json.dumps({"firstread": __version__, **settings.to_json()})
    fields = [pa.field(name, pa.string()) for name in about]
    fields += [pa.field("roi", pa.string()), pa.field("voxels", pa.int64())]
    fields += [pa.field(name, pa.string()) for name in ("refused", "modality", "units", "geometry")]
    fields += [pa.field(f"spacing_{name}_mm", pa.float64()) for name in ("slice", "row", "column")]
    fields += [
        pa.field(name, pa.float64(), metadata={"ibsi": code}) for name, code in codes(settings).items()
    ]
    if len({field.name for field in fields}) < len(fields):
        raise ValueError("a name of `about` is one of a column")
    return pa.schema(fields, metadata={SETTINGS_KEY: told})


def _row(
    volume: Volume, name: str, mask: Mask, settings: Settings, about: Mapping[str, str]
) -> dict[str, Any]:
    refused, found = None, {}
    try:
        found = features(volume, mask, settings)
    except RadiomicsError as error:
        refused = error.reason.value
    spacing = zip(("slice", "row", "column"), volume.spacing_mm, strict=True)
    return {
        **about,
        "roi": name,
        "voxels": int(np.count_nonzero(inside(mask))),
        "refused": refused,
        "modality": volume.modality,
        "units": volume.units,
        "geometry": volume.verdict.geometry.value,
        **{f"spacing_{axis}_mm": each for axis, each in spacing},
        **{each: value if math.isfinite(value) else None for each, value in found.items()},
    }
