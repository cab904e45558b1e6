"""What can be wrong with a request. No text here quotes anything of it."""


class RequestError(Exception):
    """Base; `status` and `title` make the answer.

    Parameters
    ----------
    detail
        What the sender can do about it, without a value from the request.
    """

    status = 400
    title = "Malformed request"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class MalformedError(RequestError):
    """The body is not what its headers say, or ends too early."""


class NotAcceptableError(RequestError):
    """The sender wants an answer in a form that we do not have."""

    status = 406
    title = "Not acceptable"


class StalledError(RequestError):
    """The body stopped coming."""

    status = 408
    title = "Too slow"


class TooLargeError(RequestError):
    """The body, or what it inflates to, is beyond the limits."""

    status = 413
    title = "Too large"


class UnsupportedError(RequestError):
    """The media type or content coding is none that is taken here."""

    status = 415
    title = "Unsupported media type"


class InvalidError(RequestError):
    """JSON that is not of the form that the reference describes."""

    status = 422
    title = "Not understood"


class UnknownSenderError(RequestError):
    """No token, or none of a configured source."""

    status = 401
    title = "Unauthorized"


class MissingError(RequestError):
    """What the request goes on with is not there, or no longer."""

    status = 404
    title = "Not found"


class BusyError(RequestError):
    """No place, or the stores behind us ask to slow down; the sender comes again."""

    status = 503
    title = "Busy"
