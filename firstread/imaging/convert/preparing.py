"""Volumes through a pipeline on their way out, and what the sidecar says of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom.errors import InvalidDicomError

from firstread.imaging.convert.options import ConvertError, ConvertReason, Options
from firstread.imaging.convert.reading import open as read
from firstread.imaging.convert.stores import store_for
from firstread.imaging.pixels import PixelError
from firstread.imaging.prepare.base import digest_of
from firstread.imaging.prepare.pipeline import Pipeline
from firstread.imaging.series import load
from firstread.imaging.verdict import VolumeError
from firstread.imaging.volume import Volume

_LIBRARIES = ("firstread", "numpy", "pydicom", "scipy", "SimpleITK")


@dataclass(frozen=True)
class Reference:
    """A volume that a pipeline names.

    Parameters
    ----------
    name
        In the pipeline.
    path
        Where it lies.
    sha256
        Of its values and affine, as it was when the run began.
    """

    name: str
    path: Path
    sha256: str


def references_of(options: Options) -> tuple[Reference, ...]:
    """Look at the references of a pipeline.

    Raises
    ------
    ConvertError
        ``bad_reference`` if one is not given, is not one volume, or cannot be read.
    """
    wanted = sorted(options.pipeline.refers_to) if options.pipeline is not None else []
    if not options.references.keys() >= set(wanted):
        raise ConvertError(ConvertReason.BAD_REFERENCE)
    paths = {name: options.references[name].absolute() for name in wanted}
    return tuple(Reference(name, path, digest_of(_read(path))) for name, path in paths.items())


def _read(path: Path) -> Volume:
    try:
        return read(path) if store_for(path) is not None else load(path)
    except (ConvertError, VolumeError, PixelError, InvalidDicomError, OSError):
        raise ConvertError(ConvertReason.BAD_REFERENCE) from None


@lru_cache(maxsize=4)
def _known(reference: Reference) -> Volume:
    found = _read(reference.path)
    if digest_of(found) != reference.sha256:
        raise ConvertError(ConvertReason.INPUT_CHANGED)
    return found


def prepared(
    volume: Volume, pipeline: Pipeline, references: Sequence[Reference]
) -> tuple[Volume, Mapping[str, Volume], dict[str, object]]:
    """Do all steps.

    Parameters
    ----------
    volume
        As it was loaded.
    pipeline, references
        What is done.

    Returns
    -------
    Volume, mapping of str to Volume, dict
        The volume; the masks that steps made, uint8, by name; and what the sidecar says of all that.

    Raises
    ------
    PrepareError
        If a step cannot do what it is asked to.
    ConvertError
        ``input_changed`` if a reference is another one than at the beginning of the run.
    """
    made = pipeline.run(volume, references={each.name: _known(each) for each in references})
    masks = {
        name: replace(made.volume, values=mask.astype(np.uint8), units="", is_colour=False)
        for name, mask in made.masks.items()
    }
    said: dict[str, object] = {
        "voxels_as_sent": False,
        "versions": {name: version(name) for name in _LIBRARIES},
        "pipeline_sha256": sha256(pipeline.to_yaml().encode()).hexdigest(),
        "references": {each.name: {"sha256": each.sha256} for each in references},
        "steps": made.record["steps"],
    }
    return made.volume, masks, said
