"""One file as one row: what the index keeps of it, or why it keeps nothing."""

import json
import math
import os
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from firstread.imaging.elements import NotDicomError, OddError, TruncatedError
from firstread.imaging.index.columns import (
    APART,
    CHARACTER_SET,
    DETECTOR_SPACING,
    IMAGE_TYPE,
    NOMINAL_SPACING,
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    Texts,
    Typed,
)
from firstread.imaging.index.elements import Elements
from firstread.imaging.index.identity import NAMES
from firstread.imaging.index.values import figures
from firstread.imaging.slices import Keys, Slice, is_plane
from firstread.imaging.verdict import VolumeError

Row = dict[str, Any]
NOWHERE = Slice(0, 0, "", (0, 0), np.full(3, np.nan), np.full((2, 3), np.nan), (math.nan, math.nan))
"""Of an image that should say where its slices lie, and does not."""
PER_PLANE = 11
"""Numbers of a plane in a row: position 3, directions 6, spacing 2."""

_DEFAULT = frozenset({"", "ISO_IR 6", "ISO_IR 100"})
_NO_IMAGES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
        "1.2.840.10008.5.1.4.1.1.77.1.6",  # VL Whole Slide Microscopy
    }
)


class Outcome(StrEnum):
    """What became of a file."""

    INSTANCE = "instance"
    DUPLICATE = "duplicate"
    """Its SOP Instance UID is that of a file before it, by path."""
    BROKEN = "broken"
    OTHER = "other"
    """No DICOM object, and none was expected."""


class FileReason(StrEnum):
    """Why a file is no instance; never carries a value of it."""

    EMPTY = "empty"
    NOT_DICOM = "not_dicom"
    DIRECTORY = "dicomdir"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    MISSING_UID = "missing_uid"
    NOT_OPENED = "not_opened"


_OTHER = frozenset({FileReason.EMPTY, FileReason.NOT_DICOM, FileReason.DIRECTORY})
_DIRECTORY = "1.2.840.10008.1.3.10"


class Reader:
    """Reads files into rows, and counts in `odd` those that pydicom had to read."""

    def __init__(self) -> None:
        self.odd = 0
        self._typed, self._elements = Typed(), Elements()

    def row(self, path: Path | str, size: int) -> Row:
        """Return what there is to know of a file; `outcome` and `reason` say what became of it.

        An image without UIDs is an instance: `firstread.imaging.index.identity.identify` gives it some.

        Parameters
        ----------
        path, size
            The file, and its bytes.
        """
        if not size:
            return _refused(FileReason.EMPTY)
        try:
            found = self._read(path, size)
        except NotDicomError:
            return _refused(FileReason.NOT_DICOM)
        except TruncatedError:
            return _refused(FileReason.TRUNCATED)
        except OSError:
            return _refused(FileReason.NOT_OPENED)
        except Exception:  # what pydicom raises for hostile bytes has no end
            return _refused(FileReason.UNREADABLE)
        if not all(found[each] for each in NAMES):
            if found["is_directory"]:
                return _refused(FileReason.DIRECTORY)
            if not found["is_image"]:
                return _refused(FileReason.MISSING_UID)
        del found["is_directory"]
        return found | {"outcome": Outcome.INSTANCE.value, "reason": None}

    def _read(self, path: Path | str, size: int) -> Row:
        file = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC
        )  # a quarter of the time of `open`, for each of millions
        try:
            syntax, texts = self._elements.read(partial(os.pread, file), size)
            if b"MOSAIC" in texts.get(IMAGE_TYPE, b""):
                raise OddError  # where its slices lie is in a private element
        except OddError:
            self.odd += 1
            with open(file, "rb", closefd=False) as whole:
                return _through_pydicom(whole, size, self._typed)
        finally:
            os.close(file)
        return _plain(syntax, texts, self._typed)


def _refused(reason: FileReason) -> Row:
    outcome = Outcome.OTHER if reason in _OTHER else Outcome.BROKEN
    return {"outcome": outcome.value, "reason": reason.value}


