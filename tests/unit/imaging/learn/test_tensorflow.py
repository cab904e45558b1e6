"""Items as TensorFlow has them: of itself where it is installed, and of a stand-in that checks as it does."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from firstread.imaging.tensorflow import LearnError, Patches, Sample, Volumes, tf_dataset, with_labels
from tests.unit.imaging.learn.makers import ball

Samples = tuple[Sample, ...]
SIZE = (8, 10, 12)


class Made:
    """What `from_generator` was given, and checks what it yields as TensorFlow does."""

    def __init__(
        self, generator: Callable[[], Iterator[dict[str, Any]]], output_signature: dict[str, Any]
    ) -> None:
        self.generator, self.element_spec = generator, output_signature

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for item in self.generator():
            assert item.keys() == self.element_spec.keys()
            for name, value in item.items():
                spec, array = self.element_spec[name], np.asarray(value)
                assert len(spec.shape) == array.ndim
                assert all(want in (None, have) for want, have in zip(spec.shape, array.shape, strict=True))
                assert spec.dtype == ("string" if array.dtype.kind == "U" else array.dtype.name)
            yield item


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = ModuleType("tensorflow")
    fake.string, fake.as_dtype, fake.TensorSpec = "string", str, SimpleNamespace
    fake.data = SimpleNamespace(Dataset=SimpleNamespace(from_generator=Made))
    monkeypatch.setitem(sys.modules, "tensorflow", fake)


def test_it_is_named_where_it_is_not_there(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r'pip install "firstread\[tensorflow\]"'):
        tf_dataset(Volumes(samples, tmp_path))


@pytest.mark.usefixtures("stand_in")
def test_each_pass_has_its_epoch(samples: Samples, tmp_path: Path) -> None:
    data = Patches(samples, tmp_path, SIZE, per_volume=3, masks=ball)
    made = tf_dataset(data)
    assert made.element_spec["image"].shape == (1, *SIZE)
    assert made.element_spec["affine"].shape == (4, 4)
    for epoch in 0, 1:
        data.set_epoch(epoch)
        for number, each in enumerate(made):
            assert np.array_equal(each["image"], data.arrays(number)["image"])
        assert number == 5


@pytest.mark.usefixtures("stand_in")
def test_whole_volumes_may_differ_in_size(samples: Samples, tmp_path: Path) -> None:
    made = tf_dataset(Volumes(samples, tmp_path, masks=ball))
    assert made.element_spec["masks"].shape == (1, None, None, None)
    assert [each["label"] for each in made] == [1, 0]
    with pytest.raises(LearnError, match="no_samples"):
        tf_dataset(Volumes([], tmp_path))


@pytest.mark.skipif(find_spec("tensorflow") is None, reason='needs pip install "firstread[tensorflow]"')
@pytest.mark.filterwarnings("ignore")  # of TensorFlow's own
@pytest.mark.parametrize("labels", [{"Doe": 1, "Roe": 0}, {"Doe": 0.5, "Roe": 1.5}, {"Doe": "a", "Roe": "b"}])
def test_tensorflow_itself(labels: dict[str, Any], samples: Samples, tmp_path: Path) -> None:
    tensorflow = import_module("tensorflow")
    data = Patches(with_labels(samples, labels), tmp_path, SIZE, per_volume=3, masks=ball)
    made = tf_dataset(data)
    assert isinstance(made, tensorflow.data.Dataset)
    for epoch in 0, 1:
        data.set_epoch(epoch)
        batches = list(made.batch(2).prefetch(1).as_numpy_iterator())
        assert [len(each["image"]) for each in batches] == [2, 2, 2]
        assert batches[0]["image"].shape == (2, 1, *SIZE) and batches[0]["masks"].dtype == np.uint8
        for number in range(6):
            batch, at, expected = batches[number // 2], number % 2, data.arrays(number)
            for name in "image", "masks", "affine":
                assert np.array_equal(batch[name][at], expected[name])
            label = batch["label"][at]
            assert (label.decode() if isinstance(label, bytes) else label) == expected["label"]
            assert batch["series_uid"][at].decode() == expected["series_uid"]
    whole = tf_dataset(Volumes(samples, tmp_path, masks=ball))
    sums = [float(tensorflow.reduce_sum(each["image"])) for each in whole]
    assert sums == pytest.approx([Volumes(samples, tmp_path).arrays(each)["image"].sum() for each in (0, 1)])
