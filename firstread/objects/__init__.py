"""What DICOM objects of models and of readers have in common.

Needs highdicom, which an extra brings and which is slow to import: programs import this where they make an object.
"""
