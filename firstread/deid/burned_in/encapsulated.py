"""Copy encapsulated pixel data without the text that may lie beside its pixels, frame by frame."""

from collections.abc import Iterator
from typing import IO

from firstread.deid.burned_in import fragments
from firstread.deid.burned_in.code_streams import without_text
from firstread.dicom.reader import DicomFile

_LARGEST_OFFSET = 2**32 - 1


def copy(file: DicomFile, target: IO[bytes]) -> None:
    """Write the pixel data element of a file in an encapsulated transfer syntax.

    Comments, application data, thumbnails, bytes behind the end of an image and the padding of fragments stay
    behind, and the Basic Offset Table is made anew: none of them is a pixel, all of them may spell a name.
    Every frame decodes to the same samples. Each frame becomes one fragment. Memory holds one compressed frame.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it.
    target
        Seekable binary file, at the place of the element. The header that was written before it must not have
        an Extended Offset Table (PS3.3 C.7.6.3.1.8), which would be wrong.

    Raises
    ------
    QuarantineError
        With `Reason.PIXELS_IMPLAUSIBLE` if fragments and frames do not match, `Reason.UNREADABLE` if a frame is
        broken, and `Reason.MAY_CONTAIN_BURNED_IN_TEXT` for a syntax whose streams nobody here understands, as
        with video.
    """
    dataset = file.dataset
    count = int(dataset.get("NumberOfFrames") or 1)
    pixels = int(dataset.Rows) * int(dataset.Columns)
    groups = fragments.frames_of(file.source, file.pixels, dataset, count)
    # Without a table where its entries would not fit; it may always be empty (PS3.5 A.4).
    extended = file.pixels.stop - file.pixels.start > _LARGEST_OFFSET
    frames = _frames(file, groups, pixels)
    fragments.write(target, frames, count, extended=extended)


def _frames(file: DicomFile, groups: list[list[fragments.Fragment]], pixels: int) -> Iterator[list[bytes]]:
    for group in groups:
        code = b"".join(fragments.read_frame(file.source, group))
        yield [without_text(code, file.transfer_syntax, pixels)]
