"""Volumes in files of research as the images of a viewer: NIfTI, and what `firstread convert` wrote.

A volume is served as one image for each slice, made when it is asked for. Slices are turned so that they are looked at
as readers do: from the feet, from the front, from the left; where each voxel lies in the patient stays the same.
"""

import json
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from firstread.dicomweb.errors import CannotRenderError
from firstread.errors import FirstReadError
from firstread.imaging.convert.reading import open as open_converted
from firstread.imaging.convert.stores.nifti import to_ras
from firstread.imaging.pixels import MAX_FRAME_PIXELS
from firstread.imaging.slices import SAME_DIRECTION, Matrix

Array = npt.NDArray[Any]

SUFFIXES = (".nii", ".nii.gz", ".h5", ".zarr")
UNREADABLE, TOO_LARGE, NOT_SHOWN = "unreadable", "too_large", "not_decoded"
_MOST_IMAGES = 50_000
_MOST_BYTES = 8 * 1024**3
_KEPT_BYTES = 1024**3
_SIDECAR_BYTES = 64 * 1024**2
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # NIFTI_UNITS_METER, _MICRON; all others are taken for millimetres
_CODE = re.compile(r"[A-Z]{2,16}")
_UNITS = re.compile(r"[\w{}()\[\]'/%^. -]{1,32}")
_WHOLE = {
    "b": np.uint8,
    "u1": np.uint8,
    "i1": np.int16,
    "u2": np.uint16,
    "i2": np.int16,
    "u4": np.uint32,
    "i4": np.int32,
}
# Along rows and columns: to the left and the back; to the left and the feet; to the back and the feet (LPS).
_LOOKED_AT = {2: ((0, 1.0), (1, 1.0)), 1: ((0, 1.0), (2, -1.0)), 0: ((1, 1.0), (2, -1.0))}


class VoxelsError(FirstReadError):
    """A file that is not shown; its text is a reason of `docs/reference/reasons.md`."""


@dataclass(frozen=True)
class _Turn:
    """How a slice is turned: rows for columns first, then the first row the last, the first column the last."""

    crossed: bool = False
    rows: bool = False
    columns: bool = False

    def of(self, plane: Array) -> Array:
        if self.crossed:
            plane = plane.swapaxes(0, 1)
        return plane[:: -1 if self.rows else 1, :: -1 if self.columns else 1]


@dataclass(frozen=True)
class Voxels:
    """A volume in a file: what its header and its sidecar say.

    Parameters
    ----------
    name
        Path below the root of the folder.
    path
        The file; of a Zarr array, its folder.
    times, shape
        How many there are; slices, rows and columns of each, as they are shown.
    spacing_mm
        Between slices, rows and columns.
    affine : numpy.ndarray or None
        From (slice, row, column) to millimetres in the patient (LPS); None where the file does not say, or where its
        rows and columns are at no right angle.
    said
        Of the sidecar, what is no identifier: ``modality``, ``units``, ``masks``, ``mask``, ``verdict``,
        ``frame_of_reference``, ``is_ours``.
    """

    name: str
    path: Path = field(repr=False)
    times: int
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: Matrix | None = field(repr=False)
    turn: _Turn = field(repr=False)
    said: Mapping[str, Any] = field(repr=False)

    @property
    def images(self) -> int:
        """Return how many images it is."""
        return self.times * self.shape[0]

    @property
    def stem(self) -> str:
        """Return the name of the file without its ending."""
        return stem_of(self.name)

    def is_on(self, other: "Voxels") -> bool:
        """Return whether its voxels are those of another volume: as many, at the same places to a thousandth."""
        if self.shape != other.shape or (self.affine is None) != (other.affine is None):
            return False
        if self.affine is None or other.affine is None:
            return bool(np.allclose(self.spacing_mm, other.spacing_mm, rtol=1e-3))
        corners = np.array([[a, b, c, 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)]) * [*self.shape, 1]
        apart = (self.affine - other.affine) @ corners.T
        return bool(np.abs(apart).max() < 1e-3 * max(1.0, min(self.spacing_mm)))


def stem_of(name: str) -> str:
    """Return the name of a file without its folder and its ending."""
    last = name.rpartition("/")[2]
    return next((last.removesuffix(each) for each in (".nii.gz", *SUFFIXES) if last.endswith(each)), last)


