"""What a DICOMweb client did wrong; each becomes problem+json."""

from portal.errors import PortalError


class BadQueryError(PortalError):
    """A parameter that is not understood, or a value that cannot be; none is ignored."""

    status = 400
    title = "The query is not understood"


class NotAcceptableError(PortalError):
    """No representation that the client accepts can be given."""

    status = 406
    title = "Not in this form"


class NotServedError(PortalError):
    """A service of DICOMweb that is not here."""

    status = 405
    title = "Not a service of this address"
