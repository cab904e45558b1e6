"""A table has one row for each region, what it was computed by, and comes back from Parquet."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firstread.imaging.radiomics import BinSize, Settings, codes, features, table, write
from tests.support import ibsi

SETTINGS = Settings(BinSize(1.0), (0.5, 10.0))
INSIDE = ibsi.PHANTOM > 0


def test_one_row_for_each_region_and_a_reason_where_it_has_no_features(tmp_path: Path) -> None:
    one = np.zeros_like(INSIDE)
    one[0, 0, 0] = True
    masks = {"phantom": INSIDE, "one": one, "none": np.zeros_like(INSIDE)}
    write(table(ibsi.phantom(), masks, SETTINGS, {"series_uid": "2.25.2"}), tmp_path / "features.parquet")
    rows = pq.read_table(tmp_path / "features.parquet").to_pylist()
    assert [(each["roi"], each["voxels"], each["refused"]) for each in rows] == [
        ("phantom", 74, None),
        ("one", 1, None),
        ("none", 0, "empty_region"),
    ]
    assert {each["series_uid"] for each in rows} == {"2.25.2"}
    assert rows[0]["spacing_row_mm"] == 2.0
    assert rows[0]["geometry"] == "regular"
    expected = features(ibsi.phantom(), INSIDE, SETTINGS)
    assert {name: rows[0][name] for name in expected} == pytest.approx(expected)
    undefined = {name for name, value in features(ibsi.phantom(), one, SETTINGS).items() if math.isnan(value)}
    assert undefined
    assert {name for name in codes(SETTINGS) if rows[1][name] is None} == undefined
    assert all(rows[2][name] is None for name in codes(SETTINGS))


def test_settings_and_codes_are_written_beside_the_values(tmp_path: Path) -> None:
    write(table(ibsi.phantom(), {"phantom": INSIDE}, SETTINGS), tmp_path / "features.parquet")
    schema = pq.read_schema(tmp_path / "features.parquet")
    told = json.loads(schema.metadata[b"firstread.radiomics"])
    assert told["discretisation"] == {"method": "fixed_bin_size", "width": 1.0}
    assert told["intensity_range"] == [0.5, 10.0]
    assert told["aggregation"] == "3D_comb"
    assert schema.field("stat_mean").metadata[b"ibsi"] == b"Q4LE"


def test_tables_of_one_kind_are_joined_and_may_be_empty() -> None:
    some = table(ibsi.phantom(), {"phantom": INSIDE}, SETTINGS)
    none = table(ibsi.phantom(), {}, SETTINGS)
    assert pa.concat_tables([some, none, some]).num_rows == 2


def test_a_column_is_not_told_twice() -> None:
    with pytest.raises(ValueError, match="about"):
        table(ibsi.phantom(), {}, SETTINGS, {"roi": "x"})
