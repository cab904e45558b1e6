"""Read no more of a DICOM file than a door needs: whose study it belongs to, and whether somebody waits for it.

What else is wrong with a file is for the pipeline to say, which keeps it with a reason; a door that refused it would
leave it with a sender that may throw it away.
"""

import re
from dataclasses import dataclass, field
from typing import IO, BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from firstread.dicom.guard import DEFER_BYTES, Guard, Limits
from firstread.dicom.metadata import URGENT_PRIORITIES
from firstread.dicom.peek import peek
from firstread.dicom.reader import inflate, is_of_the_system, read_meta, transfer_syntax_of
from firstread.dicom.silence import quiet
from firstread.errors import QuarantineError, Reason

_PREAMBLE = 128
_STUDY_UID, _PRIORITY = 0x0020000D, 0x00401003
_CHARACTERS = re.compile(r"[0-9.]{1,64}")
_FORM = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


@dataclass(frozen=True)
class Identifiers:
    """What a door knows of an object.

    Parameters
    ----------
    study_uid, sop_uid, sop_class_uid
        Original UIDs: 1 to 64 digits and dots each.
    stat
        Requested Procedure Priority (0040,1003) is STAT or HIGH.
    consistent
        All three have the form of PS3.5 9.1, and group 0002 names the same instance and class as the dataset.
    """

    study_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    sop_class_uid: str
    stat: bool
    consistent: bool


def identify(source: IO[bytes], limits: Limits | None = None) -> Identifiers:
    """Read the identifiers of a file, under the limits of `firstread.dicom.reader.read`.

    Parameters
    ----------
    source
        Seekable binary file; its offset is left anywhere.
    limits
        How far the header may go; the size of the file is not judged.

    Raises
    ------
    QuarantineError
        If one of the three UIDs cannot be read.
    OSError
        If the disk is full or broken.
    """
    try:
        with quiet():
            return _identify(source, limits or Limits())
    except QuarantineError:
        raise
    except EOFError:
        raise QuarantineError(Reason.TRUNCATED) from None
    except Exception as error:
        if is_of_the_system(error):
            raise
        raise QuarantineError(Reason.UNREADABLE) from None  # its message may quote the file


def _identify(source: IO[bytes], limits: Limits) -> Identifiers:
    source.seek(_PREAMBLE)
    if source.read(4) != b"DICM":  # PS3.10 7.1
        raise QuarantineError(Reason.NOT_DICOM)
    meta, start = read_meta(source)
    syntax = transfer_syntax_of(meta)
    if syntax != DeflatedExplicitVRLittleEndian:
        return _of_dataset(
            _Header(source, start, syntax.is_implicit_VR, syntax.is_little_endian, limits), meta
        )
    with inflate(source, limits) as inflated:
        plain = ExplicitVRLittleEndian
        return _of_dataset(_Header(inflated, 0, plain.is_implicit_VR, plain.is_little_endian, limits), meta)


class _Header:
    """The top level of a dataset, read step by step."""

    def __init__(self, source: IO[bytes], start: int, implicit: bool, little: bool, limits: Limits) -> None:
        self._source, self._implicit, self._little = source, implicit, little
        self._guard = Guard(source, source.seek(0, 2), limits, implicit=implicit, little=little)
        source.seek(start)

    def read_until(self, last: int) -> Dataset:
        """Return what follows, up to and with a tag."""

        def ends(tag: BaseTag, vr: str | None, length: int) -> bool:
            return tag > last or self._guard(tag, vr, length)

        source = cast(BinaryIO, self._source)
        return read_dataset(source, self._implicit, self._little, stop_when=ends, defer_size=DEFER_BYTES)


def _of_dataset(header: _Header, meta: Dataset) -> Identifiers:
    dataset = header.read_until(_STUDY_UID)
    study, sop, sop_class = (
        _uid(dataset, f"{name}UID") for name in ("StudyInstance", "SOPInstance", "SOPClass")
    )
    named = (_text(meta, "MediaStorageSOPInstanceUID"), _text(meta, "MediaStorageSOPClassUID"))
    has_form = all(_FORM.fullmatch(uid) for uid in (study, sop, sop_class))
    return Identifiers(study, sop, sop_class, _is_stat(header), has_form and named == (sop, sop_class))


def _is_stat(header: _Header) -> bool:
    try:
        return _text(header.read_until(_PRIORITY), "RequestedProcedurePriority").upper() in URGENT_PRIORITIES
    except Exception as error:  # whatever is wrong behind the identifiers, the pipeline will say
        if is_of_the_system(error):
            raise
        return False


def _uid(dataset: Dataset, keyword: str) -> str:
    text = _text(dataset, keyword)
    if not _CHARACTERS.fullmatch(text):
        raise QuarantineError(Reason.MISSING_UID)
    return text


def _text(dataset: Dataset, keyword: str) -> str:
    value = peek(dataset, keyword)
    return value.strip(" \0") if isinstance(value, str) else ""
