"""Running and refusing."""

import numpy as np
import pytest

from firstread.imaging.prepare import Pipeline, Prepared, PrepareError, PrepareReason, Subject
from firstread.imaging.prepare.pipeline import AnyStep
from firstread.imaging.volume import Volume


def run(subject: Subject, *steps: AnyStep, references: dict[str, Volume] | None = None) -> Prepared:
    return Pipeline(steps=steps).run(subject.volume, subject.masks, references)


def refused(
    reason: PrepareReason,
    volume: Volume,
    *steps: AnyStep,
    masks: dict[str, np.ndarray] | None = None,
    references: dict[str, Volume] | None = None,
) -> None:
    """The last step is refused, and the error says which it is."""
    with pytest.raises(PrepareError) as caught:
        Pipeline(steps=steps).run(volume, masks, references)
    assert caught.value.reason is reason
    assert str(caught.value) == f"{len(steps)} {steps[-1].kind}: {reason.value}"
