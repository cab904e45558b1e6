"""NIfTI-1: voxels as they lie in memory, the affine in RAS.

The header is written here, as it is 348 bytes (nifti1.h) and the usual writer would copy the voxels. Fields are those
of the NIfTI-1.1 standard: of sform and qform each has its code, 1 (scanner) where the affine is that of the patient,
0 where it says nothing.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.convert.options import ConvertError, ConvertReason
from firstread.imaging.slices import Matrix
from firstread.imaging.verdict import Geometry
from firstread.imaging.volume import Volume

Array = npt.NDArray[Any]

_TYPES = {
    "uint8": 2,
    "int16": 4,
    "int32": 8,
    "float32": 16,
    "float64": 64,
    "int8": 256,
    "uint16": 512,
    "uint32": 768,
}
_RGB24 = 128
_VECTOR = 1007
_START = 352.0
_LONGEST_SIDE = 2**15 - 1
_MILLIMETRES = 2
_HEADER = struct.Struct("<i10s18sihBB8h3f4h8f3fhBB4f2i80s24s2h6f12f16s4s")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_REVERSED = [2, 1, 0, 3]
_PIECE = 4 * 1024 * 1024


def to_ras(affine: Matrix) -> Matrix:
    """Return the affine from (column, row, slice) to RAS of one from (slice, row, column) to LPS; and back."""
    found: Matrix = _LPS_TO_RAS @ affine[:, _REVERSED]
    return found


class Nifti:
    """Volumes in NIfTI-1.

    Parameters
    ----------
    compress
        Whether it is `.nii.gz`: level 1, with neither name nor time within, so that equal voxels are equal files.
    """

    def __init__(self, *, compress: bool) -> None:
        self._compress = compress

    def write(self, volume: Volume, path: Path, said: Mapping[str, object]) -> None:  # noqa: ARG002 - no place for it
        """Write a volume."""
        values, code, intent = _laid_out(volume)
        with _opened(path, compress=self._compress) as write:
            write(_header(volume, values, code, intent))
            whole = np.ascontiguousarray(values).data.cast("B")
            for start in range(0, len(whole), _PIECE):
                write(whole[start : start + _PIECE])

    def read(self, path: Path) -> tuple[Array, Matrix | None, Mapping[str, object] | None]:
        """Return voxels and affine; those of plain files are read where they are looked at."""
        try:
            if self._compress:
                from isal import igzip

                with igzip.open(path) as file:  # type: ignore[no-untyped-call]
                    data = file.read()
                head, raw = data[:352], np.frombuffer(data, np.uint8, offset=352)
            else:
                with path.open("rb") as file:
                    head = file.read(352)
                raw = np.memmap(path, np.uint8, "r", offset=352)
            return _understood(head, raw)
        except (struct.error, ValueError, OSError, EOFError):
            raise ConvertError(ConvertReason.NOT_OURS) from None


def _laid_out(volume: Volume) -> tuple[Array, int, int]:
    """Return values in NIfTI's order, the first axis the slowest; their data type; their intent."""
    values = volume.values
    if volume.is_in_time and volume.is_colour:
        raise ConvertError(ConvertReason.NOT_FOR_FORMAT)
    if max(values.shape) > _LONGEST_SIDE:
        raise ConvertError(ConvertReason.NOT_FOR_FORMAT)
    if volume.is_colour and values.dtype == np.uint8:
        return values, _RGB24, 0
    code = _TYPES.get(values.dtype.name)
    if code is None:
        raise ConvertError(ConvertReason.NOT_FOR_FORMAT)
    # Samples of more than eight bits have no type of their own: they are the fifth dimension (intent vector).
    return (np.moveaxis(values, -1, 0)[:, None], code, _VECTOR) if volume.is_colour else (values, code, 0)


