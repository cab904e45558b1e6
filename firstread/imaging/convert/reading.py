"""A volume as it was before it was written."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from firstread.imaging.convert.options import ConvertError, ConvertReason
from firstread.imaging.convert.stores import store_for
from firstread.imaging.verdict import Act, Done, Geometry, Verdict
from firstread.imaging.volume import SourceFrame, Volume

_SAME_MM = 1e-3  # the headers of NIfTI have the affine in 32 bits


def open(path: str | PathLike[str]) -> Volume:
    """Read a volume that `convert` wrote.

    Parameters
    ----------
    path
        Of the `.nii`, `.nii.gz`, `.h5` or `.zarr`; its sidecar lies beside it. NIfTI without one is read as well, and
        then has its affine in 32 bits and no verdict.

    Returns
    -------
    Volume
        Equal to the one that was written; with its frames only where they were written (`identifying`). The voxels of a
        plain `.nii` are mapped, and read where they are looked at.

    Raises
    ------
    ConvertError
        If it is no such file, or voxels and sidecar do not belong together.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    store = store_for(path)
    if store is None:
        raise ConvertError(ConvertReason.NOT_OURS)
    values, affine, inside = store.read(path)
    said = _sidecar(path) or inside
    if said is None:
        if affine is None:
            raise ConvertError(ConvertReason.NOT_OURS)
        return Volume(values, affine, ())
    try:
        found = _volume(values, said)
    except (KeyError, TypeError, ValueError):
        raise ConvertError(ConvertReason.NOT_OURS) from None
    if list(values.shape) != said["shape"] or values.dtype.name != said["dtype"]:
        raise ConvertError(ConvertReason.SIDECAR_DIFFERS)
    if affine is not None and abs(affine - found.affine).max() > _SAME_MM:
        raise ConvertError(ConvertReason.SIDECAR_DIFFERS)
    return found


def _sidecar(path: Path) -> Mapping[str, Any] | None:
    name = path.name.removesuffix(".gz")
    try:
        text = path.with_name(name.rpartition(".")[0] + ".json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        raise ConvertError(ConvertReason.SIDECAR_DIFFERS) from None
    if not isinstance(found, dict) or "affine_lps" not in found:
        raise ConvertError(ConvertReason.SIDECAR_DIFFERS)
    return found


def _volume(values: Any, said: Mapping[str, Any]) -> Volume:  # noqa: ANN401 - an array of any type
    return Volume(
        values=values,
        affine=np.array(said["affine_lps"], np.float64).reshape(4, 4),
        frames=tuple(SourceFrame(uid, number) for uid, number in said.get("frames", ())),
        verdict=Verdict(
            Geometry(said["verdict"]["geometry"]),
            tuple(_done(each) for each in said["verdict"]["done"]),
        ),
        modality=said["modality"],
        units=said["units"],
        is_colour=said["is_colour"],
    )


def _done(said: Mapping[str, Any]) -> Done:
    figures = {key: value for key, value in said.items() if key not in ("act", "count", "by", "slices")}
    slices = tuple(said.get("slices", ()))
    return Done(Act(said["act"]), said["count"], figures or None, said.get("by", ""), slices)
