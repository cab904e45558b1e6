"""Recorded voices: HIPAA names voice prints among the identifiers (45 CFR 164.514(b)(2)(i)(P)).

What somebody says cannot be swept either. The samples become silence of the same length, so that the object and
what refers to it stay whole. Waveforms of the body are kept.
"""

import struct

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from firstread.deid.objects.items import children, text_of
from firstread.dicom.objects import VOICE_CLASSES

_SOP_CLASS, _WAVEFORMS = 0x00080016, 0x54000100
_SAMPLES, _INTERPRETATION = 0x54001010, 0x54001006
_EXTREMES = (0x54000110, 0x54000112)
_MIDDLE = {
    "UB": b"\x80",
    "MB": b"\xff",
    "AB": b"\xd5",
}  # PS3.3 C.10.9.1.5: mu-law and A-law are of telephones
REMOVED = "voice replaced by silence"


def silence(dataset: Dataset) -> None:
    """Replace the samples of voices.

    Parameters
    ----------
    dataset
        Top level.
    """
    if _WAVEFORMS not in dataset.keys():
        return
    is_voice = text_of(dataset, _SOP_CLASS) in VOICE_CLASSES
    little = dataset.original_encoding[1] is not False
    for group in children(dataset, _WAVEFORMS):
        interpretation = text_of(group, _INTERPRETATION)
        if is_voice or interpretation in ("MB", "AB"):
            _silence(group, interpretation, little=little)


def _silence(group: Dataset, interpretation: str, *, little: bool) -> None:
    middle = _MIDDLE.get(interpretation, b"\0")
    if interpretation == "US":
        middle = struct.pack("<H" if little else ">H", 0x8000)
    for tag in (_SAMPLES, *_EXTREMES):
        if tag not in group.keys():
            continue
        element = group[tag]
        length = len(element.value or b"")
        group[tag] = DataElement(tag, element.VR, (middle * length)[:length])


def removed(dataset: Dataset) -> str:
    """Return what was removed, in words; "" where the object holds no voice."""
    return REMOVED if text_of(dataset, _SOP_CLASS) in VOICE_CLASSES else ""
