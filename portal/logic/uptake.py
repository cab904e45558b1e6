"""What makes standardised uptake of the values of a PET series, by its metadata and `firstread.imaging.suv`."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet
from firstread.dicomweb.dicom_json import Json
from firstread.imaging.body import SuvError
from firstread.imaging.suv import suv_scale
from portal.logic.display import reason_words
from portal.logic.worklist import View

_UNIT = "SUVbw"
_PRIVATE = ("7053", "0009")
"""Groups of the private factors of Philips and GE; all others stay where they are."""
_LONG = "BulkDataURI"
_PIXELS = "7FE0"


class ScaleView(View):
    """How values of a series become those that readers expect.

    Parameters
    ----------
    unit
        ``SUVbw``: uptake by body weight, g/ml; "" where values stay as they are stored.
    factor
        By which values are multiplied after their own rescale.
    rule
        Which rule gave it, as `firstread.imaging.suv` names it; "" where none did.
    reason
        Why there is no other unit; "" where there is.
    """

    unit: str = ""
    factor: float = 1.0
    rule: str = ""
    reason: str = ""


def uptake_scale(datasets: Sequence[Json]) -> ScaleView:
    """Return what makes uptake by body weight of a series.

    Parameters
    ----------
    datasets
        The metadata of all its images (PS3.18 F.2).
    """
    with quiet():
        try:
            scale = suv_scale([_header(each) for each in datasets])
        except SuvError as error:
            return ScaleView(reason=reason_words(error.reason.value))
        except Exception:  # what pydicom raises on malformed metadata varies
            return ScaleView(reason=reason_words("unreadable"))
    return ScaleView(unit=_UNIT, factor=scale.factor, rule=scale.rule)


def _header(dataset: Json) -> Dataset:
    kept = {
        tag: element
        for tag, element in dataset.items()
        if _LONG not in element and (int(tag[:4], 16) % 2 == 0 or tag.startswith(_PRIVATE))
    }
    return Dataset.from_json({tag: each for tag, each in kept.items() if not tag.startswith(_PIXELS)})