def _plain(syntax: str, texts: Texts, columns: Typed) -> Row:
    """Return the row of an image of one frame."""
    plane = _plane(texts)
    return _common(syntax, texts, columns) | {
        "frames": 1,
        "planes": plane,
        "keys": json.dumps([_keys(texts)]) if plane else None,
        "planar_spacing": _flat_spacing(texts),
        "links": [],
        "rois": [],
        "is_directory": False,
    }


def _common(syntax: str, texts: Texts, columns: Typed) -> Row:
    found: Row = columns.row(texts, decoder(texts.get(CHARACTER_SET, b"")))
    shown = found["rows"] and found["columns"] and found["sop_class_uid"] not in _NO_IMAGES
    return found | {"transfer_syntax_uid": syntax or None, "is_image": bool(shown)}


def _plane(texts: Texts) -> list[float] | None:
    found = [_figures(texts, each) for each in (POSITION, ORIENTATION, PIXEL_SPACING)]
    if [len(each) for each in found] != [3, 6, 2] or not is_plane(found[1], found[2]):
        return None
    return [figure for each in found for figure in each]


def _figures(texts: Texts, tag: int) -> tuple[float, ...]:
    return figures(texts[tag].decode("latin-1")) if tag in texts else ()


def _keys(texts: Texts) -> Keys:
    found: Keys = {}
    for keyword, tag, _ in APART:
        if tag in texts and (text := texts[tag].decode("latin-1").strip(" \0")):
            numbers = figures(text)
            parts = "\\".join(each.strip(" \0") for each in text.split("\\"))
            found[keyword] = numbers[0] if len(numbers) == 1 else parts
    return found


def _flat_spacing(texts: Texts) -> list[float] | None:
    """Return the distances between rows and columns as `firstread.imaging.planar.spacing_mm` does."""
    for tag in (PIXEL_SPACING, DETECTOR_SPACING, NOMINAL_SPACING):
        found = _figures(texts, tag)
        if len(found) == 2 and min(found) > 0:
            return list(found)
    return None


def _through_pydicom(file: IO[bytes], size: int, columns: Typed) -> Row:
    from firstread.dicom.silence import quiet
    from firstread.imaging.index import links, through_pydicom
    from firstread.imaging.pixels import frame_count
    from firstread.imaging.planar import spacing_mm

    with quiet():
        header = through_pydicom.read(file, size)
        found = _common(through_pydicom.syntax_of(header), through_pydicom.texts_of(header), columns)
        is_image = found["is_image"]
        try:
            planes = through_pydicom.planes_of(header) if is_image else []
        except VolumeError:
            planes = [NOWHERE]
        numbers = [
            float(figure)
            for each in planes
            for figure in (*each.position, *each.directions.ravel(), *each.spacing)
        ]
        spacing = spacing_mm(header)
        return found | {
            "frames": frame_count(header),
            "planes": numbers or None,
            "keys": json.dumps(through_pydicom.keys_of_frames(header)) if planes else None,
            "planar_spacing": list(spacing) if spacing else None,
            "links": links.links_of(header),
            "rois": links.rois_of(header),
            "is_directory": header.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY,
        }


@lru_cache(maxsize=64)
def decoder(character_set: bytes) -> Callable[[bytes], str]:
    """Return what makes text of bytes (PS3.5 6.1.2.3).

    Parameters
    ----------
    character_set
        Specific Character Set; bytes that it does not have become U+FFFD.
    """
    names = [each.strip(b" \0").decode("latin-1") for each in character_set.split(b"\\")]
    if set(names) <= _DEFAULT:
        return lambda value: value.decode("latin-1")
    if names == ["ISO_IR 192"]:
        return lambda value: value.decode("utf-8", "replace")

    def decoded(value: bytes) -> str:
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        from pydicom.charset import convert_encodings, decode_bytes

        from firstread.dicom.silence import quiet

        with quiet():
            try:
                encodings = convert_encodings(names)
                return decode_bytes(value, encodings, {0x5C, 0x5E, 0x3D})
            except (LookupError, UnicodeError):
                return value.decode("ascii", "replace")

    return decoded
