"""Why there is no item."""

from enum import StrEnum

from firstread.errors import FirstReadError


class LearnReason(StrEnum):
    """Why a sample makes no item; never carries a value of a header or a path."""

    NO_SAMPLES = "no_samples"
    NO_LABEL = "no_label"
    BAD_LABELS = "labels_not_understood"
    BAD_SHARES = "shares_not_understood"
    MISSING_FILE = "missing_file"
    NO_REGION = "no_such_region"
    COLOUR_IN_TIME = "colour_in_time"
    BAD_PATCH = "patch_not_understood"
    NOT_PICKLABLE = "not_picklable"


class LearnError(FirstReadError):
    """A sample that makes no item, or settings that make no data set.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: LearnReason) -> None:
        super().__init__(reason.value)
        self.reason = reason
