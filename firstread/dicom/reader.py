"""Read one DICOM Part 10 file that nobody vouches for, under limits, without its pixels.

Whatever is wrong with the bytes becomes a `QuarantineError` with a typed reason. pydicom's own messages and
warnings quote values and are therefore dropped here, at the only place where untrusted bytes are parsed.
"""

import errno
import hashlib
import traceback
import zlib
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, Self, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from firstread.dicom.guard import (
    DEFER_BYTES,
    ITEM_WEIGHT,
    Guard,
    Limits,
    is_sequence,
    never_leaves,
)
from firstread.dicom.peek import peek
from firstread.dicom.pixels import PixelSpan, check, locate
from firstread.dicom.silence import quiet
from firstread.dicom.spans import chunks
from firstread.errors import QuarantineError, Reason

_CHUNK = 1024 * 1024
_PREAMBLE = 128
_NO_SEQUENCE = frozenset(str(vr) for vr in VR) - {"SQ", "UN"}
_OF_THE_SYSTEM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
_DEEP_TRACEBACK = 150  # frames; four per level of nesting


@dataclass(frozen=True)
class DicomFile:
    """A parsed file: the dataset without pixels, and where the pixels lie.

    Parameters
    ----------
    dataset
        All elements before the pixel data; values not yet decoded. Private values and encapsulated documents of more
        than `DEFER_BYTES` are empty: no profile keeps them, and they would cost memory.
    source
        Seekable bytes that `pixels` refers to; the caller's file, or the inflated dataset.
    transfer_syntax
        How `source` is encoded. A deflated file has become Explicit VR Little Endian.
    dataset_start
        Offset of the first byte after group 0002 in `source`.
    pixels
        Where the pixel data lies in `source`; an empty span behind the dataset where the object has none.
    owned
        Whether `source` was made by the reader, and is closed with the file.
    """

    dataset: FileDataset = field(repr=False)
    source: IO[bytes] = field(repr=False)
    transfer_syntax: UID
    dataset_start: int
    pixels: PixelSpan
    owned: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def has_pixels(self) -> bool:
        """Whether the object is an image."""
        return self.pixels.stop > self.pixels.start

    def close(self) -> None:
        """Let go of what the reader made; the caller's file stays open."""
        if self.owned:
            self.source.close()

    def digest(self) -> str:
        """Return the SHA-256 of the dataset with its pixel data and without group 0002 (ADR 0012)."""
        digest = hashlib.sha256(self.transfer_syntax.encode())
        for chunk in chunks(self.source, self.dataset_start, self.pixels.stop):
            digest.update(chunk)
        return digest.hexdigest()


class UnusablePixelsError(QuarantineError):
    """An object whose header can be read and whose pixels cannot.

    Parameters
    ----------
    reason
        What is wrong with the pixels.
    file
        The object without them: its study can be shown, and what of it is held. Not `owned`.
    """

    def __init__(self, reason: Reason, file: DicomFile) -> None:
        super().__init__(reason)
        self.file = file


def read(source: IO[bytes], limits: Limits | None = None) -> DicomFile:
    """Read a DICOM file.

    Parameters
    ----------
    source
        Seekable binary file; read from its beginning.
    limits
        How far the file may go.

    Returns
    -------
    DicomFile
        The dataset without pixel data; nothing but sequences has been decoded.

    Raises
    ------
    QuarantineError
        With the typed reason why the file cannot be passed on.
    OSError
        If the disk is full or broken.
    """
    limits = limits or Limits()
    try:
        with quiet():
            return _read(source, limits)
    except QuarantineError:
        raise
    except EOFError:
        raise QuarantineError(Reason.TRUNCATED) from None
    except Exception as error:
        if is_of_the_system(error):
            raise
        # A parser of hostile bytes may fail in any way; its message may quote the file. `from None`: no PHI.
        reason = Reason.NESTED_TOO_DEEP if _failed_in_the_depth(error) else Reason.UNREADABLE
        raise QuarantineError(reason) from None


