"""Blank the text in the pixels of an object that may carry some, and take it to its outcome."""
