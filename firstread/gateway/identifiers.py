"""The few identifiers that the gateway reads of an object, under the limits of the reader, without its pixels."""

import struct
import zlib
from io import BytesIO
from typing import IO, BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from firstread.dicom.guard import DEFER_BYTES, Guard, Limits
from firstread.dicom.peek import peek
from firstread.errors import QuarantineError, Reason
from firstread.gateway.items import Identifiers

_STUDY_UID, _PRIORITY = 0x0020000D, 0x00401003
_LIMITS = Limits(header_bytes=16 * 1024**2, elements=100_000)
_PREFIX = 8 * 1024 * 1024  # bytes of an inflated dataset that the identifiers are looked for in
_URGENT = frozenset({"STAT", "HIGH"})  # (0040,1003), PS3.3 C.4.11
_META = 128 + 4 + 12  # preamble, DICM, and the group length
_UID_CHARACTERS = 64


def read_identifiers(source: IO[bytes], transfer_syntax: str) -> Identifiers:
    """Read the identifiers of an object in a Part 10 file that we wrote the meta group of.

    Parameters
    ----------
    source
        Seekable; where it stands afterwards is not said.
    transfer_syntax
        As it was negotiated.

    Returns
    -------
    Identifiers
        Every UID is there and has at most 64 printable characters.

    Raises
    ------
    QuarantineError
        With the typed reason why the identifiers cannot be read.
    """
    try:
        start = _start(source)
        try:
            dataset = _read(source, start, transfer_syntax, _PRIORITY)
        except QuarantineError:
            # What comes behind the Study Instance UID is for the other side to judge.
            dataset = _read(source, start, transfer_syntax, _STUDY_UID)
        return _identifiers(dataset)
    except QuarantineError:
        raise
    except OSError:
        raise
    except Exception:
        # A parser of hostile bytes may fail in any way; its message may quote the object. `from None`: no PHI.
        raise QuarantineError(Reason.UNREADABLE) from None


def _start(source: IO[bytes]) -> int:
    source.seek(_META - 4)
    (length,) = struct.unpack("<L", source.read(4))
    return _META + int(length)


def _read(source: IO[bytes], start: int, transfer_syntax: str, last: int) -> Dataset:
    """Read the elements up to a tag."""
    size = source.seek(0, 2)
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        source.seek(start)
        prefix = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(source.read(_PREFIX), _PREFIX)
        source, start, size = BytesIO(prefix), 0, len(prefix)
    implicit, little = _encoding(source, start, transfer_syntax)
    guard = Guard(source, size, _LIMITS, implicit=implicit, little=little)

    def stops(tag: BaseTag, vr: str | None, length: int) -> bool:
        return tag > last or guard(tag, vr, length)

    source.seek(start)
    return read_dataset(cast(BinaryIO, source), implicit, little, stop_when=stops, defer_size=DEFER_BYTES)


def _encoding(source: IO[bytes], start: int, transfer_syntax: str) -> tuple[bool, bool]:
    """Return whether a dataset has implicit VRs, and whether it is little endian."""
    if transfer_syntax == ExplicitVRBigEndian:
        return False, False
    if transfer_syntax == ImplicitVRLittleEndian:
        return True, True
    # A private syntax says nothing; two capital letters where the VR would be do.
    source.seek(start + 4)
    return not _is_vr(source.read(2)), True


def _is_vr(letters: bytes) -> bool:
    return len(letters) == 2 and letters.isalpha() and letters.isupper()


def _identifiers(dataset: Dataset) -> Identifiers:
    sop_class, sop_uid, study_uid = (
        _uid(dataset, keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")
    )
    priority = str(peek(dataset, "RequestedProcedurePriority") or "").strip().upper()
    return Identifiers(sop_class, sop_uid, study_uid, priority in _URGENT)


def _uid(dataset: Dataset, keyword: str) -> str:
    value = str(peek(dataset, keyword) or "").strip(" \0")
    if not value or len(value) > _UID_CHARACTERS or not (value.isascii() and value.isprintable()):
        raise QuarantineError(Reason.MISSING_UID)
    return value
