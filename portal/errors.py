"""The portal's own errors."""

from firstread.errors import FirstReadError


class PortalError(FirstReadError):
    """Base of the portal's errors; `status` is the HTTP status it answers with."""

    status = 500
    title = "Something went wrong"


class LocalSignInRefusedError(PortalError):
    """Local users, but the portal would be reachable from elsewhere."""


class LocalUsersError(PortalError):
    """The file of local users cannot be used."""


class NotSignedInError(PortalError):
    """Nobody is signed in, or the session has ended."""

    status = 401
    title = "Sign in first"


class NotAllowedError(PortalError):
    """The role does not allow it."""

    status = 403
    title = "Not for your role"


class MissingError(PortalError):
    """Not there, or not for this reader; the two must not differ from outside."""

    status = 404
    title = "Not found"


class NotUnderstoodError(PortalError):
    """What was asked makes no sense; the text says why, and repeats nothing."""

    status = 422
    title = "Not understood"


class CannotRenderError(PortalError):
    """An image whose pixels cannot be shown."""

    status = 422
    title = "The image cannot be shown"
