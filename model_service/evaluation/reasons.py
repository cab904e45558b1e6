"""What can be wrong with a case, and with an evaluation as a whole."""

from enum import StrEnum

from firstread.errors import FirstReadError


class CaseReason(StrEnum):
    """Why a file is no case; beside the reasons of DICOM files, pixels and volumes. Never carries a value."""

    NOT_AN_IMAGE = "not_an_image"
    NOT_READABLE = "not_readable"
    NOT_DECODED = "not_decoded"
    TOO_LARGE = "too_large"
    MISSING = "missing"
    WRONG_KIND = "wrong_kind"
    NO_UNITS = "no_units"
    SEVERAL_FRAMES = "several_frames"
    NOT_THREE_DIMENSIONAL = "not_three_dimensional"
    NO_GEOMETRY = "no_geometry"
    NOT_FINITE = "not_finite"
    UNKNOWN_LABEL = "unknown_label"
    MASK_MISSING = "mask_missing"
    MASK_NOT_READ = "mask_not_read"
    MASK_DOES_NOT_FIT = "mask_does_not_fit"
    MASK_VALUES = "mask_values"
    MODEL_FAILED = "model_failed"


class CaseError(FirstReadError):
    """A case that cannot be evaluated; the others go on.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: CaseReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class EvaluationError(FirstReadError):
    """An evaluation that cannot be made at all; the text names no file of the data."""
