"""What `convert` is told, and why it may refuse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.errors import FirstReadError

if TYPE_CHECKING:  # the command is loaded without what computes
    from firstread.imaging.prepare.pipeline import Pipeline


class Target(StrEnum):
    """What volumes are written as."""

    NIFTI = "nifti"
    HDF5 = "hdf5"
    ZARR = "zarr"
    NNUNET = "nnunet"


class Existing(StrEnum):
    """What is done where a file is in the way that this command did not make of the same images."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    FAIL = "fail"


class Filter(StrEnum):
    """How the chunks of HDF5 are compressed."""

    LZF = "lzf"
    GZIP = "gzip"


class ConvertReason(StrEnum):
    """Why a series, or a whole run, was not converted; never carries a value of a dataset."""

    NOT_READ = "not_read"
    NO_IMAGES = "no_images"
    MASK_OR_DOSE = "mask_or_dose"
    NOT_FOR_FORMAT = "not_for_format"
    OTHER_MODALITY = "other_modality"
    EXISTS = "exists"
    INPUT_CHANGED = "input_changed"
    CANNOT_WRITE = "cannot_write"
    OUT_OF_MEMORY = "not_enough_memory"
    DIED = "process_died"
    BAD_PATTERN = "bad_pattern"
    IDENTIFYING_PATTERN = "identifying_pattern"
    BAD_MASK_NAME = "bad_mask_name"
    BAD_REFERENCE = "bad_reference"
    SAME_NAME = "same_name"
    IN_USE = "in_use"
    NO_INPUT = "no_input"
    BAD_KEY = "bad_key"
    NOT_OURS = "not_ours"
    SIDECAR_DIFFERS = "sidecar_differs"


class ConvertError(FirstReadError):
    """Something that is not converted, or not opened.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: ConvertReason) -> None:
        super().__init__(reason.value)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ConvertError"], tuple[ConvertReason]]:
        """Return what another process makes it of again."""
        return ConvertError, (self.reason,)


_MASK = re.compile(r"[A-Za-z0-9_-]{1,64}")
_APART = frozenset({"existing", "pipeline", "references"})
_FIELD = re.compile(r"\{([^{}]*)\}")
PLAIN_FIELDS = frozenset({"patient", "study", "series", "modality", "series_number"})
IDENTIFYING_FIELDS = frozenset(
    {"patient_id", "study_uid", "series_uid", "study_date", "study_description", "series_description"}
)


@dataclass(frozen=True)
class Options:
    """How series are converted.

    Parameters
    ----------
    to
        The format.
    pattern
        Path of a volume below the output folder, without its suffix; "" is the format's own.
    compress
        Whether voxels are compressed; never with loss.
    filter
        How HDF5 compresses.
    existing
        What is done with a file in the way.
    licence
        Licence of the images, which each sidecar repeats; "" where none is known.
    identifying
        Whether names of files and sidecars may hold UIDs, Patient IDs, dates and descriptions.
    strict
        Whether a series that would have to be mended is refused.
    pipeline
        Steps that each volume goes through before it is written; None: voxels as they were sent.
    references
        Volumes that the pipeline names: what `convert` wrote, or a series; its folder, or its one file.

    Raises
    ------
    ConvertError
        If the pattern has fields that there are not, leads out of the folder, or identifies and may not; if masks that
        the pipeline makes cannot be names of files.
    """

    to: Target
    pattern: str = ""
    compress: bool = True
    filter: Filter = Filter.LZF
    existing: Existing = Existing.SKIP
    licence: str = ""
    identifying: bool = False
    strict: bool = False
    pipeline: "Pipeline | None" = None
    references: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields = set(_FIELD.findall(self.names))
        rest = _FIELD.sub("x", self.names)
        parts = rest.split("/")
        plain = not {"", ".", ".."} & set(parts) and re.fullmatch(r"[\w./ -]+", rest, re.ASCII)
        if not plain or any(part.startswith(".") for part in parts) or not fields:
            raise ConvertError(ConvertReason.BAD_PATTERN)
        if fields - PLAIN_FIELDS - IDENTIFYING_FIELDS:
            raise ConvertError(ConvertReason.BAD_PATTERN)
        if fields & IDENTIFYING_FIELDS and not self.identifying:
            raise ConvertError(ConvertReason.IDENTIFYING_PATTERN)
        made = {each.casefold() for each in self.masks if _MASK.fullmatch(each)}
        if len(made) < len(self.masks):
            raise ConvertError(ConvertReason.BAD_MASK_NAME)

    @property
    def names(self) -> str:
        """Return the pattern that holds."""
        own = "{patient}_{series}" if self.to is Target.NNUNET else "{patient}/{study}/{series}"
        return self.pattern or own

    @property
    def masks(self) -> tuple[str, ...]:
        """Return the names of the masks that are written beside each volume: those that the pipeline makes.

        A data set of nnU-Net has none: its labels are those of whoever trains.
        """
        return self.pipeline.makes if self.pipeline is not None and self.to is not Target.NNUNET else ()

    def to_json(self) -> dict[str, object]:
        """Return what the voxels and the sidecar depend on; of references the paths are not in it."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _APART}
        steps = {} if self.pipeline is None else {"pipeline": self.pipeline.model_dump(mode="json")}
        return said | {"pattern": self.names} | steps
