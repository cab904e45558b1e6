"""Engines that are no networks, for what is around an engine."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class FakeEngine:
    """Runs a function, remembers the sizes of its batches, and is out of memory above a limit."""

    name = "fake"
    precision = "fp32"

    def __init__(self, function: Callable[[Array], Array | Sequence[Array]], holds: int = 1000) -> None:
        self.function, self.holds = function, holds
        self.batches: list[int] = []

    def run(self, batch: Array) -> Sequence[Array]:
        if len(batch) > self.holds:
            raise MemoryError
        self.batches.append(len(batch))
        found = self.function(batch)
        return [found] if isinstance(found, np.ndarray) else found
