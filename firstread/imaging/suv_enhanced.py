"""Units and corrections of Enhanced PET, which has them in functional groups and in attributes of its own.

Units are in Real World Value Maps (PS3.3 C.7.6.16.2.11); what was corrected, and to which moment, in the modules of
Enhanced PET (A.56, C.8.22). `firstread.imaging.suv` makes standardised uptake of it.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedPETImageStorage

from firstread.imaging.body import Suv, SuvError, SuvReason
from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.pixels import frame_count

ACTIVITY = "Bq/ml"
_SAME = 1e-6
# UCUM has {SUVbw}g/ml (CID 85); objects before it have g/ml{SUVbw}.
_UNITS = {ACTIVITY: ACTIVITY, "Bq/mL": ACTIVITY}
_UNITS |= {kind.units: kind.value for kind in Suv}
_UNITS |= {re.sub(r"(\{.*\})(.*)", r"\2\1", kind.units): kind.value for kind in Suv}


def is_enhanced(headers: Sequence[Dataset]) -> bool:
    """Return whether a series is of Enhanced PET."""
    return any(each.get("SOPClassUID") == EnhancedPETImageStorage for each in headers)


def real_world(headers: Sequence[Dataset]) -> tuple[str, float]:
    """Return in which units the values of a series can be had, and by which factor after their own rescale.

    Parameters
    ----------
    headers
        Of all its images.

    Returns
    -------
    str, float
        `ACTIVITY`, or the value of a `Suv`.

    Raises
    ------
    SuvError
        If frames have no such map, or it is no factor, or not the same one for all.
    """
    found = [_of_frame(header, frame) for header in headers for frame in range(frame_count(header))]
    # What is standardised already is taken before activity, where all frames have it.
    for units in (*(kind.value for kind in Suv), ACTIVITY):
        factors = [each.get(units) for each in found]
        told = [each for each in factors if each is not None]
        if len(told) < len(factors):
            continue
        if not np.allclose(told, told[0], rtol=_SAME, atol=0.0):
            raise SuvError(SuvReason.MIXED)
        return units, told[0]
    raise SuvError(SuvReason.MIXED if any(found) else SuvReason.NO_UNITS)


def _of_frame(header: Dataset, frame: int) -> dict[str, float]:
    """Return the factors of a frame: units -> factor."""
    rescale = functional_item(header, frame, "PixelValueTransformationSequence")
    slope = (numbers(rescale, "RescaleSlope") or (1.0,))[0]
    intercept = (numbers(rescale, "RescaleIntercept") or (0.0,))[0]
    found: dict[str, float] = {}
    for item in _maps(header, frame):
        units = _UNITS.get(_code(item))
        if units is None or units in found or slope == 0.0:
            continue
        own, zero = numbers(item, "RealWorldValueSlope"), numbers(item, "RealWorldValueIntercept")
        if len(own) != 1 or len(zero) != 1 or own[0] <= 0.0:
            continue  # a table, which is no factor
        factor = own[0] / slope
        if abs(zero[0] - intercept * factor) > _SAME * max(1.0, abs(zero[0])):
            continue  # another zero than that of the values
        found[units] = factor
    return found


def _maps(header: Dataset, frame: int) -> Iterator[Dataset]:
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for group in [*groups[frame : frame + 1], *shared[:1], header]:
        if items := group.get("RealWorldValueMappingSequence"):
            yield from items
            return


def _code(item: Dataset) -> str:
    codes = item.get("MeasurementUnitsCodeSequence") or [Dataset()]
    return str(codes[0].get("CodeValue") or "")


def is_corrected(headers: Sequence[Dataset]) -> bool:
    """Return whether attenuation and decay were corrected for in all images."""
    keywords = ("AttenuationCorrected", "DecayCorrected")
    return all(each.get(keyword) == "YES" for each in headers for keyword in keywords)
