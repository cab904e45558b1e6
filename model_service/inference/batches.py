"""Run arrays through an engine in batches that its memory holds."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from aws_lambda_powertools import Logger

from model_service.errors import ModelMemoryError
from model_service.inference.intensity import Array
from model_service.prediction import Engine

Outputs = Sequence[npt.NDArray[Any]]

logger = Logger(service="model_service")


class Batches:
    """Batches of at most `limit` inputs; the limit is halved where memory is full, and stays so.

    Parameters
    ----------
    engine : Engine
        Raises MemoryError where a batch is too much.
    limit : int
        Inputs in a batch.
    """

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine = engine
        self.limit = limit

    def run(self, inputs: Iterable[Array]) -> Iterator[Outputs]:
        """Yield the outputs of each input, in order, without the batch axis.

        Parameters
        ----------
        inputs : iterable of numpy.ndarray
            Channels x spatial, all of one shape; asked for one batch at a time.

        Raises
        ------
        ModelMemoryError
            If a single input is too much.
        """
        source = iter(inputs)
        while batch := list(islice(source, self.limit)):
            yield from self._batch(batch)

    def _batch(self, inputs: list[Array]) -> Iterator[Outputs]:
        try:
            # A single one is seen as a batch, and not copied.
            outputs = self._engine.run(np.stack(inputs) if len(inputs) > 1 else inputs[0][None])
        except MemoryError:
            if len(inputs) == 1:
                raise ModelMemoryError("a single input does not fit into memory") from None
            self.limit = min(self.limit, len(inputs) // 2)
            logger.warning("batch halved: memory is full", extra={"limit": self.limit})
        else:
            yield from zip(*outputs, strict=True)
            return
        # Outside the handler: the traceback of the error holds the failed batch's memory.
        yield from self.run(inputs)
