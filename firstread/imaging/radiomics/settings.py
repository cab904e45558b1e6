"""How features are computed: whatever changes a value, and is written beside it."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from firstread.errors import FirstReadError


class RadiomicsReason(StrEnum):
    """Why a region has no features; never carries a value of a dataset."""

    EMPTY = "empty_region"
    OTHER_GRID = "region_of_another_grid"
    NOT_SCALAR = "not_scalar_values"
    NOT_FINITE = "values_not_finite"
    TOO_MANY_LEVELS = "too_many_grey_levels"


class RadiomicsError(FirstReadError):
    """A region that has no features.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: RadiomicsReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Family(StrEnum):
    """Families of features; the value is how names of features begin."""

    SHAPE = "morph"
    INTENSITY = "stat"
    HISTOGRAM = "ih"
    CO_OCCURRENCE = "cm"
    RUN_LENGTH = "rlm"
    SIZE_ZONE = "szm"
    DISTANCE_ZONE = "dzm"
    TONE_DIFFERENCE = "ngt"
    DEPENDENCE = "ngl"


class Aggregation(StrEnum):
    """How the matrices of the 13 directions become one value of a feature; the value is how its name ends."""

    AVERAGED = "3D_avg"
    """The mean of the features of each direction (IBSI ITBB)."""
    MERGED = "3D_comb"
    """The feature of the sum of all matrices (IBSI IAZD)."""


@dataclass(frozen=True)
class BinNumber:
    """As many grey levels in each region, whatever its range (fixed bin number, IBSI K15C).

    Parameters
    ----------
    count
        Of grey levels, 1 to 1024.

    Raises
    ------
    ValueError
        If it is out of that range.
    """

    count: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_LEVELS:
            raise ValueError(f"from 1 to {MOST_LEVELS} grey levels")


@dataclass(frozen=True)
class BinSize:
    """Grey levels of one width in the units of the values (fixed bin size, IBSI Q3RU).

    The first begins at the lower bound of `Settings.intensity_range`; without one at the lowest value of the region, so
    that levels of two regions are not the same values.

    Parameters
    ----------
    width
        Above 0.

    Raises
    ------
    ValueError
        If it is not.
    """

    width: float

    def __post_init__(self) -> None:
        if not 0 < self.width < float("inf"):
            raise ValueError("a width above 0")


MOST_LEVELS = 1024


@dataclass(frozen=True)
class Settings:
    """How features are computed.

    Parameters
    ----------
    discretisation
        How values become grey levels.
    intensity_range
        Lowest and highest value that belong to a region, for all but its shape (re-segmentation, IBSI USB3).
    aggregation
        Of the co-occurrence and run length matrices.
    families
        Which features.

    Raises
    ------
    ValueError
        If the range is none.
    """

    discretisation: BinNumber | BinSize = BinNumber()
    intensity_range: tuple[float, float] | None = None
    aggregation: Aggregation = Aggregation.MERGED
    families: tuple[Family, ...] = tuple(Family)

    def __post_init__(self) -> None:
        if self.intensity_range is not None and not self.intensity_range[0] < self.intensity_range[1]:
            raise ValueError("a range from a lower to a higher value")

    def to_json(self) -> dict[str, object]:
        """Return them as a table has them."""
        method = "fixed_bin_number" if isinstance(self.discretisation, BinNumber) else "fixed_bin_size"
        return {
            "discretisation": {"method": method, **asdict(self.discretisation)},
            "intensity_range": list(self.intensity_range) if self.intensity_range else None,
            "aggregation": self.aggregation.value,
            "families": [each.value for each in self.families],
        }
