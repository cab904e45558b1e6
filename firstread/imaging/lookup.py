"""Numbers and lookup tables of a dataset, read without trusting them."""

import math
from collections.abc import Iterable, MutableSequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.plain import PlainHeader

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

Array = npt.NDArray[Any]


def numbers(dataset: "Dataset", keyword: str) -> tuple[float, ...]:
    """Return the finite numbers of an element; () where it is absent, empty or malformed."""
    if isinstance(dataset, PlainHeader):
        return dataset.numbers(keyword)
    if (plain := _plain(dataset, keyword)) is not None:
        return plain
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return ()
        parts = value if isinstance(value, MutableSequence | tuple) else [value]
        found = tuple(float(part) for part in parts)
    except Exception:  # pydicom converts on access, and what a hostile value raises depends on its VR
        return ()
    return found if all(math.isfinite(number) for number in found) else ()


@cache
def _tag(keyword: str) -> "BaseTag | None":
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    tag = tag_for_keyword(keyword)
    return None if tag is None else BaseTag(tag)


def _plain(dataset: "Dataset", keyword: str) -> tuple[float, ...] | None:
    """Return numbers of an element that was not looked at yet, straight from its bytes; None for pydicom to say.

    A tenth of the time: a header of a series is asked for some twenty numbers, once each.
    """
    from pydicom.dataelem import RawDataElement

    tag = _tag(keyword)
    element = dataset.get_item(tag) if tag is not None and tag in dataset else None
    if not isinstance(element, RawDataElement) or not element.value:
        return None
    value, found = element.value, None
    if element.VR == "US" and element.is_little_endian and len(value) == 2:
        return (float(int.from_bytes(value, "little")),)
    if element.VR == "DS":
        try:
            found = tuple(map(float, value.split(b"\\")))
        except ValueError:
            return None
    return found if found is not None and all(map(math.isfinite, found)) else None


def functional_item(dataset: "Dataset", frame: int, sequence: str) -> "Dataset":
    """Return where the attributes of a functional group are for one frame.

    Enhanced objects keep them per frame or shared (PS3.3 C.7.6.16); others at the top of the dataset.
    """
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    candidates = [groups[frame]] if frame < len(groups) else []
    for group in [*candidates, *shared[:1]]:
        items = group.get(sequence)
        if items:
            item: Dataset = items[0]
            return item
    return dataset


def value_units(dataset: "Dataset", frame: int) -> str:
    """Return the UCUM unit of the rescaled values of a grey frame; "" where it is not known.

    Those of a CT are Hounsfield units unless its Rescale Type (0028,1054) says otherwise.
    """
    rescale = functional_item(dataset, frame, "PixelValueTransformationSequence")
    rescale_type = str(rescale.get("RescaleType") or "HU")
    return "[hnsf'U]" if dataset.get("Modality") == "CT" and rescale_type == "HU" else ""


def read_descriptor(dataset: "Dataset", keyword: str) -> tuple[int, int, int]:
    """Return number of entries, first value mapped and bits per entry of a LUT descriptor.

    Raises
    ------
    ValueError
        If it has not three numbers.
    """
    found = numbers(dataset, keyword)
    if len(found) != 3:
        raise ValueError("a LUT descriptor has three values")
    count, first, bits = (int(number) for number in found)
    return count or 2**16, first, bits  # 0 means 65536 entries, PS3.3 C.11.1.1


def read_table(item: "Dataset") -> tuple[Array, int, float]:
    """Return the table, first value mapped and largest output of a Modality or VOI LUT item.

    Raises
    ------
    ValueError
        If descriptor and data do not agree.
    """
    count, first, bits = read_descriptor(item, "LUTDescriptor")
    if not 8 <= bits <= 16:
        raise ValueError("bits per entry outside 8 to 16")
    table = _table_data(item["LUTData"].value, count)
    if len(table) < count:
        raise ValueError("fewer entries than the descriptor says")
    return table[:count], first, float(2**bits - 1)


def _table_data(value: bytes | int | Iterable[int], count: int) -> Array:
    if isinstance(value, bytes):
        # VR is US or OW; as OW, 8-bit tables may hold one entry per byte.
        return np.frombuffer(value, dtype="<u2" if len(value) >= 2 * count else np.uint8).astype(np.uint16)
    return np.asarray([value] if isinstance(value, int) else list(value), dtype=np.uint16)


def apply_table(values: Array, table: Array, first: int) -> Array:
    """Map values; those before the first or after the last entry get that entry (PS3.3 C.11.1.1.1)."""
    index = np.clip(values.astype(np.int64) - first, 0, len(table) - 1)
    mapped: Array = table[index]
    return mapped
