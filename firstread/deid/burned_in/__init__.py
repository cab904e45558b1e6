"""Burned-in text: found in every frame, blanked, looked for again; PS3.15 E.3.1, Clean Pixel Data Option."""

from firstread.deid.burned_in.boxes import TextBox, TextDetector
from firstread.deid.burned_in.clean import CleanResult, clean
from firstread.deid.burned_in.rapid import RapidTextDetector

__all__ = ["CleanResult", "RapidTextDetector", "TextBox", "TextDetector", "clean"]
