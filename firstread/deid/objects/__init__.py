"""Objects that are more than attributes and pixels: reports, annotations, encapsulated documents, sound.

The rules go element by element; here is what takes the meaning of an item, or the needs of an information object
definition, to know. `clean_document` runs before them, on the original values, and `finish_document` after them.
"""

from collections.abc import Set

from pydicom.dataset import Dataset

from firstread.deid.objects import content, documents, graphics, waveforms
from firstread.deid.objects.required import fill
from firstread.deid.options import Option
from firstread.deid.text import Sweep


def clean_document(dataset: Dataset, sweep: Sweep, options: Set[Option]) -> None:
    """Clean what the meaning of an item makes identifying, before the rules see the dataset.

    Parameters
    ----------
    dataset
        Top level, with its original values; changed in place.
    sweep
        Of this dataset.
    options
        Options that are applied.
    """
    content.clean(dataset, options)
    graphics.clean(dataset, sweep)
    waveforms.silence(dataset)
    documents.clean(dataset, keep_title=Option.CLEAN_DESCRIPTORS in options)


def finish_document(dataset: Dataset) -> None:
    """Give back what the object definition needs, after the rules have emptied it.

    Parameters
    ----------
    dataset
        Top level, already cleaned and marked; changed in place. Nothing of the original is put back: what is set is
        constant, or the new SOP Instance UID.
    """
    content.finish(dataset)
    graphics.finish(dataset)
    documents.replace(dataset)
    fill(dataset)


def removed_content(dataset: Dataset) -> str:
    """Return what was taken out whole, in words for Deidentification Method (0012,0063); "" where nothing was."""
    return documents.REMOVED if documents.is_encapsulated(dataset) else waveforms.removed(dataset)


__all__ = ["clean_document", "finish_document", "removed_content"]
