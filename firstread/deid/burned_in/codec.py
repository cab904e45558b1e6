"""One encapsulated frame to samples and back, without loss on the way back (PS3.5 8.2)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from firstread.deid.burned_in.layout import AS_RGB, AS_YBR, Array, Layout
from firstread.dicom.silence import quiet
from firstread.errors import QuarantineError, Reason

# Which lossless code streams a transfer syntax may hold. "JPEG 2000" and "JPEG-LS Near Lossless" allow loss but
# do not ask for it (PS3.5 A.4.4 and A.4.3), so that their other frames need not be touched.
REENCODED: dict[UID, UID] = {
    RLELossless: RLELossless,
    JPEGLSLossless: JPEGLSLossless,
    JPEGLSNearLossless: JPEGLSLossless,
    JPEG2000Lossless: JPEG2000Lossless,
    JPEG2000: JPEG2000Lossless,
}
TRANSCODED = JPEG2000Lossless
"""What an object becomes whose transfer syntax has no lossless encoder here, such as the JPEG processes."""

_NAMESPACE = "pydicom.pixels"


@contextmanager
def _silent() -> Iterator[None]:
    """Keep codecs from logging: their texts may quote the dataset."""
    logger, nowhere = logging.getLogger(_NAMESPACE), logging.NullHandler()
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(nowhere)
    try:
        with quiet():
            yield
    finally:
        logger.propagate = before
        logger.removeHandler(nowhere)


def can_decode(syntax: UID) -> bool:
    """Tell whether frames of a transfer syntax can be looked at on this machine."""
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def decode(code: bytes, syntax: UID, layout: Layout) -> tuple[Array, Layout]:
    """Decode a frame.

    Parameters
    ----------
    code
        The compressed frame.
    syntax
        Its transfer syntax.
    layout
        What the header says.

    Returns
    -------
    tuple
        The samples as they were stored, and their layout: subsampling undone, colour by pixel.

    Raises
    ------
    QuarantineError
        With `Reason.UNREADABLE`.
    """
    try:
        with _silent():
            stored, described = get_decoder(syntax).as_array(
                encapsulate([code]), index=0, raw=True, **_options(layout)
            )
    except Exception:  # codecs raise anything on hostile bytes; `from None`: no PHI
        raise QuarantineError(Reason.UNREADABLE) from None
    if stored.shape != (
        (layout.rows, layout.columns, 3) if layout.samples == 3 else (layout.rows, layout.columns)
    ):
        raise QuarantineError(Reason.UNREADABLE)
    return stored, _decoded_layout(stored, str(described["photometric_interpretation"]), syntax, layout)


def _decoded_layout(stored: Array, photometric: str, syntax: UID, layout: Layout) -> Layout:
    if photometric in AS_YBR:
        photometric = "YBR_FULL"
    bits = stored.dtype.itemsize * 8
    # Run lengths keep whole words; the others keep the sample alone, in the lowest bits.
    high = layout.high_bit if syntax == RLELossless else min(layout.bits_stored, bits) - 1
    return replace(
        layout,
        photometric=photometric,
        planar=False,
        bits_allocated=bits,
        bits_stored=min(layout.bits_stored, bits),
        high_bit=high,
    )


def _options(layout: Layout) -> dict[str, Any]:
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
        "photometric_interpretation": layout.photometric,
        "planar_configuration": int(layout.planar),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }


def encode(stored: Array, syntax: UID, layout: Layout, original: Layout) -> bytes:
    """Encode a frame without loss, and make sure of it.

    Parameters
    ----------
    stored
        The samples.
    syntax
        A value of `REENCODED`.
    layout
        As `decode` returned it.
    original
        What the header says; the frame is decoded by it again and compared.

    Raises
    ------
    QuarantineError
        With `Reason.MAY_CONTAIN_BURNED_IN_TEXT` if the frame cannot be written so that it reads back the same.
    """
    options = _options(layout) | {"photometric_interpretation": _photometric(layout, original, syntax)}
    if syntax == RLELossless:
        options["bits_stored"] = layout.bits_allocated
    elif stored.dtype.kind == "u":  # a header may claim fewer bits than its frames have
        options["bits_stored"] = max(layout.bits_stored, int(stored.max()).bit_length())
    try:
        with _silent():
            code = bytes(get_encoder(syntax).encode(stored, **options))
    except Exception:  # as above
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT) from None
    again, _ = decode(code, syntax, original)
    if again.dtype != stored.dtype or not np.array_equal(again, stored):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    return code


def _photometric(layout: Layout, original: Layout, syntax: UID) -> str:
    if layout.photometric not in AS_RGB:
        return layout.photometric
    transformed = syntax == JPEG2000Lossless and original.photometric in ("YBR_RCT", "YBR_ICT")
    return "YBR_RCT" if transformed else "RGB"
