"""How a learner comes on over cases, from first attempts only. Pure."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np
from pydantic import Field

from firstread.teaching.cases import Attempt, Score
from firstread.value import Value

_Z = 1.959964
"""Quantile of the normal distribution for an interval of 95 %."""
FEWEST_FOR_A_TREND = 5
FEWEST_LEARNERS = 5
"""Below that, a distribution would tell who is who."""


class Kappa(Value):
    """Agreement beyond chance on whether anything is there, with a 95 % interval; None where it is not defined.

    Parameters
    ----------
    cases
        How many were compared.
    """

    cases: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Figures(Value):
    """What first attempts at some cases come to.

    Parameters
    ----------
    score
        Mean of the cases.
    sensitivity
        Findings that were found, of all that were there; None where there were none.
    false_per_case
        False findings per case.
    overlap
        Mean overlap of what was found and drawn.
    """

    cases: int
    score: float | None
    sensitivity: float | None
    false_per_case: float | None
    overlap: float | None
    kappa: Kappa


class Step(Value):
    """One case on the way, oldest first; the mean of up to ten cases until then is its `running` score."""

    at: str
    collection: str
    case: int
    score: float = Field(ge=0, le=1)
    running: float = Field(ge=0, le=1)
    seconds: float


class Progress(Value):
    """A learner over cases.

    Parameters
    ----------
    own, models
        Of the learner, and of models on the same cases, where they were compared.
    median_seconds
        Of the time from opening the images to handing in.
    trend
        Change of the score over ten cases, by least squares; None for fewer than `FEWEST_FOR_A_TREND`.
    """

    own: Figures
    models: Figures
    median_seconds: float | None
    trend: float | None
    steps: tuple[Step, ...]


class Distribution(Value):
    """How all learners did on the cases of a collection, without names.

    Parameters
    ----------
    learners
        How many took the case that most have taken.
    attempts
        First attempts at all cases.
    deciles
        Number of attempts with a score in [0, 0.1), [0.1, 0.2) ... [0.9, 1]; empty where too few learners took part.
    """

    learners: int
    attempts: int
    median: float | None = None
    deciles: tuple[int, ...] = ()


def kappa(pairs: Sequence[tuple[bool, bool]]) -> Kappa:
    """Return Cohen's kappa (Educ. Psychol. Meas. 1960;20:37) of two readers who say yes or no.

    The interval is Wilson's (JASA 1927;22:209) for the observed agreement, carried over with the agreement by chance as
    it was; so it has a width where all agree, too.

    Parameters
    ----------
    pairs
        What each of the two said, by case.
    """
    cases = len(pairs)
    if not cases:
        return Kappa(cases=0)
    one, other = (sum(said) / cases for said in zip(*pairs, strict=True))
    chance = one * other + (1 - one) * (1 - other)
    if chance == 1:  # both always said the same one thing
        return Kappa(cases=cases)
    agreed = sum(a == b for a, b in pairs) / cases
    centre = (agreed + _Z**2 / (2 * cases)) / (1 + _Z**2 / cases)
    half = _Z / (1 + _Z**2 / cases) * (agreed * (1 - agreed) / cases + (_Z / (2 * cases)) ** 2) ** 0.5
    value, low, high = ((each - chance) / (1 - chance) for each in (agreed, centre - half, centre + half))
    return Kappa(cases=cases, value=value, low=max(-1.0, low), high=min(1.0, high))


def figures(scores: Sequence[Score]) -> Figures:
    """Return what scores come to."""
    expected = sum(each.expected for each in scores)
    overlaps = [each.overlap for each in scores if each.overlap is not None]
    return Figures(
        cases=len(scores),
        score=fmean(each.value for each in scores) if scores else None,
        sensitivity=sum(each.found for each in scores) / expected if expected else None,
        false_per_case=fmean(each.false for each in scores) if scores else None,
        overlap=fmean(overlaps) if overlaps else None,
        kappa=kappa([(each.said_positive, each.is_positive) for each in scores]),
    )


def progress(attempts: Sequence[Attempt]) -> Progress:
    """Return how a learner comes on; attempts that do not count are left out."""
    counted = sorted((each for each in attempts if each.counts), key=lambda each: each.submitted_at)
    scored = [(each, each.score) for each in counted if each.score is not None]
    values = [score.value for _, score in scored]
    steps = tuple(
        Step(
            at=attempt.submitted_at,
            collection=attempt.collection,
            case=attempt.case,
            score=score.value,
            running=fmean(values[max(0, index - 9) : index + 1]),
            seconds=attempt.seconds or 0.0,
        )
        for index, (attempt, score) in enumerate(scored)
    )
    return Progress(
        own=figures([score for _, score in scored]),
        models=figures([each.model_score for each, _ in scored if each.model_score is not None]),
        median_seconds=median(step.seconds for step in steps) if steps else None,
        trend=_trend(values),
        steps=steps,
    )


def distribution(scores: Sequence[tuple[int, float]]) -> Distribution:
    """Return how all did.

    Parameters
    ----------
    scores
        Number of the case and score, by first attempt.
    """
    learners = max(Counter(case for case, _ in scores).values(), default=0)
    if learners < FEWEST_LEARNERS:
        return Distribution(learners=learners, attempts=len(scores))
    values = [value for _, value in scores]
    counted = np.histogram(values, bins=10, range=(0.0, 1.0))[0]
    return Distribution(
        learners=learners,
        attempts=len(scores),
        median=median(values),
        deciles=tuple(int(each) for each in counted),
    )


def _trend(values: Sequence[float]) -> float | None:
    if len(values) < FEWEST_FOR_A_TREND:
        return None
    slope = np.polynomial.Polynomial.fit(range(len(values)), values, 1).convert().coef
    return float(slope[1]) * 10 if len(slope) > 1 else 0.0
