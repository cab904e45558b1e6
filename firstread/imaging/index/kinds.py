"""Why an object refers to another, and by which UID."""

from enum import StrEnum


class Kind(StrEnum):
    """Why an object refers to another."""

    SOURCE = "source_images"
    """Referenced Series of a segmentation, a presentation state, a map; images that contours were drawn on."""
    STRUCTURE_SET = "structure_set"
    """Of a dose or a plan."""
    PLAN = "plan"
    """Of a dose."""
    FRAME_OF_REFERENCE = "frame_of_reference"
    """Images in the same coordinates, which nothing else names: of PET, dose, contours, segmentation."""


class Level(StrEnum):
    """What a UID names."""

    SERIES = "series"
    INSTANCE = "instance"
    FRAME_OF_REFERENCE = "frame_of_reference"
