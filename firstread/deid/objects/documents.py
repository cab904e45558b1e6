"""Encapsulated documents: what they hold is replaced by a document of the same kind that says so (PS3.3 C.24.2).

Text, metadata, attachments, fonts and pictures of a PDF, narrative and entries of a CDA, and the surface of a body
in a mesh can each name a patient. None of them is understood here; so none is passed on.
"""

import struct
from collections.abc import Callable, Mapping

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from firstread.deid.objects.items import text_of
from firstread.dicom.objects import (
    ENCAPSULATED_CDA,
    ENCAPSULATED_MTL,
    ENCAPSULATED_OBJ,
    ENCAPSULATED_PDF,
    ENCAPSULATED_STL,
)

REMOVED = "encapsulated document removed"
_NOTICE = "This document was removed by de-identification."
_SOP_CLASS, _SOP_INSTANCE, _BURNED_IN = 0x00080016, 0x00080018, 0x00280301
_TITLE, _DOCUMENT, _MIME_TYPE, _MIME_TYPES, _LENGTH = (
    0x00420010,
    0x00420011,
    0x00420012,
    0x00420014,
    0x00420015,
)
_HL7_INSTANCE = 0x0040E001


def is_encapsulated(dataset: Dataset) -> bool:
    """Return whether an object encapsulates a document."""
    return text_of(dataset, _SOP_CLASS) in _KINDS


def clean(dataset: Dataset, *, keep_title: bool) -> None:
    """Let go of the document, and of its title where descriptors are not cleaned but removed.

    Parameters
    ----------
    dataset
        Top level, with its original values.
    keep_title
        Whether the title stays, to be swept.
    """
    if _DOCUMENT in dataset.keys():
        dataset[_DOCUMENT] = DataElement(_DOCUMENT, "OB", b"")
    if _TITLE in dataset.keys() and not keep_title:
        dataset[_TITLE] = DataElement(_TITLE, "ST", "")


def replace(dataset: Dataset) -> None:
    """Put a document of the same kind into the place of the one that is gone.

    Parameters
    ----------
    dataset
        Top level, already cleaned, with its new SOP Instance UID.
    """
    kind = _KINDS.get(text_of(dataset, _SOP_CLASS))
    if kind is None:
        return
    mime_type, make = kind
    made = make(text_of(dataset, _SOP_INSTANCE))
    dataset[_DOCUMENT] = DataElement(_DOCUMENT, "OB", made + b"\0" * (len(made) % 2))
    dataset[_LENGTH] = DataElement(_LENGTH, "UL", len(made))
    dataset[_MIME_TYPE] = DataElement(_MIME_TYPE, "LO", mime_type)
    dataset[_BURNED_IN] = DataElement(_BURNED_IN, "CS", "NO")  # what is there was written here
    if _MIME_TYPES in dataset.keys():
        del dataset[_MIME_TYPES]
    if mime_type == "text/XML":
        dataset[_HL7_INSTANCE] = DataElement(_HL7_INSTANCE, "ST", text_of(dataset, _SOP_INSTANCE))


def pdf(_uid: str = "") -> bytes:
    """Return one page that says what was done (ISO 32000-1), with its cross-reference table."""
    stream = f"BT /F1 14 Tf 72 720 Td ({_NOTICE}) Tj ET"
    parts = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made = b"%PDF-1.4\n"
    table = f"xref\n0 {len(parts) + 1}\n0000000000 65535 f \n"
    for number, part in enumerate(parts, 1):
        table += f"{len(made):010d} 00000 n \n"
        made += f"{number} 0 obj\n{part}\nendobj\n".encode("ascii")
    end = f"trailer\n<< /Size {len(parts) + 1} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    return made + (table + end).encode("ascii")


def cda(uid: str) -> bytes:
    """Return a CDA document (HL7 CDA R2) in which everything is masked; its id is the SOP Instance UID."""
    masked = '<id nullFlavor="MSK"/>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
        f'<id root="{uid}"/><code nullFlavor="MSK"/><title>{_NOTICE}</title><effectiveTime nullFlavor="MSK"/>'
        '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'
        f"<recordTarget><patientRole>{masked}</patientRole></recordTarget>"
        f'<author><time nullFlavor="MSK"/><assignedAuthor>{masked}</assignedAuthor></author>'
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        f"{masked}</representedCustodianOrganization></assignedCustodian></custodian>"
        f"<component><nonXMLBody><text>{_NOTICE}</text></nonXMLBody></component></ClinicalDocument>\n"
    ).encode("ascii")


def stl(_uid: str = "") -> bytes:
    """Return a binary STL of one triangle without area."""
    return _NOTICE.encode("ascii").ljust(80) + struct.pack("<L12fH", 1, *(0.0,) * 12, 0)


def obj(_uid: str = "") -> bytes:
    """Return a Wavefront OBJ of one triangle without area."""
    return f"# {_NOTICE}\nv 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n".encode("ascii")


def mtl(_uid: str = "") -> bytes:
    """Return a Wavefront material of no colour."""
    return f"# {_NOTICE}\nnewmtl removed\nKd 0.5 0.5 0.5\n".encode("ascii")


_KINDS: Mapping[str, tuple[str, Callable[[str], bytes]]] = {
    ENCAPSULATED_PDF: ("application/pdf", pdf),
    ENCAPSULATED_CDA: ("text/XML", cda),
    ENCAPSULATED_STL: ("model/stl", stl),
    ENCAPSULATED_OBJ: ("model/obj", obj),
    ENCAPSULATED_MTL: ("model/mtl", mtl),
}
