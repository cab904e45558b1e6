"""All objects of a signed review."""

from firstread.dicom.silence import quiet
from firstread.objects.written import Written
from portal.objects.report import report
from portal.objects.segmentation import segmentations
from portal.objects.signed import Signed


def make(signed: Signed) -> tuple[Written, ...]:
    """Make the report of a signed review, and the segmentations of its regions.

    Returns
    -------
    tuple of Written
        The report first; the same for the same `signed`, byte for byte.
    """
    with quiet():  # what is odd in the sources' values is not to be logged
        drawn = segmentations(signed)
        return report(signed, drawn), *(each.written for each in drawn)
