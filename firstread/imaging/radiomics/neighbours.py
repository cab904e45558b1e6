"""The 26 neighbours of voxels, by offsets into a padded array of one dimension."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from firstread.imaging.radiomics.region import Levels

DIRECTIONS = tuple(each for each in product((-1, 0, 1), repeat=3) if each > (0, 0, 0))
"""One of each pair of opposite ones: 13."""


@dataclass(frozen=True)
class Flat:
    """Grey levels in one dimension.

    Parameters
    ----------
    values : numpy.ndarray
        Levels with a border of 0, flattened.
    inside : numpy.ndarray
        Where they are above 0.
    shape
        With the border.
    """

    values: Levels
    inside: Levels
    shape: tuple[int, ...]

    @classmethod
    def of(cls, levels: Levels) -> "Flat":
        """Return levels of a box, 0 outside the region."""
        padded = np.pad(levels, 1)
        return cls(padded.ravel(), np.flatnonzero(padded), padded.shape)

    def step(self, direction: tuple[int, ...]) -> int:
        """Return how far away the neighbour in a direction is."""
        return (direction[0] * self.shape[1] + direction[1]) * self.shape[2] + direction[2]

    def pairs(self, direction: tuple[int, ...]) -> tuple[Levels, Levels]:
        """Return the levels of voxels, and of their neighbours, where both are inside."""
        one, other = self.values[self.inside], self.values[self.inside + self.step(direction)]
        return one[other > 0], other[other > 0]

    def surroundings(self) -> tuple[Levels, Levels, Levels]:
        """Return of each voxel inside: its level, how many neighbours are inside, and the sum of theirs."""
        level = self.values[self.inside]
        near, amount = np.zeros_like(level), np.zeros_like(level)
        for direction in DIRECTIONS:
            for sign in (1, -1):
                other = self.values[self.inside + sign * self.step(direction)]
                near += other > 0
                amount += other
        return level, near, amount

    def alike(self) -> tuple[Levels, Levels]:
        """Return of each voxel inside: its level, and how many neighbours have it too."""
        level = self.values[self.inside]
        found = np.zeros_like(level)
        for direction in DIRECTIONS:
            for sign in (1, -1):
                found += self.values[self.inside + sign * self.step(direction)] == level
        return level, found