def look_at(name: str, path: Path) -> Voxels | None:
    """Return what a file says of the volume in it; None where it is no volume.

    Parameters
    ----------
    name, path
        Below the root; where.

    Raises
    ------
    VoxelsError
        If it cannot be read, or is beyond the limits.
    """
    said = _sidecar(path)
    try:
        found = _nifti(path) if path.name.endswith((".nii", ".nii.gz")) else _converted(said)
        if found is None:
            return None
        shape, affine, spacing = found
        if len(shape) < 4 or min(shape) < 1:
            raise VoxelsError(NOT_SHOWN)
    except VoxelsError:
        raise
    except Exception:  # what libraries raise on bad headers varies, and its text names the file
        raise VoxelsError(UNREADABLE) from None
    times, *sides = shape
    if times * sides[0] > _MOST_IMAGES or sides[1] * sides[2] > MAX_FRAME_PIXELS:
        raise VoxelsError(TOO_LARGE)
    turn = _Turn()
    if affine is not None:
        turn, sides, affine = _turned(sides, affine)
    if turn.crossed:
        spacing = (spacing[0], spacing[2], spacing[1])
    return Voxels(name, path, times, (sides[0], sides[1], sides[2]), spacing, affine, turn, said)


def _sidecar(path: Path) -> Mapping[str, Any]:
    """Return what the JSON beside a file says that is no identifier."""
    beside = path.with_name(f"{stem_of(path.name)}.json")
    try:
        if beside.stat().st_size > _SIDECAR_BYTES:
            return {}
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    modality = found.get("modality") or found.get("Modality")  # ours; BIDS
    units, masks, references = found.get("units"), found.get("masks"), found.get("references")
    is_ours = isinstance(found.get("tool"), dict) and "affine_lps" in found
    return {
        "is_ours": is_ours,
        "modality": modality if isinstance(modality, str) and _CODE.fullmatch(modality) else "",
        "units": units if isinstance(units, str) and _UNITS.fullmatch(units) else "",
        "masks": masks if is_ours and isinstance(masks, dict) else {},
        "mask": found.get("mask") if is_ours and isinstance(found.get("mask"), str) else "",
        "verdict": found.get("verdict") if is_ours and isinstance(found.get("verdict"), dict) else {},
        "frame_of_reference": references.get("frame_of_reference") if isinstance(references, dict) else None,
        "shape": found.get("shape"),
        "is_colour": found.get("is_colour") is True,
        "affine_lps": found.get("affine_lps"),
    }


_Header = tuple[tuple[int, ...], Matrix | None, tuple[float, float, float]]


def _converted(said: Mapping[str, Any]) -> _Header | None:
    """Return what the sidecar of HDF5 or Zarr says; None of files that are not ours."""
    if not said.get("is_ours"):
        return None
    shape = tuple(int(each) for each in said["shape"])[: -1 if said["is_colour"] else None]
    affine = np.array(said["affine_lps"], np.float64).reshape(4, 4)
    a, b, c = (float(each) for each in np.linalg.norm(affine[:3, :3], axis=0))
    is_placed = said["verdict"].get("geometry") != "planar"
    return (shape if len(shape) == 4 else (1, *shape)), (affine if is_placed else None), (a, b, c)


def _nifti(path: Path) -> _Header:
    image: Any = nibabel.load(path)
    header = image.header
    kind = header.get_data_dtype()
    if kind.kind == "c" or kind.itemsize * math.prod(image.shape) > _MOST_BYTES:
        raise VoxelsError(NOT_SHOWN if kind.kind == "c" else TOO_LARGE)
    columns, rows, slices = (*image.shape, 1, 1)[:3]
    times = math.prod(image.shape[3:])
    scale = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    zooms = [abs(float(each)) * scale for each in (*header.get_zooms(), 1.0, 1.0)[:3]]
    spacing = (zooms[2] or 1.0, zooms[1] or 1.0, zooms[0] or 1.0)
    # Neither code: nobody says where the voxels are (nifti1.h, method 1).
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        return (times, slices, rows, columns), None, spacing
    ras = np.array(image.affine, np.float64)  # of both, sform, as most readers do
    ras[:3] *= scale
    if not np.isfinite(ras).all() or abs(np.linalg.det(ras[:3, :3])) < 1e-9:
        return (times, slices, rows, columns), None, spacing
    affine = to_ras(ras)
    a, b, c = (float(each) for each in np.linalg.norm(affine[:3, :3], axis=0))
    return (times, slices, rows, columns), affine, (a, b, c)


