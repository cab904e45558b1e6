"""Items as other libraries have them; those that are not installed are stood in for."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from firstread.imaging.series import load
from firstread.imaging.torch import Sample, VolumeDataset, to_meta, to_subject
from tests.unit.imaging.learn.makers import ball

Samples = tuple[Sample, ...]


def test_for_monai(samples: Samples, tmp_path: Path) -> None:
    from monai.transforms.spatial.dictionary import Flipd

    item = to_meta(VolumeDataset(samples, tmp_path, masks=ball)[0])
    assert torch.equal(item["image"].affine, item["affine"])
    flip: Any = Flipd(["image", "masks"], spatial_axis=0)
    flipped = flip(item)
    assert torch.equal(flipped["masks"].as_tensor(), item["masks"].as_tensor().flip(1))


def test_steps_of_monai_know_where_it_lies(samples: Samples, tmp_path: Path) -> None:
    from monai.transforms.compose import Compose
    from monai.transforms.croppad.dictionary import CropForegroundd, RandSpatialCropd
    from monai.transforms.spatial.dictionary import Orientationd

    item, volume = to_meta(VolumeDataset(samples, tmp_path, masks=ball)[0]), load(samples[0].paths)
    keys = ["image", "masks"]
    steps: Any = [
        Orientationd(keys, axcodes="RAS", labels=None),
        CropForegroundd(keys, source_key="masks", margin=2),
        RandSpatialCropd(keys, roi_size=(9, 8, 7), random_size=False),
    ]
    compose: Any = Compose(steps)
    made = compose.set_random_state(3)(item)
    # To the right, to the front, up: in coordinates that grow to the left, to the back, up.
    assert np.allclose(np.sign(np.diag(made["image"].affine.numpy())[:3]), [-1, -1, 1])
    index = np.stack(np.meshgrid(*map(np.arange, (9, 8, 7)), indexing="ij"), -1).reshape(-1, 3)
    places = np.c_[index, np.ones(len(index))] @ made["image"].affine.numpy().T
    own = np.rint(places @ np.linalg.inv(volume.affine).T)[:, :3].astype(int)
    values = volume.values[tuple(own.T)].reshape(9, 8, 7)
    assert np.array_equal(made["image"].numpy()[0], values)
    assert np.array_equal(made["masks"].numpy()[0], values > 0)
    assert len(set(values.ravel())) > 5


def test_torchio_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchio", None)
    with pytest.raises(ImportError, match="pip install torchio"):
        to_subject({})


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


@pytest.mark.skipif(find_spec("torchio") is None, reason="needs pip install torchio")
@pytest.mark.filterwarnings("ignore")  # of TorchIO's own
def test_torchio_itself(samples: Samples, tmp_path: Path) -> None:
    torchio = import_module("torchio")
    data = VolumeDataset(samples, tmp_path, masks=ball)
    item, subject = data[0], to_subject(data[0], data.mask_names())
    assert isinstance(subject, torchio.Subject) and isinstance(subject["ball"], torchio.LabelMap)
    image = load(samples[0].paths).to_sitk()
    at = subject["image"].as_sitk()
    for index in (0, 0, 0), (7, 5, 3):
        point = image.TransformIndexToPhysicalPoint(index)
        assert at.TransformIndexToPhysicalPoint(index) == pytest.approx(point, abs=1e-3)
        assert at.GetPixel(*index) == image.GetPixel(*index)
    flipped = torchio.RandomFlip(axes=(0, 1, 2), flip_probability=1.0)(subject)
    assert torch.equal(flipped["ball"].data, item["masks"].permute(0, 3, 2, 1).flip(1, 2, 3))
    assert flipped["label"] == 1