def _header(volume: Volume, values: Array, code: int, intent: int) -> bytes:
    shape = values.shape[:-1] if code == _RGB24 else values.shape
    sides = [*reversed(shape)]
    affine = to_ras(volume.affine)
    placed = volume.verdict.geometry is not Geometry.PLANAR
    upright = placed and volume.is_upright
    quaternion, handed = _quaternion(affine) if upright else ((0.0, 0.0, 0.0), 1.0)
    spacing = [volume.spacing_mm[2], volume.spacing_mm[1], volume.spacing_mm[0]]
    bits = 24 if code == _RGB24 else 8 * values.dtype.itemsize
    offset = affine[:3, 3].tolist() if upright else [0.0] * 3
    rows = affine[:3].ravel().tolist() if placed else [0.0] * 12
    return (
        _HEADER.pack(
            348, b"", b"", 0, 0, ord("r"), 0,
            len(sides), *sides, *[1] * (7 - len(sides)),
            0.0, 0.0, 0.0, intent, code, bits, 0,
            handed, *spacing, *[1.0] * 4,
            _START, 0.0, 0.0, 0, 0, _MILLIMETRES,
            0.0, 0.0, 0.0, 0.0, 0, 0,
            b"", b"", int(upright), int(placed),
            *quaternion, *offset, *rows, b"", b"n+1\0",
        )
        + b"\0" * 4
    )  # fmt: skip


def _quaternion(affine: Matrix) -> tuple[tuple[float, float, float], float]:
    """Return b, c, d of the rotation, and qfac: -1 where the third axis is the other way (nifti1.h, method 2)."""
    turn = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    handed = 1.0 if np.linalg.det(turn) > 0 else -1.0
    turn = turn * [1.0, 1.0, handed]
    # The quaternion is the eigenvector of the largest eigenvalue (I. Y. Bar-Itzhack, 2000): right for every rotation.
    xx, yx, zx, xy, yy, zy, xz, yz, zz = turn.ravel(order="F")
    k = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    vectors = np.linalg.eigh(k)[1]
    b, c, d, _ = vectors[:, -1] * (-1.0 if vectors[3, -1] < 0 else 1.0)
    return (float(b), float(c), float(d)), handed


@contextmanager
def _opened(path: Path, *, compress: bool) -> Iterator[Any]:
    with path.open("xb", buffering=0) as file:
        if not compress:
            yield lambda piece: _all(file, piece)
            return
        from isal import isal_zlib

        packer = isal_zlib.compressobj(1, wbits=31)
        yield lambda piece: _all(file, packer.compress(piece))
        _all(file, packer.flush())


def _all(file: IO[bytes], piece: bytes | memoryview) -> None:
    """Write all of a piece: an unbuffered file may take less at a time."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


_SCALES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Millimetres of the units of space: not said, metres, millimetres, micrometres."""


def _understood(head: bytes, raw: Array) -> tuple[Array, Matrix | None, None]:
    found = _HEADER.unpack(head[:348])
    sides, intent, code = found[8:15][: found[7]], found[18], found[19]
    if found[0] != 348 or found[-1] != b"n+1\0" or found[30] != _START:
        raise ConvertError(ConvertReason.NOT_OURS)
    names = {number: name for name, number in _TYPES.items()}
    if code == _RGB24:
        values = raw.reshape(*reversed(sides), 3)
    elif code in names:
        values = raw.view(np.dtype(names[code]).newbyteorder("<")).reshape(*reversed(sides))
    else:
        raise ConvertError(ConvertReason.NOT_OURS)
    if intent == _VECTOR:
        values = np.moveaxis(values[:, 0], 0, -1)
    slope, zero = found[31], found[32]
    is_scaled = np.isfinite([slope, zero]).all() and slope and (slope, zero) != (1.0, 0.0)  # nifti1.h
    if is_scaled and code != _RGB24:
        values = (values * np.float64(slope) + zero).astype(np.float32)
    placed = found[-21]
    affine = None
    if placed:
        rows = np.reshape(found[-14:-2], (3, 4)) * _SCALES.get(found[35] & 7, 1.0)
        affine = to_ras(np.vstack([rows, [0.0, 0.0, 0.0, 1.0]]))
    return values, affine, None
