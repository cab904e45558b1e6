"""Boxes of chunked arrays are what zarr would return."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from firstread.imaging.convert.stores.zarr3 import Zarr3
from firstread.imaging.learn.chunks import Chunks
from firstread.imaging.volume import Volume

SHAPE = (70, 66, 130)


@pytest.mark.parametrize("kind", ["int16", "uint8", "uint16", "int32", "float32"])
def test_boxes_are_those_of_zarr(kind: str) -> None:
    values = np.random.default_rng(1).integers(0, 200, SHAPE).astype(kind)
    values[:64, :64, 64:128] = 0  # a chunk that is not written
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.zarr")
        Zarr3(codec="lz4").write(Volume(values, np.eye(4), ()), path, {})
        assert not (path / "c" / "0" / "0" / "1").exists()
        ours, theirs = Chunks(path), zarr.open_array(path, mode="r")
        assert ours.shape == SHAPE

        @settings(max_examples=25)
        @given(st.tuples(*(st.tuples(st.integers(0, side), st.integers(0, side)) for side in SHAPE)))
        def check(ends: tuple[tuple[int, int], ...]) -> None:
            box = tuple(slice(min(each), max(each)) for each in ends)
            found = ours.read(box)
            assert found.dtype == values.dtype and np.array_equal(found, theirs[box])

        check()


def test_a_chunk_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    values = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    Zarr3(codec="lz4").write(Volume(values, np.eye(4), ()), tmp_path / "a.zarr", {})
    chunk = tmp_path / "a.zarr" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-20])
    with pytest.raises((RuntimeError, ValueError)):
        Chunks(tmp_path / "a.zarr").read((slice(0, 3),) * 3)
