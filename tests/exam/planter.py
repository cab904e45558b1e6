"""Put things into a dataset and note in the key what must become of them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from unittest.mock import patch

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from tests.exam.key import Action, FileKey, Secret


@contextmanager
def lenient() -> Iterator[None]:
    """Let pydicom write and read what no well-behaved device would."""
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def number_of(tag: int | str) -> int:
    """Return a tag as a number; a keyword will do."""
    if isinstance(tag, int):
        return tag
    found = tag_for_keyword(tag)
    if found is None:
        raise ValueError(tag)
    return int(found)


@dataclass(frozen=True)
class Place:
    """A dataset or an item of one, and the key of its file.

    Parameters
    ----------
    item
        To be filled.
    key
        To be extended.
    prefix
        Path of the item, "" or ending in a point.
    """

    item: Dataset
    key: FileKey
    prefix: str = ""

    def path(self, tag: int | str) -> str:
        """Return the path of an element of this item."""
        return f"{self.prefix}{number_of(tag):08x}"

    def put(self, tag: int | str, value: object, vr: str = "") -> str:
        """Set an element and return its path."""
        number = number_of(tag)
        known = vr or dictionary_VR(number).split(" or ")[0]
        with lenient(), patch.object(config, "replace_un_with_known_vr", known != "UN"):
            self.item[number] = DataElement(number, known, value)
        return self.path(tag)

    def inside(self, tag: int | str, *, undefined: bool = False) -> "Place":
        """Add an item to a sequence and return it."""
        number = number_of(tag)
        if number not in self.item:
            self.item.add_new(number, "SQ", [])
        element = self.item[number]
        element.is_undefined_length = undefined
        child = Dataset()
        child.is_undefined_length_sequence_item = undefined
        element.value.append(child)
        return Place(child, self.key, f"{self.path(tag)}[{len(element.value) - 1}].")

    def fact(self, tag: int | str, value: object, kind: str = "clinical fact") -> None:
        """Set what must survive to the letter."""
        path = self.put(tag, value)
        texts = value if isinstance(value, list) else [value]
        self.key.ask(Action.TEXT_RETAINED, path, kind, "\\".join(str(text) for text in texts), whole=True)

    def hide(
        self,
        tag: int | str,
        value: object,
        fragments: Sequence[str],
        kind: str,
        *,
        answer: str | None = None,
        vr: str = "",
    ) -> str:
        """Set what must go; `answer` is what a perfect tool leaves, None for nothing at all."""
        path = self.put(tag, value, vr)
        for fragment in fragments:
            self.key.ask(Action.TEXT_REMOVED, path, kind, fragment)
        self.key.answers[path] = answer
        return path

    def mixed(
        self, tag: int | str, fact: str, value: str, fragments: Sequence[str], kind: str, *, vr: str = ""
    ) -> None:
        """Set text of which one part must go and the other stay."""
        path = self.hide(tag, value, fragments, kind, answer=fact, vr=vr)
        self.key.ask(Action.TEXT_RETAINED, path, f"beside {kind}", fact)

    def day(self, tag: int | str, day: date, *, time: str = "") -> None:
        """Set a date that must be shifted."""
        value = f"{day:%Y%m%d}{time}"
        path = self.put(tag, value)
        self.key.ask(Action.DATE_SHIFTED, path, "DT" if time else "DA", value)

    def uid(self, tag: int | str, uid: str, kind: str = "UID") -> None:
        """Set a UID that must become another one, the same wherever it stands."""
        path = self.put(tag, uid)
        self.key.ask(Action.UID_CHANGED, path, kind, uid)
        self.key.ask(Action.UID_CONSISTENT, path, kind, uid)
        self.key.secrets.append(Secret(uid, "UID"))
