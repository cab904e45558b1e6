"""FirstRead: the first read of every radiology study."""

__version__ = "0.1.0"
