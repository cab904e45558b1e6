"""``report.json``: what an evaluation found, typed."""

from typing import Literal

from pydantic import Field

from model_service.evaluation.cases import LabelsFrom
from model_service.manifest.base import Sha256, Strict


class Estimate(Strict):
    """A figure with its 95 % interval; None where it is not defined, as the AUROC of one class is not."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Curve(Strict):
    """Points of a curve, thinned where there are very many."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Bin(Strict):
    """Cases whose probability lies between two bounds."""

    low: float
    high: float
    cases: int
    mean_probability: float | None
    observed: float | None = Field(description="share of them that are positive")


class Histogram(Strict):
    """How many cases have which score; ``edges`` has one number more than the counts."""

    edges: tuple[float, ...]
    positive: tuple[int, ...]
    negative: tuple[int, ...]


class Size(Strict):
    """The size of a segment in one case."""

    reference: float
    predicted: float


class Confusion(Strict):
    """Cases by what they are (rows) and what the model says (columns)."""

    truths: tuple[str, ...]
    answers: tuple[str, ...]
    cases: tuple[tuple[int, ...], ...]


class Subgroup(Strict):
    """The headline figures of the cases with one value in one column of the CSV."""

    column: str
    value: str
    cases: int
    patients: int
    counts: dict[str, int]
    metrics: dict[str, Estimate]


class Figures(Strict):
    """How good a model is at one thing: a class, a segment, or its detections."""

    label: str
    distance_unit: str = Field("", description="of a segment: mm, or px where a spacing is not known")
    size_unit: str = Field("", description="of a segment: mm3, mm2 or px")
    counts: dict[str, int]
    metrics: dict[str, Estimate]
    subgroups: tuple[Subgroup, ...] = ()
    curves: dict[str, Curve] = Field(default_factory=dict)
    reliability: tuple[Bin, ...] = ()
    histogram: Histogram | None = None
    sizes: tuple[Size, ...] = ()
    confusion: Confusion | None = None


class Bundle(Strict):
    """The model that was evaluated."""

    name: str
    version: str
    title: str
    task: str
    intended_use: str
    sha256: Sha256


class Refused(Strict):
    """What was not evaluated; the name is a path below the data folder."""

    name: str
    reason: str


class Data(Strict):
    """What it was evaluated on."""

    cases: int = Field(description="analysed")
    labelled: int = Field(description="of them, those with a label, mask or boxes")
    patients: int
    patients_known: int = Field(
        description="labelled cases whose patient is known; the others count as one each"
    )
    labels_from: LabelsFrom
    positive: tuple[str, ...] = Field(description="names of --positive")
    passed_over: int = Field(description="files that the labels do not name")
    refused: tuple[Refused, ...]


class Resampling(Strict):
    """How intervals were made: percentiles of a bootstrap of patients."""

    repeats: int
    seed: int
    level: float = 0.95


class Seconds(Strict):
    """Wall time."""

    load: float
    analyse: float = Field(description="reading, preprocessing, prediction and comparison")
    figures: float
    cases_per_second: float


class Report(Strict):
    """The whole of ``report.json``.

    Examples
    --------
    >>> Report.model_validate_json(text)  # doctest: +SKIP
    """

    schema_version: Literal[1] = 1
    research_use_only: Literal[True] = True
    made_at: str
    bundle: Bundle
    engine: str
    precision: str
    data: Data
    bootstrap: Resampling
    seconds: Seconds
    rules: tuple[str, ...] = Field(description="how the figures were made, in words")
    figures: tuple[Figures, ...] = Field(description="empty where nothing is labelled")