def _turned(sides: list[int], affine: Matrix) -> tuple[_Turn, list[int], Matrix | None]:
    """Return how slices are turned to be looked at, and shape and affine after it."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if abs(directions[:, 1] @ directions[:, 2]) > SAME_DIRECTION:
        return _Turn(), sides, None
    axis = int(np.argmax(np.abs(np.cross(directions[:, 2], directions[:, 1]))))
    (across, sign), (down, sign_down) = _LOOKED_AT[axis]
    crossed = bool(abs(directions[across, 1]) > abs(directions[across, 2]))
    affine = affine.copy()
    if crossed:
        affine[:, [1, 2]] = affine[:, [2, 1]]
        sides = [sides[0], sides[2], sides[1]]
    flips = []
    for column, of, wanted in ((1, down, sign_down), (2, across, sign)):
        is_other = bool(affine[of, column] * wanted < 0)
        if is_other:
            affine[:3, 3] += affine[:3, column] * (sides[column] - 1)
            affine[:3, column] *= -1.0
        flips.append(is_other)
    return _Turn(crossed, flips[0], flips[1]), sides, affine


class Loaded:
    """Values of volumes, of which the last ones that were asked for are kept."""

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._limit = limit
        self._lock = Lock()
        self._kept: OrderedDict[str, Array] = OrderedDict()

    def plane(self, voxels: Voxels, number: int) -> Array:
        """Return the values of one image, 0 first, as they are shown: rows x columns, or with colours last.

        Raises
        ------
        CannotRenderError
            If the file cannot be read, or is another one than its header or sidecar said.
        """
        with self._lock:  # who asks for many slices at once waits for one reading of the file
            values = self._values(voxels)
        time, slice_ = divmod(number, voxels.shape[0])
        plane = values[time, slice_]
        if plane.dtype.names:  # RGB24, RGBA32 of NIfTI
            plane = np.stack([plane[each] for each in plane.dtype.names[:3]], axis=-1)
        return np.ascontiguousarray(voxels.turn.of(plane))

    def _values(self, voxels: Voxels) -> Array:
        found = self._kept.get(voxels.name)
        if found is None:
            try:
                found = _read(voxels)
            except Exception:  # damaged archives, short files, and files that were changed since
                raise CannotRenderError(UNREADABLE) from None
            self._kept[voxels.name] = found
        self._kept.move_to_end(voxels.name)
        while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > self._limit:
            self._kept.popitem(last=False)
        return found


def _read(voxels: Voxels) -> Array:
    """Return times x slices x rows x columns, as they lie in the file, in a type that the viewer draws."""
    slices, rows, columns = voxels.shape
    if voxels.turn.crossed:
        rows, columns = columns, rows
    if voxels.path.name.endswith((".nii", ".nii.gz")):
        image: Any = nibabel.load(voxels.path)
        stored, (slope, intercept) = image.dataobj.get_unscaled(), (image.dataobj.slope, image.dataobj.inter)
        stored = stored.reshape(columns, rows, slices, voxels.times, order="F").transpose(3, 2, 1, 0)
        if (slope, intercept) != (1.0, 0.0) and not stored.dtype.names:
            scaled: Array = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
            return scaled
    else:
        opened = open_converted(voxels.path)
        stored = opened.values.reshape(
            voxels.times, slices, rows, columns, *((3,) if opened.is_colour else ())
        )
    return _drawable(stored)


def _drawable(values: Array) -> Array:
    kind = values.dtype
    if kind.names or kind == np.float32:
        return values if kind.names else values.astype("<f4", copy=False)
    wanted = _WHOLE.get(kind.kind if kind.kind == "b" else f"{kind.kind}{kind.itemsize}")
    if wanted is None and kind.kind in "iu":  # of 64 bits
        ends = np.iinfo(np.int32)
        wanted = np.int32 if values.min() >= ends.min and values.max() <= ends.max else None
    return values.astype(np.dtype(wanted or np.float32).newbyteorder("<"), copy=False)
