"""The errors of the model service; none needs torch to be caught."""

from firstread.errors import FirstReadError


class BundleError(ValueError):
    """A bundle that cannot be trusted or used."""


class ModelMemoryError(FirstReadError):
    """The memory of the device does not hold the work of a single input or window."""
