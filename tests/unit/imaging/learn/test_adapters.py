"""Items as other libraries have them; those that are not installed are stood in for."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from firstread.imaging.torch import PatchDataset, Sample, VolumeDataset, tf_dataset, to_meta, to_subject
from tests.unit.imaging.learn.makers import ball

Samples = tuple[Sample, ...]


def test_for_monai(samples: Samples, tmp_path: Path) -> None:
    from monai.transforms.spatial.dictionary import Flipd

    item = to_meta(VolumeDataset(samples, tmp_path, masks=ball)[0])
    assert torch.equal(item["image"].affine, item["affine"])
    flip: Any = Flipd(["image", "masks"], spatial_axis=0)
    flipped = flip(item)
    assert torch.equal(flipped["masks"].as_tensor(), item["masks"].as_tensor().flip(1))


@pytest.mark.parametrize(("name", "call"), [("torchio", partial(to_subject, {})), ("tensorflow", tf_dataset)])
def test_libraries_that_are_not_there_are_named(
    name: str, call: Callable[..., object], samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"pip install {name}"):
        call(VolumeDataset(samples, tmp_path)) if name == "tensorflow" else call()


def test_for_torchio(samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = ModuleType("torchio")
    fake.ScalarImage = fake.LabelMap = SimpleNamespace
    fake.Subject = dict
    monkeypatch.setitem(sys.modules, "torchio", fake)
    data = VolumeDataset(samples, tmp_path, masks=ball)
    item = data[0]
    made = to_subject(item, data.mask_names())
    assert made["image"].tensor.shape == (1, 40, 36, 20)
    lps = item["affine"].numpy() @ [3, 5, 7, 1]
    assert np.allclose(made["ball"].affine @ [7, 5, 3, 1], lps * [-1, -1, 1, 1])
    assert made["ball"].tensor[0, 7, 5, 3] == item["masks"][0, 3, 5, 7]
    assert made["label"] == 1


def test_for_tensorflow(samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Made:
        """What `from_generator` was given, and checks what it yields as TensorFlow does."""

        def __init__(
            self, generator: Callable[[], Iterator[dict[str, Any]]], output_signature: dict[str, Any]
        ) -> None:
            self.generator, self.signature = generator, output_signature

        def __iter__(self) -> Iterator[dict[str, Any]]:
            for item in self.generator():
                assert item.keys() == self.signature.keys()
                for name, value in item.items():
                    spec, array = self.signature[name], np.asarray(value)
                    assert len(spec.shape) == array.ndim
                    assert all(
                        want in (None, have) for want, have in zip(spec.shape, array.shape, strict=True)
                    )
                    assert spec.dtype == ("string" if array.dtype.kind == "U" else array.dtype.name)
                yield item

    fake: Any = ModuleType("tensorflow")
    fake.string, fake.as_dtype, fake.TensorSpec = "string", str, SimpleNamespace
    fake.data = SimpleNamespace(Dataset=SimpleNamespace(from_generator=Made))
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    data = PatchDataset(samples, tmp_path, (8, 10, 12), per_volume=3, masks=ball)
    made = tf_dataset(data)
    for _ in range(2):
        found = list(made)
        assert len(found) == 6
        assert np.array_equal(found[4]["image"], data.arrays(4)["image"])
