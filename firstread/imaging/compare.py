"""Whether two files have the same images, however they are encoded."""

from contextlib import ExitStack

import numpy as np
import pydicom

from firstread.dicom.reader import DicomFile
from firstread.dicom.silence import quiet
from firstread.imaging.pixels import PixelError, decode, frame_count


def same_pixels(one: DicomFile, other: DicomFile) -> bool:
    """Compare two files frame by frame, as stored values after decoding.

    Parameters
    ----------
    one, other
        As read; both sources still open.

    Returns
    -------
    bool
        False also where a frame cannot be decoded: nobody can say then that it is the same.
    """
    with ExitStack() as stack:
        stack.enter_context(quiet())
        datasets = []
        for file in (one, other):
            if file.owned:
                return False  # inflated: its bytes were compared already
            file.source.seek(0)
            try:
                datasets.append(pydicom.dcmread(file.source, defer_size=None))
            except Exception:
                # It was read under limits before; whatever pydicom says of it now may quote it.
                return False
        first, second = datasets
        if frame_count(first) != frame_count(second):
            return False
        try:
            return all(
                np.array_equal(decode(first, frame).stored, decode(second, frame).stored)
                for frame in range(frame_count(first))
            )
        except PixelError:
            return False
