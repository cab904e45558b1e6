"""Pixels: decoding frame by frame, grayscale for models, and PNG for readers.

Nothing is imported here: the functions use the lookup tables without what makes pictures.
"""
