"""Why an upload did not go through. No text here carries a value from a file, a server or a path."""

from typing import TYPE_CHECKING

from firstread.errors import FirstReadError

if TYPE_CHECKING:
    from firstread.uploads.client import Uploaded


class UploadError(FirstReadError):
    """Base of the errors of the client of the ingest service.

    Attributes
    ----------
    done
        What S3 had acknowledged of the same call before.
    """

    done: "tuple[Uploaded, ...]" = ()


class BusyError(UploadError):
    """The service or S3 asks to come back later.

    Parameters
    ----------
    retry_after
        Seconds to wait before the next try.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("the ingest service is busy")
        self.retry_after = retry_after


class UnreachableError(UploadError):
    """Nobody answers, or the answer makes no sense; whether the bytes arrived is not known, so send again."""

    def __init__(self) -> None:
        super().__init__("the ingest service does not answer")


class RefusedUploadError(UploadError):
    """The service will not take it, now or later.

    Parameters
    ----------
    reason
        One of ``unauthorized``, ``forbidden``, ``too_large``, ``not_understood``, ``other_bytes`` (what was sent is
        not what was announced), ``changed`` (the file is no longer as it was), ``expired`` (ask again), ``not_https``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the ingest service refuses: {reason}")
        self.reason = reason
