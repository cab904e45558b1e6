"""Which representation of an instance, a frame or metadata a client gets (PS3.18 8.7.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from portal.logic.dicomweb.accept import ANY, Wanted
from portal.logic.dicomweb.errors import NotAcceptableError

DICOM = "application/dicom"
JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
PDF = "application/pdf"
PNG = "image/png"
JPEG = "image/jpeg"
NATIVE = "1.2.840.10008.1.2.1"
"""Explicit VR Little Endian: what native pixel data is handed out as."""
AS_STORED = "*"

# PS3.18 table 8.7.3-5; what is not here is native, or a video that has no frames to be handed out.
_ENCODED: Mapping[str, str] = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": JPEG,
    "1.2.840.10008.1.2.4.51": JPEG,
    "1.2.840.10008.1.2.4.57": JPEG,
    "1.2.840.10008.1.2.4.70": JPEG,
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}


@dataclass(frozen=True)
class Form:
    """How a resource is handed out.

    Parameters
    ----------
    media_type
        Of the resource, or of each part.
    multipart
        Whether as ``multipart/related``.
    transfer_syntax
        Of the pixel data; "" where there is none.
    """

    media_type: str
    multipart: bool
    transfer_syntax: str = ""

    @property
    def part_type(self) -> str:
        """Return the Content-Type of a part."""
        suffix = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        return self.media_type + suffix


def check_json(wanted: Sequence[Wanted]) -> None:
    """Refuse a client that takes no JSON at all.

    Viewers ask for metadata with the Accept header of pixels; they take JSON all the same. Only who names nothing but
    XML or pictures cannot be served.

    Raises
    ------
    NotAcceptableError
        If no range can be meant to take JSON.
    """
    if not any(each.takes(JSON) or "json" in each.media_type or each.takes(OCTETS) for each in wanted):
        raise NotAcceptableError("search results and metadata are application/dicom+json; there is no XML")


def choose_instance(wanted: Sequence[Wanted], *, single: bool) -> Form:
    """Return how instances are handed out: always in the transfer syntax that they are stored in.

    Parameters
    ----------
    wanted
        What the client accepts.
    single
        Whether there is one instance, which may come without multipart.

    Returns
    -------
    Form
        With the transfer syntax that was insisted on, or "" for as stored; whoever has the object compares.

    Raises
    ------
    NotAcceptableError
        If instances are not acceptable, or several without multipart.
    """
    for each in wanted:
        if not each.takes(DICOM) or (each.multipart is False and not single):
            continue
        syntax = "" if each.transfer_syntax == AS_STORED else each.transfer_syntax
        # Without a word about it multipart: older clients decode nothing else.
        return Form(DICOM, each.multipart is not False, syntax)
    how = "application/dicom, alone or in multipart/related" if single else "multipart/related"
    raise NotAcceptableError(f'instances come as {how}; type="application/dicom"')


def choose_frames(wanted: Sequence[Wanted], stored: str, *, single: bool) -> Form:
    """Return how frames are handed out.

    Parameters
    ----------
    wanted
        What the client accepts.
    stored
        Transfer syntax UID of the object.
    single
        Whether one frame is asked for, which may come without multipart.

    Returns
    -------
    Form
        With the stored transfer syntax, or `NATIVE` where compressed frames have to be decoded.

    Raises
    ------
    NotAcceptableError
        If no range can be met.
    """
    for each in wanted:
        form = _frames(each, stored)
        if form is not None and (form.multipart or single):
            return form
    own = _ENCODED.get(stored, OCTETS)
    raise NotAcceptableError(
        f"frames of this object come as {own}; transfer-syntax={stored if own != OCTETS else NATIVE}"
        f" or decoded as {OCTETS}; transfer-syntax={NATIVE}, several of them in multipart/related"
    )


def _frames(wanted: Wanted, stored: str) -> Form | None:
    """Return the form that meets one range, or None.

    ``*`` is any transfer syntax (PS3.18 8.7.3.5.2): what is stored is not decoded then, also where the client says
    octet-stream, as the part names its own type. Octet-stream without a transfer syntax is native.
    """
    multipart = wanted.multipart is not False
    own = _ENCODED.get(stored)
    native = Form(OCTETS, multipart, NATIVE)
    syntax = wanted.transfer_syntax
    if own is None:
        return native if wanted.takes(OCTETS) and syntax in ("", AS_STORED, NATIVE, stored) else None
    as_stored = Form(own, multipart, stored)
    if wanted.takes(own) and syntax in ("", AS_STORED, stored):
        return as_stored
    if wanted.takes(OCTETS):
        if syntax in ("", NATIVE):
            return native
        return as_stored if syntax in (AS_STORED, stored) else None
    return None


def choose_rendered(wanted: Sequence[Wanted]) -> str:
    """Return ``image/jpeg`` or ``image/png``, JPEG where both will do (PS3.18 8.7.4).

    Raises
    ------
    NotAcceptableError
        If neither is acceptable.
    """
    for each in wanted:
        for media_type in (JPEG, PNG):
            if each.takes(media_type):
                return media_type
    raise NotAcceptableError("rendered images come as image/jpeg or image/png")


def choose_bulk(wanted: Sequence[Wanted], own: str) -> Form:
    """Return how a long value is handed out.

    Parameters
    ----------
    wanted
        What the client accepts.
    own
        Its media type: octet-stream, or that of an encapsulated document.

    Raises
    ------
    NotAcceptableError
        If no range takes it.
    """
    for each in wanted:
        for media_type in (own, OCTETS):
            if each.takes(media_type):
                return Form(media_type, each.multipart is True)
    raise NotAcceptableError(f"this value comes as {own}, alone or in multipart/related")


def is_decodable(stored: str) -> bool:
    """Tell whether an encapsulated transfer syntax has frames that can be handed out one by one."""
    return stored in _ENCODED or not UID(stored).is_encapsulated


__all__ = ["ANY", "DICOM", "JPEG", "JSON", "NATIVE", "OCTETS", "PDF", "PNG", "Form"]
