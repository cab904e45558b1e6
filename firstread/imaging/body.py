"""The size of a patient by which an uptake is standardised (PS3.16 CID 85, codes of SUV)."""

from enum import StrEnum

from pydicom.dataset import Dataset

from firstread.errors import FirstReadError
from firstread.imaging.lookup import numbers

_WEIGHT_KG = (0.2, 700.0)
_HEIGHT_M = (
    0.2,
    2.8,
)  # centimetres in place of metres lie outside, as DICOM objects of old systems have them


class Suv(StrEnum):
    """What an uptake is standardised by; the values are those of SUV Type (0054,1006), PS3.3 C.8.9.1.1.3."""

    BODY_WEIGHT = "BW"
    LEAN_JANMAHASATIAN = "LBMJANMA"
    """Lean body mass after Janmahasatian et al. 2005."""
    LEAN_JAMES = "LBMJAMES128"
    """Lean body mass after James 1976, with the factor 128 for men."""
    BODY_SURFACE = "BSA"
    """Body surface after Du Bois and Du Bois 1916."""

    @property
    def units(self) -> str:
        """Return the UCUM unit (CID 85)."""
        return _UNITS[self]

    @property
    def code(self) -> str:
        """Return the value of the DCM code of the quantity (PS3.16 CID 7469)."""
        return _CODES[self]

    @property
    def formula(self) -> str:
        """Return how the size is computed: w kilograms, h centimetres, bmi kilograms per square metre."""
        return _FORMULAS[self]


_UNITS = {
    Suv.BODY_WEIGHT: "{SUVbw}g/ml",
    Suv.LEAN_JANMAHASATIAN: "{SUVlbm(Janma)}g/ml",
    Suv.LEAN_JAMES: "{SUVlbm(James128)}g/ml",
    Suv.BODY_SURFACE: "{SUVbsa}cm2/ml",
}
_CODES = {
    Suv.BODY_WEIGHT: "126401",
    Suv.LEAN_JANMAHASATIAN: "126405",
    Suv.LEAN_JAMES: "126406",
    Suv.BODY_SURFACE: "126403",
}
_FORMULAS = {
    Suv.BODY_WEIGHT: "w * 1000 g",
    Suv.LEAN_JANMAHASATIAN: "M: 9270 w / (6680 + 216 bmi); F: 9270 w / (8780 + 244 bmi); * 1000 g",
    Suv.LEAN_JAMES: "M: 1.10 w - 128 (w / h)^2; F: 1.07 w - 148 (w / h)^2; * 1000 g",
    Suv.BODY_SURFACE: "71.84 w^0.425 h^0.725 cm2",
}


class SuvReason(StrEnum):
    """Why there is no standardised uptake; never carries a value of a dataset."""

    NOT_PET = "not_pet"
    NO_UNITS = "pet_units_missing"
    UNKNOWN_UNITS = "pet_units_not_known"
    MIXED = "slices_contradict"
    NOT_CORRECTED = "pet_not_corrected"
    NO_WEIGHT = "no_weight"
    NO_HEIGHT = "no_height"
    NO_SEX = "no_sex"
    IMPLAUSIBLE_BODY = "body_implausible"
    NO_DOSE = "no_dose"
    IMPLAUSIBLE_DOSE = "dose_implausible"
    SEVERAL_TRACERS = "several_tracers"
    NO_HALF_LIFE = "no_half_life"
    NO_TIMES = "no_times"
    IMPLAUSIBLE_TIMES = "times_implausible"
    NO_FACTOR = "no_private_factor"


class SuvError(FirstReadError):
    """A series whose uptake cannot be standardised without a guess.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: SuvReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def body_size(header: Dataset, kind: Suv) -> tuple[float, dict[str, float | str]]:
    """Return the size of a patient, and what it was computed of.

    Parameters
    ----------
    header
        With the Patient Study Module (PS3.3 C.7.2.2).
    kind
        By what.

    Returns
    -------
    size : float
        Grams; square centimetres for the body surface.
    inputs : dict
        ``weight_kg``, ``height_m``, ``sex``: those that were needed.

    Raises
    ------
    SuvError
        If one is missing or cannot be that of a person.
    """
    weight = _within(header, "PatientWeight", _WEIGHT_KG, SuvReason.NO_WEIGHT)
    inputs: dict[str, float | str] = {"weight_kg": weight}
    if kind is Suv.BODY_WEIGHT:
        return 1000.0 * weight, inputs
    height = _within(header, "PatientSize", _HEIGHT_M, SuvReason.NO_HEIGHT)
    inputs["height_m"] = height
    if kind is Suv.BODY_SURFACE:
        return 71.84 * weight**0.425 * (100.0 * height) ** 0.725, inputs
    sex = str(header.get("PatientSex") or "")
    if sex not in ("M", "F"):
        raise SuvError(SuvReason.NO_SEX)
    lean = (_janmahasatian if kind is Suv.LEAN_JANMAHASATIAN else _james)(weight, height, sex == "M")
    if lean <= 0.0:
        raise SuvError(SuvReason.IMPLAUSIBLE_BODY)  # the parabola of James comes down again
    return 1000.0 * lean, inputs | {"sex": sex}


def _within(header: Dataset, keyword: str, ends: tuple[float, float], missing: SuvReason) -> float:
    found = numbers(header, keyword)
    if len(found) != 1 or found[0] == 0.0:
        raise SuvError(missing)
    if not ends[0] <= found[0] <= ends[1]:
        raise SuvError(SuvReason.IMPLAUSIBLE_BODY)
    return found[0]


def _janmahasatian(weight: float, height: float, is_male: bool) -> float:
    index = weight / height**2
    return 9270.0 * weight / (6680.0 + 216.0 * index if is_male else 8780.0 + 244.0 * index)


def _james(weight: float, height: float, is_male: bool) -> float:
    ratio = (weight / (100.0 * height)) ** 2
    return 1.10 * weight - 128.0 * ratio if is_male else 1.07 * weight - 148.0 * ratio
