"""Which order a study was made for, as references."""

from pydicom.dataset import Dataset

from firstread.dicom.metadata import text
from firstread.dicom.silence import quiet
from firstread.refs import References

_MOST = 20
"""Numbers of one object that are taken; more is no order, and would not fit into the record of a study."""
_NUMBERS = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)


def order_refs(dataset: Dataset, references: References) -> tuple[str, ...]:
    """Return references of the accession and order numbers of an object (PS3.3 C.7.2.1, C.4.12), sorted.

    Request Attributes Sequence (0040,0275) names one order per item where a study answers several.
    """
    found = {text(dataset, keyword) for keyword in _NUMBERS}
    with quiet():
        items = dataset.get("RequestAttributesSequence") or ()
    found |= {text(item, keyword) for item in items for keyword in _NUMBERS}
    return tuple(sorted(ref for number in found if (ref := references.order(number))))[:_MOST]
