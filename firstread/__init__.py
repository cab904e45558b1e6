"""FirstRead: the first read of every radiology study."""

from importlib.metadata import version

__version__ = version("firstread")
