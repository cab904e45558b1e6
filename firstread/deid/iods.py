"""What an object's definition (PS3.3) wants of the attributes whose row in Table E.1-1 leaves a choice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import TypedDict


class _Data(TypedDict):
    classes: Mapping[str, str]
    text_of_type_1: list[str]
    iods: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Iod:
    """Types of attributes in an information object definition.

    Parameters
    ----------
    types
        (tag, tag of the enclosing sequence or 0) -> 1 or 2. Conditional types count as unconditional ones.
    """

    types: Mapping[tuple[int, int], int] = field(repr=False)

    def type_of(self, tag: int, parent: int) -> int:
        """Return the type of an attribute (PS3.5 7.4); 3 where the IOD does not want it."""
        return self.types.get((tag, parent), 3)


@lru_cache(maxsize=1)
def _data() -> _Data:
    loaded: _Data = json.loads(resources.files("firstread.deid").joinpath("data/iod_types.json").read_text())
    return loaded


@lru_cache(maxsize=64)
def iod(sop_class: str) -> Iod | None:
    """Return the definition of a SOP class, or None where the standard's tables at hand do not have it."""
    data = _data()
    name = data["classes"].get(sop_class)
    if name is None:
        return None
    places = ((place.split("/"), value) for place, value in data["iods"][name].items())
    return Iod({(int(tag, 16), int(parent, 16)): value for (tag, parent), value in places})


@lru_cache(maxsize=1)
def text_that_must_be() -> frozenset[int]:
    """Return the text attributes that are type 1 in some object: they may not become empty (PS3.5 7.4.1)."""
    return frozenset(int(tag, 16) for tag in _data()["text_of_type_1"])
