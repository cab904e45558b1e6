"""The DICOM JSON model of a dataset (PS3.18 annex F)."""

import base64
import math
from collections.abc import Callable, Iterable
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

Json = dict[str, Any]
BulkUri = Callable[[str], str]
"""Gives the URI of the long value under a path: tags and item numbers with dots in between, such as ``00540016.0.``"""

INLINE_BYTES = 4096
"""Longest binary value that is written into the text: a palette of 256 entries is, an overlay is not."""
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_FLOATS = frozenset({"FL", "FD", "DS"})
_INTEGERS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_NO_PLACE = frozenset({0x7FE00001, 0x7FE00002, 0xFFFCFFFC})  # tables of offsets, padding


def to_json(dataset: Dataset, bulk_uri: BulkUri, path: str = "") -> Json:
    """Return a dataset in the DICOM JSON model; group 0002 is no part of it.

    Decimal and integer strings become numbers; NaN and infinity, which JSON has no word for, become null; what cannot
    be decoded is an attribute without a value, and so is an empty one.

    Parameters
    ----------
    dataset
        The dataset; pixel data need not be there.
    bulk_uri
        For values longer than `INLINE_BYTES`.
    path
        Of the dataset within the object; "" for the object itself.
    """
    made: Json = {}
    for tag in sorted(dataset.keys()):
        if tag.group == 2 or tag in _NO_PLACE or (tag in PIXELS and not path):
            continue
        name = f"{tag:08X}"
        try:
            made[name] = _element(dataset[tag], bulk_uri, f"{path}{name}")
        except Exception:  # pydicom converts on access, and what a malformed value raises depends on its VR
            made[name] = {"vr": _vr(dataset, tag)}
    return made


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    element = dataset.get_item(tag)
    return str(getattr(element, "VR", None) or "UN")


def _element(element: DataElement, bulk_uri: BulkUri, path: str) -> Json:
    vr = str(element.VR).partition(" ")[0]  # "US or SS" where nobody could tell
    value = element.value
    if vr == "SQ":
        items = [to_json(item, bulk_uri, f"{path}.{number}.") for number, item in enumerate(value)]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in _BINARY:
        return _binary(vr, value, bulk_uri, path)
    values = [_one(vr, each) for each in _several(value)]
    return {"vr": vr, "Value": values} if any(each is not None for each in values) else {"vr": vr}


def _several(value: object) -> Iterable[object]:
    if value is None or value == "":
        return ()
    if isinstance(value, str | bytes | int | float | PersonName) or not isinstance(value, Iterable):
        return (value,)
    return value


def _one(vr: str, value: Any) -> Any:  # noqa: ANN401 - whatever pydicom makes of the VR
    if value is None or value == "":
        return None
    if vr == "PN":
        return _person(value)
    if vr == "AT":
        return f"{int(value):08X}"
    if vr in _INTEGERS:
        return int(value)
    if vr in _FLOATS:
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)


def _person(value: PersonName) -> Json:
    groups = {
        "Alphabetic": value.alphabetic,
        "Ideographic": value.ideographic,
        "Phonetic": value.phonetic,
    }
    return {name: str(text) for name, text in groups.items() if text}


def _binary(vr: str, value: bytes | None, bulk_uri: BulkUri, path: str) -> Json:
    if not value:
        return {"vr": vr}
    if len(value) > INLINE_BYTES:
        return {"vr": vr, "BulkDataURI": bulk_uri(path)}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode()}