def is_of_the_system(error: Exception) -> bool:
    """Tell whether the disk is full or broken, which is no fault of the file: it may be tried again."""
    return isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM


def _failed_in_the_depth(error: Exception) -> bool:
    """Tell whether pydicom, which reads sequences of undefined length recursively, ran out of stack.

    That is a RecursionError, or whatever some code on the way made of it; the depth of the traceback shows it.
    """
    depth = sum(1 for _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, RecursionError) or depth > _DEEP_TRACEBACK


def _read(source: IO[bytes], limits: Limits) -> DicomFile:
    size = source.seek(0, 2)
    if size == 0:
        raise QuarantineError(Reason.EMPTY)
    if size > limits.file_bytes:
        raise QuarantineError(Reason.TOO_LARGE)
    source.seek(_PREAMBLE)
    if source.read(4) != b"DICM":  # PS3.10 7.1
        raise QuarantineError(Reason.NOT_DICOM)
    meta, start = read_meta(source)
    syntax = transfer_syntax_of(meta)
    owned = syntax == DeflatedExplicitVRLittleEndian
    if owned:
        source = inflate(source, limits)
        size, start, syntax = source.seek(0, 2), 0, ExplicitVRLittleEndian
    try:
        dataset = _read_body(source, start, size, meta, syntax, limits)
        stop = source.tell()
        _check_structure(dataset, limits)
        try:
            span = _locate(dataset, source, stop, size, syntax, limits)
        except QuarantineError as error:
            if owned or not _names_an_instance(dataset):
                raise
            header = DicomFile(dataset, source, syntax, start, PixelSpan(stop, stop, 0))
            raise UnusablePixelsError(error.reason, header) from None
        if not _names_an_instance(dataset):
            raise QuarantineError(Reason.MISSING_UID)
    except BaseException:
        if owned:
            source.close()
        raise
    return DicomFile(dataset, source, syntax, start, span, owned)


def _read_body(
    source: IO[bytes], start: int, size: int, meta: FileMetaDataset, syntax: UID, limits: Limits
) -> FileDataset:
    """Read what follows group 0002, up to the pixel data."""
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    guard = Guard(source, size, limits, implicit=implicit, little=little)
    source.seek(start)
    body = read_dataset(cast(BinaryIO, source), implicit, little, stop_when=guard, defer_size=DEFER_BYTES)
    stop = source.tell()
    # pydicom believes the first element more than the transfer syntax; whoever reads the file next may not.
    if body.original_encoding != (implicit, little):
        raise QuarantineError(Reason.TRANSFER_SYNTAX_MISMATCH)
    dataset = FileDataset("", body, file_meta=meta, is_implicit_VR=implicit, is_little_endian=little)
    dataset.set_original_encoding(implicit, little, body.original_character_set)
    _read_deferred(dataset, source, guard)
    source.seek(stop)
    return dataset


def _locate(
    dataset: FileDataset, source: IO[bytes], stop: int, size: int, syntax: UID, limits: Limits
) -> PixelSpan:
    """Return where the pixel data behind the header's end lies, if there is any and it may be what it says."""
    source.seek(stop)
    span = locate(source, size, implicit=syntax.is_implicit_VR, little=syntax.is_little_endian)
    check(dataset, span, syntax, limits.frame_bytes)
    return span or PixelSpan(stop, stop, 0)


def _read_deferred(dataset: Dataset, source: IO[bytes], guard: Guard) -> None:
    """Read the long values that may be needed; the others are left out."""
    for value in guard.deferred:
        raw = dataset.get_item(value.tag, keep_deferred=True)
        if not isinstance(raw, RawDataElement) or raw.value is not None:
            continue
        if never_leaves(value.tag):
            dataset[value.tag] = raw._replace(value=b"", length=0)
            continue
        source.seek(value.start)
        dataset[value.tag] = raw._replace(value=source.read(value.length))


