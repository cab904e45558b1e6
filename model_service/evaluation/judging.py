"""What every task has to tell of its cases."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import PIL.Image

from model_service.evaluation.cases import Case
from model_service.evaluation.reading import Source
from model_service.evaluation.report import Bin, Confusion, Curve, Histogram, Size
from model_service.evaluation.resample import Rows, Statistics
from model_service.prediction import Prediction

Truth = TypeVar("Truth")
Outcome = TypeVar("Outcome")


class Fault(NamedTuple):
    """What is wrong with a case, as the title of the pictures of such cases, and how much."""

    title: str
    weight: float


@dataclass(frozen=True)
class Drawn:
    """What is drawn and not estimated."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    reliability: tuple[Bin, ...] = ()
    histogram: Histogram | None = None
    sizes: tuple[Size, ...] = ()
    confusion: Confusion | None = None


@dataclass(frozen=True)
class Subject:
    """One thing to be good at, over all labelled cases.

    Parameters
    ----------
    label : str
        Of the class or segment.
    statistics : callable
        Figures of some rows.
    counts : callable
        How many of some rows are what.
    headline : tuple of str
        The figures that subgroups get.
    drawn : Drawn
        Curves and tables.
    distance_unit, size_unit : str
        Of a segment.
    """

    label: str
    statistics: Statistics
    counts: Callable[[Rows], Mapping[str, int]]
    headline: tuple[str, ...]
    drawn: Drawn
    distance_unit: str = ""
    size_unit: str = ""


class Judge(ABC, Generic[Truth, Outcome]):
    """Compares predictions of one task with what is true."""

    rules: tuple[str, ...]
    """How the figures are made, for the report."""
    columns: tuple[str, ...]
    """Of predictions.csv, after `file` and `label`."""

    @abstractmethod
    def truth(self, case: Case, source: Source) -> Truth | None:
        """Return what is true of a case, on its grid; None where nothing is known.

        Raises
        ------
        CaseError
            If what is told cannot be understood.
        """

    @abstractmethod
    def outcome(self, source: Source, predictions: Sequence[Prediction], truth: Truth | None) -> Outcome:
        """Compare the predictions of a case's frames with the truth, and keep what the figures need."""

    @abstractmethod
    def subjects(self, outcomes: Sequence[Outcome]) -> list[Subject]:
        """Return what to estimate, of the outcomes with a truth."""

    @abstractmethod
    def row(self, outcome: Outcome) -> list[str]:
        """Return the cells of predictions.csv."""

    @abstractmethod
    def fault(self, outcome: Outcome) -> Fault | None:
        """Say how bad a case went, for showing the worst; None for cases that are not shown."""

    @abstractmethod
    def picture(
        self, source: Source, predictions: Sequence[Prediction], truth: Truth | None
    ) -> PIL.Image.Image:
        """Draw a case with what the model said."""

    @abstractmethod
    def caption(self, outcome: Outcome) -> str:
        """Say in words what the picture shows."""


def cell(value: float) -> str:
    """Write a number into predictions.csv."""
    return f"{value:.6g}"


def ratio(part: float, whole: float) -> float:
    """Divide; not a number by zero."""
    return float(part / whole) if whole else float("nan")
