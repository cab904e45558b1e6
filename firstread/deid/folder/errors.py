"""What can go wrong with a job as a whole. No text here names a file of the input."""

from firstread.errors import FirstReadError


class UsageError(FirstReadError):
    """The job cannot be done as it was asked for; nothing has been written."""


class JobError(FirstReadError):
    """The job stopped before its end, for no fault of a file; the same command goes on where it stopped."""
