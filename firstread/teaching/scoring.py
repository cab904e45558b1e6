"""How close a reading came to the standard: findings, labels and places. Pure."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from firstread.objects.outline import Mask
from firstread.objects.raster import filled
from firstread.review import DrawnRegion
from firstread.teaching.cases import Judged, Mark, Outcome, Score, Seen

Frame = tuple[str, int]
Shapes = Mapping[Frame, tuple[int, int]]
"""Rows and columns of a frame, by SOP Instance UID and number."""

ENOUGH = 0.1
"""Overlap from which two outlines mean the same place.

A learner is to point at the right thing; how well the outline fits is told by the overlap itself.
"""


def masks(regions: Sequence[DrawnRegion], shapes: Shapes) -> dict[Frame, Mask]:
    """Return the pixels of regions by frame, those of several regions joined.

    Parameters
    ----------
    regions
        Those on frames without a shape are left out.
    shapes
        Of the frames.

    Returns
    -------
    dict
        Rows x columns each.
    """
    found: dict[Frame, Mask] = {}
    for each in regions:
        frame = (each.sop_uid, each.frame)
        if frame not in shapes:
            continue
        rings = [[(point.x, point.y) for point in ring] for ring in (each.outline, *each.holes)]
        mask = filled(rings, shapes[frame])
        found[frame] = found[frame] | mask if frame in found else mask
    return found


def overlap(one: Mapping[Frame, Mask], other: Mapping[Frame, Mask]) -> float:
    """Return intersection over union on the frames that both are on; 0 where there is none.

    Whoever outlines a lesion on one slice of many is measured on that slice.
    """
    common = one.keys() & other.keys()
    union = sum(int(np.count_nonzero(one[frame] | other[frame])) for frame in common)
    both = sum(int(np.count_nonzero(one[frame] & other[frame])) for frame in common)
    return both / union if union else 0.0


def score(said: Sequence[Seen], truth: Sequence[Seen], shapes: Shapes) -> Score:
    """Compare what was said with what is there.

    Each finding has at most one counterpart. Pairs are made of those with the same label and place first, then of the
    same label, then of the same place, the larger overlap first. A finding counts as found where label and place are
    right; where one of the two did not say where, the label decides.

    Parameters
    ----------
    said, truth
        What was said, and the standard.
    shapes
        Of the frames that regions may be on.
    """
    pairs = _pairs(said, truth, shapes)
    judged = [judgement for _, _, judgement in pairs]
    judged += [
        Judged(outcome=Outcome.MISSED, expected=each.code)
        for index, each in enumerate(truth)
        if index not in {j for _, j, _ in pairs}
    ]
    judged += [
        Judged(outcome=Outcome.EXTRA, said=each.code)
        for index, each in enumerate(said)
        if index not in {i for i, _, _ in pairs}
    ]
    right = [each for each in judged if each.outcome is Outcome.FOUND]
    drawn = [each.overlap for each in right if each.overlap is not None]
    total = len(said) + len(truth)
    return Score(
        judged=tuple(judged),
        found=len(right),
        expected=len(truth),
        false=len(said) - len(right),
        value=2 * len(right) / total if total else 1.0,
        overlap=sum(drawn) / len(drawn) if drawn else None,
        is_positive=bool(truth),
        said_positive=bool(said),
    )


def _pairs(said: Sequence[Seen], truth: Sequence[Seen], shapes: Shapes) -> list[tuple[int, int, Judged]]:
    drawn = [masks(each.regions, shapes) for each in said]
    there = [masks(each.regions, shapes) for each in truth]
    candidates = []
    for (i, one), (j, other) in product(enumerate(said), enumerate(truth)):
        same = (one.code.value, one.code.scheme) == (other.code.value, other.code.scheme)
        share = overlap(drawn[i], there[j]) if drawn[i] and there[j] else None
        placed = _placed(share, one.mark, there[j])
        if same or placed:
            order = (not (same and placed is not False), not same, -(share or 0.0), i, j)
            candidates.append((order, i, j, _judge(one, other, same=same, placed=placed, share=share)))
    taken: list[tuple[int, int, Judged]] = []
    for _, i, j, judgement in sorted(candidates, key=lambda each: each[0]):
        if all(i != a and j != b for a, b, _ in taken):
            taken.append((i, j, judgement))
    return sorted(taken, key=lambda each: each[1])


def _placed(share: float | None, mark: Mark | None, there: Mapping[Frame, Mask]) -> bool | None:
    """Tell whether a place is right; None where one of the two did not say where."""
    if share is not None:
        return share >= ENOUGH
    if mark is None or not there:
        return None
    mask = there.get((mark.sop_uid, mark.frame))
    row, column = int(mark.at.y), int(mark.at.x)
    return mask is not None and row < mask.shape[0] and column < mask.shape[1] and bool(mask[row, column])


def _judge(one: Seen, other: Seen, *, same: bool, placed: bool | None, share: float | None) -> Judged:
    outcome = Outcome.FOUND if same else Outcome.MISLABELLED
    if same and placed is False:
        outcome = Outcome.MISPLACED
    return Judged(outcome=outcome, expected=other.code, said=one.code, overlap=share)
