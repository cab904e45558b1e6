"""What can be wrong with a message of a feed."""

from firstread.errors import QuarantineError


class FeedError(QuarantineError):
    """A message that is kept but not applied; the reason says why, and no text quotes it."""