def read_meta(source: IO[bytes]) -> tuple[FileMetaDataset, int]:
    """Read group 0002, which is always Explicit VR Little Endian (PS3.10 7.1)."""
    meta = read_dataset(cast(BinaryIO, source), False, True, stop_when=_ends_meta)
    return FileMetaDataset(meta), source.tell()


def _ends_meta(tag: BaseTag, _vr: str | None, length: int) -> bool:
    if tag.group != 2:
        return True
    if length > DEFER_BYTES:  # none of its attributes is long, or a sequence
        raise QuarantineError(Reason.UNREADABLE)
    return False


def transfer_syntax_of(meta: FileMetaDataset) -> UID:
    """Return the transfer syntax that group 0002 names, if it is one of the standard."""
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax not in AllTransferSyntaxes:
        raise QuarantineError(Reason.UNSUPPORTED_TRANSFER_SYNTAX)
    return syntax


def inflate(source: IO[bytes], limits: Limits) -> IO[bytes]:
    """Inflate the rest of the file (PS3.5 A.5) to a bounded size."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    target: IO[bytes] = SpooledTemporaryFile(max_size=64 * _CHUNK)
    try:
        written = 0
        while not inflater.eof and (chunk := source.read(_CHUNK)):
            full = True
            # Output may wait when all input is taken; behind its own end the inflater takes no more input.
            while (chunk or full) and not inflater.eof:
                part = inflater.decompress(chunk, _CHUNK)
                full = len(part) == _CHUNK
                written += len(part)
                if written > limits.inflated_bytes:
                    raise QuarantineError(Reason.INFLATES_TOO_FAR)
                target.write(part)
                chunk = inflater.unconsumed_tail
        if not inflater.eof:
            raise QuarantineError(Reason.TRUNCATED)
    except BaseException:
        target.close()
        raise
    return target


def _names_an_instance(dataset: Dataset) -> bool:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    return all(peek(dataset, keyword) for keyword in uids)


def _check_structure(dataset: Dataset, limits: Limits) -> None:
    """Walk all items without recursion; refuse what is too deep, too much, or cut short."""
    stack: list[tuple[Dataset, int]] = [(dataset, 0)]
    elements = 0
    while stack:
        item, depth = stack.pop()
        if depth > limits.depth:
            raise QuarantineError(Reason.NESTED_TOO_DEEP)
        elements += len(item) + (ITEM_WEIGHT if depth else 0)
        if elements > limits.elements:
            raise QuarantineError(Reason.TOO_MANY_ELEMENTS)
        for tag, element in list(item.items()):  # iterating a Dataset itself decodes every element
            if element.VR in _NO_SEQUENCE and _is_whole(element):
                continue  # most elements, told here because they are so many
            sequence = sequence_of(item, tag)
            if sequence is not None:
                stack.extend((child, depth + 1) for child in sequence)


def _is_whole(element: DataElement | RawDataElement) -> bool:
    return isinstance(element, RawDataElement) and element.length == len(element.value or b"")


def sequence_of(item: Dataset, tag: BaseTag) -> Sequence | None:
    """Return the sequence under a tag, or None where the element is not a sequence.

    Raises
    ------
    QuarantineError
        With `Reason.TRUNCATED` if the element's value is shorter than its length says.
    """
    raw = item.get_item(tag, keep_deferred=True)  # else pydicom decodes every empty element
    if not isinstance(raw, RawDataElement):
        return raw.value if raw.VR == "SQ" else None
    if raw.value is not None and raw.length not in (0xFFFFFFFF, len(raw.value)):
        raise QuarantineError(Reason.TRUNCATED)
    # Implicit VR: a sequence of defined length has no VR of its own yet; the dictionary knows it. An element
    # of VR UN with a standard tag may be one as well (PS3.5 6.2.2 note 5).
    if raw.VR == "SQ" or (raw.VR in (None, "UN") and is_sequence(tag)):
        value = item[tag].value
        return value if isinstance(value, Sequence) else None
    return None
