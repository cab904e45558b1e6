"""The errors of FirstRead. No text here or in a subclass may carry patient data."""

from enum import StrEnum


class FirstReadError(Exception):
    """Base of all errors that FirstRead raises on purpose."""


class Reason(StrEnum):
    """Why an object was quarantined. The value is stored, shown and documented; it never changes meaning."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_DICOM = "not_dicom"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    NESTED_TOO_DEEP = "nested_too_deep"
    TOO_MANY_ELEMENTS = "too_many_elements"
    HEADER_TOO_LARGE = "header_too_large"
    MISSING_UID = "missing_uid"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    TRANSFER_SYNTAX_MISMATCH = "transfer_syntax_mismatch"
    PIXELS_MISSING = "pixels_missing"
    PIXELS_IMPLAUSIBLE = "pixels_implausible"
    INFLATES_TOO_FAR = "inflates_too_far"
    NOT_AN_IMAGE = "not_an_image"
    MAY_CONTAIN_BURNED_IN_TEXT = "may_contain_burned_in_text"
    PIXELS_TAKE_TOO_LONG = "pixels_take_too_long"
    CONFLICT = "conflict"
    FEED_NOT_UNDERSTOOD = "feed_not_understood"
    FEED_NOT_SUPPORTED = "feed_not_supported"
    FEED_CONTRADICTS = "feed_contradicts"
    OBJECT_LOST = "object_lost"


class QuarantineError(FirstReadError):
    """An object that is kept but not passed on.

    Parameters
    ----------
    reason
        The typed reason; the only text that leaves the process.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class TransientError(FirstReadError):
    """A step that lost a race and is right to try again from its message."""


class NotFoundError(FirstReadError):
    """A record or object that should be there is not."""


class NotAllowedError(FirstReadError):
    """The role of who asks does not allow it; the text says so."""
