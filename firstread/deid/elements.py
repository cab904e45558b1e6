"""Elements as they were read: bytes first. Decoding every value is what makes de-identification slow."""

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from firstread.deid.rules import dictionary_vr
from firstread.dicom.peek import plain_text

Element = DataElement | RawDataElement

_WHOLE = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is a letter there (PS3.5 6.2)


def vr_of(element: Element, tag: BaseTag) -> str:
    """Return the value representation, from the dictionary where the file does not say; "" if nobody knows it."""
    if element.VR is not None and element.VR != "UN":
        return element.VR
    return dictionary_vr(int(tag)) or (element.VR or "")


def split(text: str, vr: str) -> list[str]:
    """Return the values of a text as it stands in the file, without padding (PS3.5 6.2)."""
    text = text.rstrip("\0 ") if vr == "UI" else text.rstrip(" \0")
    return [text] if vr in _WHOLE else text.split("\\")


def values_of(item: Dataset, tag: BaseTag, element: Element, vr: str) -> list[str] | None:
    """Return the values of an element as text; None where they are bytes that nobody has decoded.

    Parameters
    ----------
    item
        The dataset of the element; decodes what is not plain.
    tag, element, vr
        The element.
    """
    if not element.value:
        return []
    text = plain_text(element)
    if text is not None:
        return split(text, vr) if text else []
    value = item[tag].value
    if value is None:
        return []
    if isinstance(value, bytes):
        return None if value else []
    parts = value if isinstance(value, MultiValue | list) else [value]
    return [str(part) for part in parts]
