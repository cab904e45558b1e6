"""Labels that an object definition wants a value of, where the sweep has left none."""

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from firstread.deid.objects.items import DUMMY, is_empty, text_of
from firstread.dicom.objects import WITHOUT_PIXELS
from firstread.dicom.reader import sequence_of

_SOP_CLASS, _SEGMENTS = 0x00080016, 0x00620002
# Type 1 in the modules that they are in, and text that somebody may have typed.
_LABELS = {
    0x00080100: ("SH", DUMMY),  # Code Value
    0x00080102: ("SH", f"99{DUMMY}"),  # Coding Scheme Designator: of a private scheme (PS3.3 8.2)
    0x00080104: ("LO", DUMMY),  # Code Meaning
    0x00409210: ("SH", DUMMY),  # LUT Label
    0x00620005: ("LO", DUMMY),  # Segment Label
    0x00660036: ("LO", DUMMY),  # Algorithm Name
    0x006A0005: ("LO", DUMMY),  # Annotation Group Label
    0x00700002: ("CS", DUMMY),  # Graphic Layer
    0x00700080: ("CS", DUMMY),  # Content Label
    0x00700207: ("LO", DUMMY),  # Graphic Group Label
    0x30060002: ("SH", DUMMY),  # Structure Set Label
    0x300A0002: ("SH", DUMMY),  # RT Plan Label
    0x30100035: ("LO", DUMMY),  # Entity Label
}


def fill(dataset: Dataset) -> None:
    """Give a dummy to required labels that have become empty; one that was never there stays away.

    Parameters
    ----------
    dataset
        Top level, already cleaned.
    """
    if text_of(dataset, _SOP_CLASS) not in WITHOUT_PIXELS and _SEGMENTS not in dataset.keys():
        return
    stack = [dataset]
    while stack:
        item = stack.pop()
        for tag in list(item.keys()):
            label = _LABELS.get(tag)
            if label is not None and is_empty(item, tag):
                item[tag] = DataElement(tag, *label)
            sequence = sequence_of(item, tag)
            if sequence is not None:
                stack.extend(sequence)
