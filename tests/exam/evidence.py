"""What came out: which output answers which input, and what stands at a path."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.valuerep import PersonName

from tests.exam.key import Action, FileKey, Key
from tests.exam.planter import lenient

_STEP = re.compile(r"([0-9a-f]{8})(?:\[(\d+)\])?")
_SPACES = re.compile(r"\s+")


@dataclass
class Output:
    """One input and what became of it.

    Parameters
    ----------
    key
        What is asked.
    raw
        Bytes of the output; empty where it was withheld.
    dataset
        As pydicom reads it; None where it was withheld or cannot be read.
    source
        Path of the input.
    name
        Path of the output below its folder.
    """

    key: FileKey
    raw: bytes
    dataset: FileDataset | None
    source: Path
    name: str = ""

    @cached_property
    def original(self) -> FileDataset:
        """The input."""
        with lenient():
            return pydicom.dcmread(self.source, force=True)

    @cached_property
    def original_uids(self) -> frozenset[str]:
        """UIDs that were planted into the input."""
        return frozenset(asked.text for asked in self.key.questions if asked.action is Action.UID_CHANGED)

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """Path and folded text of every element that is no sequence, file meta included."""
        found: list[tuple[str, str]] = []
        stack = [] if self.dataset is None else [("meta ", self.dataset.file_meta), ("", self.dataset)]
        while stack:
            prefix, item = stack.pop()
            for tag, element in zip(item.keys(), elements(item), strict=True):
                path = f"{prefix}{int(tag):08x}"
                if element is not None and element.VR == "SQ":
                    stack += [(f"{path}[{index}].", child) for index, child in enumerate(element.value)]
                elif tag != 0x7FE00010:
                    found.append((path, folded(text_of(element))))
        return found

    @property
    def released(self) -> bool:
        """Whether anything came out."""
        return bool(self.raw)


def collect(key: Key, inputs: Path, outputs: Path, report: Path | None) -> list[Output]:
    """Find the output of every input: by the tool's report, by its name, or by pixels and number."""
    named = _by_report(report) if report else {}
    prints: dict[str, Path] | None = None
    found = []
    for file in key.files:
        path = outputs / named.get(file.sha256, file.name)
        if not path.is_file() and file.sha256 not in named:
            prints = prints if prints is not None else _fingerprints(outputs)
            path = next((prints[mark] for mark in _marks(inputs / file.name) if mark in prints), path)
        found.append(_output(file, inputs / file.name, path, outputs))
    return found


def _output(file: FileKey, source: Path, path: Path, outputs: Path) -> Output:
    if not path.is_file():
        return Output(file, b"", None, source)
    return Output(file, path.read_bytes(), read(path), source, str(path.relative_to(outputs)))


def _by_report(report: Path) -> dict[str, str]:
    """Read ``{"files": [{"input_sha256", "output"}]}``; what has no output is named ""."""
    entries = json.loads(report.read_text(encoding="utf-8"))["files"]
    return {entry["input_sha256"]: entry.get("output") or "withheld" for entry in entries}


def _fingerprints(folder: Path) -> dict[str, Path]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {mark: path for path in paths for mark in _marks(path)}


def _marks(path: Path) -> list[str]:
    """Return what tells an object of the exam apart: its number, which no profile removes, and its pixels."""
    dataset = read(path)
    if dataset is None:
        return []
    number, pixels = dataset.get("InstanceNumber"), dataset.get("PixelData")
    numbered = [] if number is None else [f"{dataset.get('Modality')} {number}"]
    return numbered + ([hashlib.sha256(pixels).hexdigest()] if pixels else [])


def read(path: Path) -> FileDataset | None:
    """Read a file with every element decoded, or None."""
    try:
        with lenient():
            return pydicom.dcmread(path, force=True)
    except Exception:  # whatever a tool has written
        return None


def element_at(dataset: Dataset, path: str, *, nearest: bool = False) -> DataElement | None:
    """Return the element at a path, or None where there is none.

    Parameters
    ----------
    dataset, path
        Where to look.
    nearest
        Whether a sequence that was left as bytes stands for what is in it.
    """
    steps = _STEP.findall(path)
    item = dataset
    for tag, index in steps[:-1]:
        element = _get(item, tag)
        if element is not None and element.VR != "SQ" and nearest:
            return element
        if element is None or element.VR != "SQ" or len(element.value) <= int(index or 0):
            return None
        item = element.value[int(index or 0)]
    return _get(item, steps[-1][0])


def _get(item: Dataset, tag: str) -> DataElement | None:
    try:
        return item[int(tag, 16)] if int(tag, 16) in item else None
    except Exception:  # an element that cannot be decoded holds nothing
        return None


def text_of(element: DataElement | None) -> str:
    """Return a value as text; the texts of all its items where it is a sequence."""
    if element is None or element.value is None:
        return ""
    if element.VR == "SQ":
        return "\n".join(text_of(inner) for item in element.value for inner in elements(item))
    return _text(element.value)


def elements(item: Dataset) -> Iterator[DataElement | None]:
    return (_get(item, f"{int(tag):08x}") for tag in item.keys())


def _text(value: Any) -> str:  # noqa: ANN401 - whatever pydicom makes of a VR
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str | PersonName):
        return str(value)
    if hasattr(value, "original_string") and value.original_string:
        return str(value.original_string)
    if hasattr(value, "__iter__"):
        return "\\".join(_text(part) for part in value)
    return str(value)


def folded(text: str) -> str:
    """Return a text as it is compared: composed, without case, spaces as one."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(" \0").casefold()


def tidy(text: str) -> str:
    """Return a text with runs of spaces as one."""
    return _SPACES.sub(" ", text).strip(" \0")
