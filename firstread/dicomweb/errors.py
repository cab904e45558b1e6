"""What can be wrong with an object that is stored."""

from firstread.errors import FirstReadError


class CannotRenderError(FirstReadError):
    """An object that cannot be read, or whose pixels cannot be shown; the text is a reason and quotes nothing."""
