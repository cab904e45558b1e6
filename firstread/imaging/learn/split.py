"""Parts of a data set, by patient: the same patient is in the same part, whatever else there is."""

import math
from collections.abc import Iterable, Mapping
from hashlib import sha256

from firstread.imaging.learn.errors import LearnError, LearnReason
from firstread.imaging.learn.samples import Sample

SHARES: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


def part_of(patient: str, shares: Mapping[str, float] = SHARES, seed: int = 0) -> str:
    """Return the part that a patient belongs to.

    Parameters
    ----------
    patient
        As `Sample.patient`.
    shares
        Part -> share of all patients, in expectation; together 1.
    seed
        Another one makes other parts.

    Raises
    ------
    LearnError
        ``shares_not_understood`` if they are negative or not 1 together.
    """
    if not shares or min(shares.values()) < 0 or not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9):
        raise LearnError(LearnReason.BAD_SHARES)
    at = int.from_bytes(sha256(f"{seed}\0{patient}".encode()).digest()[:8], "big") / 2**64
    edge = 0.0
    last = ""
    for part, share in shares.items():
        edge += share
        if share and at < edge:
            return part
        last = part if share else last
    return last  # the sum of shares may end a rounding below 1


def split(
    samples: Iterable[Sample], shares: Mapping[str, float] = SHARES, seed: int = 0
) -> dict[str, tuple[Sample, ...]]:
    """Return samples by part; no patient is in two, and one who comes later moves nobody else.

    A digest decides for each patient alone: of few patients the shares are met only roughly, and a part may be empty.

    Parameters
    ----------
    samples
        In any order; each part keeps it.
    shares, seed
        As for `part_of`.

    Raises
    ------
    LearnError
        As `part_of`.
    """
    found: dict[str, list[Sample]] = {part: [] for part in shares}
    for each in samples:
        found[part_of(each.patient, shares, seed)].append(each)
    return {part: tuple(held) for part, held in found.items()}
