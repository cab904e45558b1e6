"""Which SOP classes are objects of a patient's study without pixel data (PS3.4 B.5, PS3.6 Annex A)."""

from pydicom.uid import UID

_STORAGE = "1.2.840.10008.5.1.4.1.1."

ENCAPSULATED_PDF = f"{_STORAGE}104.1"
ENCAPSULATED_CDA = f"{_STORAGE}104.2"
ENCAPSULATED_STL = f"{_STORAGE}104.3"
ENCAPSULATED_OBJ = f"{_STORAGE}104.4"
ENCAPSULATED_MTL = f"{_STORAGE}104.5"
MR_SPECTROSCOPY = f"{_STORAGE}4.2"
VOICE_CLASSES = frozenset({f"{_STORAGE}9.4.1", f"{_STORAGE}9.4.2"})

# Left out, and therefore withheld: what belongs to no patient (hanging protocols, colour palettes, implant
# templates, defined protocols, inventories, directories), what the standard has retired, and surface scans,
# which show a face.
_SUFFIXES = (
    "4.2",  # MR spectroscopy: rows and columns of spectra, no pixels
    *(f"9.1.{n}" for n in range(1, 5)),  # ECG
    *("9.2.1", "9.3.1", "9.4.1", "9.4.2", "9.5.1", "9.6.1", "9.6.2"),
    *(f"9.7.{n}" for n in range(1, 5)),  # EEG, EMG, EOG
    "9.8.1",
    *(f"11.{n}" for n in range(1, 13)),  # presentation states
    *("66", "66.1", "66.2", "66.3", "66.5", "66.6"),  # raw data, registrations, fiducials, surfaces, tracts
    "67",  # real world value mapping
    "77.1.5.3",
    *(f"78.{n}" for n in range(1, 9)),  # ophthalmic measurements
    *("79.1", "80.1"),
    *("88.11", "88.22", "88.33", "88.34", "88.35", "88.40", "88.50", "88.59", "88.65"),  # reports
    *(f"88.{n}" for n in range(67, 78)),
    *("90.1", "91.1"),
    *(f"104.{n}" for n in range(1, 6)),  # encapsulated documents
    *("200.2", "200.8"),  # performed protocols
    *(f"481.{n}" for n in range(2, 23)),  # radiotherapy; a dose may hold histograms only
    "481.25",
)
_DELIVERY = ("1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10")

WITHOUT_PIXELS = frozenset({*(_STORAGE + suffix for suffix in _SUFFIXES), *_DELIVERY})
"""SOP classes that are accepted without pixel data."""


def is_image_class(sop_class_uid: str) -> bool:
    """Return whether PS3.6 names a SOP class an image."""
    return "Image Storage" in UID(sop_class_uid).name


SECONDARY_CAPTURES = frozenset({f"{_STORAGE}7", *(f"{_STORAGE}7.{n}" for n in range(1, 5))})
"""Screens that somebody photographed (PS3.3 A.8); what they show has no known scale or orientation."""
OUR_NAME = "FirstRead"
"""Manufacturer (0008,0070) of the objects that FirstRead makes."""
SEGMENTATION = f"{_STORAGE}66.4"
COMPREHENSIVE_3D_SR = f"{_STORAGE}88.34"
RESULT_CLASSES = frozenset(
    {SEGMENTATION, COMPREHENSIVE_3D_SR, ENCAPSULATED_PDF, f"{_STORAGE}11.1", f"{_STORAGE}30"}
)
"""What FirstRead makes: SEG, SR, encapsulated PDF, grayscale presentation state, parametric map. No plain image."""
