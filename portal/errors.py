"""The portal's own errors."""

from urllib.parse import urlencode

from firstread.errors import FirstReadError


class PortalError(FirstReadError):
    """Base of the portal's errors; `status` is the HTTP status it answers with.

    `members` are further members of the problem (RFC 9457 3.2); they are for the reader who asked, and are part of no
    text that is logged.
    """

    status = 500
    title = "Something went wrong"

    def __init__(self, detail: str = "", **members: object) -> None:
        super().__init__(detail)
        self.members = members


class IssuerRefusedError(PortalError):
    """An identity provider that this portal must not trust."""


class NotSignedInError(PortalError):
    """Nobody is signed in, or the session has ended."""

    status = 401
    title = "Sign in first"


class BearerNotHereError(PortalError):
    """A bearer token on a page."""

    status = 401
    title = "Not with a token"


class ReauthenticationRequiredError(PortalError):
    """The reader must show their credentials again first.

    Parameters
    ----------
    target
        Path to come back to.
    """

    status = 401
    title = "Show who you are again"

    def __init__(self, target: str) -> None:
        super().__init__("this takes a sign-in of the last minutes")
        self.sign_in = "/sign-in?" + urlencode({"reauthenticate": "1", "next": target})


class NotAllowedError(PortalError):
    """The role does not allow it."""

    status = 403
    title = "Not for your role"


class MissingError(PortalError):
    """Not there, or not for this reader; the two must not differ from outside."""

    status = 404
    title = "Not found"


class NotNowError(PortalError):
    """What is asked for does not fit the state of things."""

    status = 409
    title = "Not now"


class NotUnderstoodError(PortalError):
    """What was asked makes no sense; the text says why, and repeats nothing."""

    status = 422
    title = "Not understood"


class ConflictError(PortalError):
    """Somebody else was faster, or holds it; `reason` says which, the other members who and since when."""

    status = 409
    title = "Somebody was faster"


class RefusedError(PortalError):
    """A review that does not hold together; the text names no value."""

    status = 422
    title = "Not understood"


class TooLargeError(PortalError):
    """More than a record can hold."""

    status = 413
    title = "Too large"


class NotPossibleError(PortalError):
    """What is asked for does not fit how things stand; the text says why and names no value."""

    status = 409
    title = "Not possible"
