"""Pixels: decoding frame by frame, grayscale for models, and PNG for readers."""

from firstread.imaging.pixels import PixelError, frame_count
from firstread.imaging.render import grayscale, to_png

__all__ = ["PixelError", "frame_count", "grayscale", "to_png"]
