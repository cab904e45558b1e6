from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from model_service.errors import ModelMemoryError
from model_service.inference.batches import Batches
from tests.support.engines import FakeEngine

Array = npt.NDArray[np.float32]


def values(count: int) -> list[Array]:
    return [np.full((1, 2, 2), index, np.float32) for index in range(count)]


def test_outputs_are_in_order() -> None:
    engine = FakeEngine(lambda batch: [batch.sum((1, 2, 3)), batch])
    found = list(Batches(engine, 4).run(values(10)))
    assert [float(each[0]) for each in found] == [4.0 * index for index in range(10)]
    assert engine.batches == [4, 4, 2]
    assert found[3][1].shape == (1, 2, 2)


@pytest.mark.parametrize("holds", [1, 2, 3, 7])
def test_full_memory_halves_the_batch_and_loses_nothing(holds: int) -> None:
    engine = FakeEngine(lambda batch: batch, holds)
    batches = Batches(engine, 8)
    found = [float(each[0].max()) for each in batches.run(values(13))]
    assert found == list(range(13))
    assert max(engine.batches) <= holds
    assert batches.limit <= holds
    engine.batches.clear()
    list(batches.run(values(8)))
    assert max(engine.batches) == batches.limit  # remembered: no second failure


def test_a_single_input_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ModelMemoryError):
        list(Batches(FakeEngine(lambda batch: batch, holds=0), 8).run(values(3)))


def test_inputs_are_asked_for_by_the_batch() -> None:
    asked = 0

    def source() -> Iterator[Array]:
        nonlocal asked
        for each in values(9):
            asked += 1
            yield each

    running = Batches(FakeEngine(lambda batch: batch), 3).run(source())
    next(running)
    assert asked == 3
