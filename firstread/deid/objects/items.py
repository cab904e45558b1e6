"""Reading items without decoding what is of no interest."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from firstread.dicom.reader import sequence_of

DUMMY = "REMOVED"


def children(item: Dataset, tag: int) -> list[Dataset]:
    """Return the items of a sequence; none where it is absent, empty or no sequence."""
    if tag not in item.keys():
        return []
    found = sequence_of(item, BaseTag(tag))
    return [] if found is None else list(found)


def walk(item: Dataset, *tags: int) -> Iterator[Dataset]:
    """Yield every item below some sequences of an item, at all depths and through every other sequence."""
    stack = [child for tag in tags for child in children(item, tag)]
    while stack:
        found = stack.pop()
        yield found
        for tag in found.keys():
            sequence = sequence_of(found, tag)
            if sequence is not None:
                stack.extend(sequence)


def text_of(item: Dataset, tag: int) -> str:
    """Return a value as stripped text; "" where there is none."""
    value = item[tag].value if tag in item.keys() else None
    return "" if value is None else str(value).strip()


def is_empty(item: Dataset, tag: int) -> bool:
    """Return whether an element is absent or has no value."""
    if tag not in item.keys():
        return True
    value = item.get_item(tag).value
    return not (value.strip(b"\0 ") if isinstance(value, bytes) else value)
