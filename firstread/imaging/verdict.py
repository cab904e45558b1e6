"""What was found out about the geometry of a volume, and what was mended: for programs to read, never silent."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from firstread.errors import FirstReadError

Number = float | int


class VolumeReason(StrEnum):
    """Why images do not make a volume; never carries a value of a dataset."""

    TOO_FEW = "too_few_slices"
    NO_GEOMETRY = "no_geometry"
    NO_FRAME_OF_REFERENCE = "no_frame_of_reference"
    DIFFERENT_FRAMES_OF_REFERENCE = "different_frames_of_reference"
    DIFFERENT_SIZES = "different_sizes"
    DIFFERENT_ORIENTATIONS = "different_orientations"
    SAME_POSITION = "two_slices_at_one_position"
    UNEVEN_SPACING = "uneven_slice_spacing"
    MISSING_SLICES = "missing_slices"
    TILTED = "tilted_gantry"
    SEVERAL_VOLUMES = "several_volumes"


class VolumeError(FirstReadError):
    """Images that do not make a volume.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: VolumeReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Geometry(StrEnum):
    """How far the voxels can be trusted to lie where the affine says."""

    REGULAR = "regular"
    """Voxels as they were sent, on an even grid."""
    MENDED = "mended"
    """On an even grid after what the verdict lists."""
    PLANAR = "planar"
    """Images with no place in the patient: pixel spacing at most."""


class Act(StrEnum):
    """What was done to make a volume of a series."""

    DUPLICATES_DROPPED = "duplicates_dropped"
    """Images with the same place and the same pixels as another."""
    SET_ASIDE = "localizer_removed"
    """Localizers, and a few images in another orientation or of another size than the many."""
    SPLIT = "split"
    """Other volumes of the same series were loaded apart, or left."""
    SPLIT_IN_TIME = "split_4d"
    """Several images at every position became the first axis."""
    TILT_CORRECTED = "tilt_corrected"
    """Slices were moved within their planes onto an upright grid; linear interpolation."""
    MISSING_INTERPOLATED = "missing_interpolated"
    """Slices that never came were interpolated between their neighbours."""
    RESAMPLED = "resampled"
    """Unevenly spaced slices were interpolated onto an even grid."""
    MOSAIC_UNPACKED = "mosaic_unpacked"
    """The tiles of one image became slices."""


@dataclass(frozen=True)
class Done:
    """One act, and what it was about.

    Parameters
    ----------
    act
        What was done.
    count
        To how many images, slices or volumes.
    figures
        More about it, by name; lengths in millimetres end in ``_mm``.
    by
        What told them apart, a DICOM keyword; "" where that is no question.
    slices
        Which slices of the volume are not as they were sent; 0 first.
    """

    act: Act
    count: int
    figures: Mapping[str, Number] | None = None
    by: str = ""
    slices: tuple[int, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it as a sidecar has it."""
        found: dict[str, object] = {"act": self.act.value, "count": self.count}
        if self.by:
            found["by"] = self.by
        if self.slices:
            found["slices"] = list(self.slices)
        return found | dict(self.figures or {})


@dataclass(frozen=True)
class Verdict:
    """What is known of a volume's geometry.

    Parameters
    ----------
    geometry
        In one word.
    done
        What was mended, in the order in which it was.
    """

    geometry: Geometry = Geometry.REGULAR
    done: tuple[Done, ...] = ()

    def has(self, act: Act) -> bool:
        """Return whether something was done."""
        return any(each.act is act for each in self.done)

    def to_json(self) -> dict[str, object]:
        """Return it as a sidecar has it."""
        return {"geometry": self.geometry.value, "done": [each.to_json() for each in self.done]}


@dataclass(frozen=True)
class Repairs:
    """What may be mended; whatever else is wrong is refused.

    Parameters
    ----------
    duplicates, set_aside, split
        Whether second copies are dropped; localizers are left out; a series may hold several volumes, or one of
        four dimensions.
    tilt, uneven
        Whether a tilted or unevenly spaced stack is resampled.
    missing
        Share of the slices that may be interpolated where they never came; one always may where this is above 0.
    """

    duplicates: bool = True
    set_aside: bool = True
    split: bool = True
    tilt: bool = True
    uneven: bool = True
    missing: float = 0.1


MEND = Repairs()
"""What a reader of research data expects."""
STRICT = Repairs(duplicates=False, set_aside=False, split=False, tilt=False, uneven=False, missing=0.0)
"""Nothing: every voxel is one that was sent, where it was sent."""
