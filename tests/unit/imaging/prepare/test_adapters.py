"""The same pipeline by SimpleITK and by MONAI, and from YAML."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydantic import ValidationError

from firstread.imaging.prepare import (
    CropOrPad,
    Pipeline,
    PrepareError,
    PrepareReason,
    Reorient,
    Resample,
    Subject,
    as_monai,
    as_monai_dict,
    volume_of,
)
from tests.support.phantoms import CENTRE, centre_and_volume

TEXT = """
steps:
  - {kind: resample, spacing_mm: [3.0, 2.0, 2.0]}
  - {kind: reorient, towards: RAS}
  - {kind: crop_to_foreground, above: 0, margin_mm: 6}
"""


def test_a_pipeline_is_data(tmp_path: Path) -> None:
    pipeline = Pipeline.from_yaml(TEXT)
    assert pipeline.steps[1] == Reorient(towards="RAS")
    file = tmp_path / "steps.yaml"
    file.write_text(pipeline.to_yaml(), encoding="utf-8")
    assert Pipeline.from_yaml(file) == Pipeline.from_yaml(str(file)) == pipeline
    assert "interpolation: linear" in pipeline.to_yaml()  # defaults may change
    with pytest.raises(ValidationError):
        pipeline.steps = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        "steps: [",
        "",
        "steps: [{kind: magic}]",
        "steps: [{kind: zscore, colour: red}]",
        "steps: [{kind: resample, spacing_mm: -1}]",
        "steps: [{kind: resample, spacing_mm: .nan}]",
        "!!python/object/apply:os.getcwd []",
    ],
)
def test_what_is_no_pipeline(text: str) -> None:
    with pytest.raises(ValueError):
        Pipeline.from_yaml(text)


def test_simpleitk_in_and_out(oblique: Subject) -> None:
    pipeline = Pipeline.from_yaml(TEXT)
    made = pipeline.sitk(oblique.volume.to_sitk())
    ours = pipeline.run(oblique.volume).volume
    assert np.array_equal(SimpleITK.GetArrayFromImage(made), ours.values)
    back = volume_of(made, "CT", "[hnsf'U]")
    assert np.allclose(back.affine, ours.affine) and (back.modality, back.units) == ("CT", "[hnsf'U]")
    for other in (
        SimpleITK.Image(4, 4, SimpleITK.sitkUInt8),
        SimpleITK.Image([4, 4, 4], SimpleITK.sitkVectorUInt8, 3),
    ):
        with pytest.raises(PrepareError, match="not_a_volume"):
            pipeline.sitk(other)


@pytest.mark.filterwarnings("ignore:NvImgCodec")  # MONAI tries each reader that it knows
def test_monai_in_and_out(oblique: Subject, tmp_path: Path) -> None:
    from monai.transforms.compose import Compose
    from monai.transforms.io.array import LoadImage

    file = tmp_path / "ball.nii"
    SimpleITK.WriteImage(oblique.volume.to_sitk(), file)
    pipeline = Pipeline.from_yaml(TEXT)
    expected = pipeline.run(oblique.volume).volume
    transform = pickle.loads(pickle.dumps(as_monai(pipeline)))  # noqa: S301 - our own: workers get it so
    made = Compose([LoadImage(image_only=True, ensure_channel_first=True), transform])(file)
    difference = made.numpy()[0].transpose(2, 1, 0) - expected.values  # MONAI reads real numbers: not rounded
    assert abs(difference).max() < 0.51
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    assert np.allclose(to_ras @ made.affine.numpy(), expected.affine[:, [2, 1, 0, 3]], atol=1e-4)
    centre, _ = centre_and_volume(made.numpy()[0], to_ras @ made.affine.numpy())
    assert np.linalg.norm(centre - CENTRE) < 0.25
    assert [each["kind"] for each in json.loads(made.meta["prepared"])["steps"]] == [
        "resample",
        "reorient",
        "crop_to_foreground",
    ]
    with pytest.raises(PrepareError):
        transform(made.repeat(2, 1, 1, 1))


def test_a_dictionary_for_monai_has_its_masks_along(oblique: Subject) -> None:
    import torch
    from monai.data.meta_tensor import MetaTensor

    volume = oblique.volume
    swap, to_ras = [2, 1, 0, 3], np.diag([-1.0, -1.0, 1.0, 1.0])

    def tensor(values: np.ndarray) -> MetaTensor:
        shown = np.ascontiguousarray(values.transpose(2, 1, 0)[None])
        return MetaTensor(torch.from_numpy(shown), affine=torch.from_numpy(to_ras @ volume.affine[:, swap]))

    pipeline = Pipeline(steps=(Resample(spacing_mm=2.0), CropOrPad(size=(40, 44, 48))))
    data: dict[Any, Any] = {"ct": tensor(volume.values), "ball": tensor(oblique.masks["labels"]), "name": "x"}
    made = as_monai_dict(pipeline, "ct", ["ball"])(data)
    expected = pipeline.run(volume, {"ball": oblique.masks["labels"]})
    assert np.array_equal(made["ct"].numpy()[0].transpose(2, 1, 0), expected.volume.values)
    assert np.array_equal(made["ball"].numpy()[0].transpose(2, 1, 0), expected.masks["ball"])
    assert torch.equal(made["ct"].affine, made["ball"].affine) and made["name"] == "x"
    assert data["ct"].shape[1:] == volume.values.shape[::-1]  # not changed

    found = as_monai_dict(Pipeline.from_yaml("steps: [{kind: body_mask, opening_mm: 0}]"), "ct", ["body"])(
        data
    )
    assert found["body"].sum() == (volume.values > -300).sum()

    other = replace(volume, affine=volume.affine + np.eye(4)[:, :1] @ np.array([[0, 0, 0, 5.0]]))
    data["ball"] = MetaTensor(
        data["ball"].as_tensor(), affine=torch.from_numpy(to_ras @ other.affine[:, swap])
    )
    for transform, reason in (
        (as_monai_dict(pipeline, "ct", ["ball"]), PrepareReason.BAD_MASK),
        (as_monai_dict(pipeline, "ct", ["none"]), PrepareReason.NO_SUCH_MASK),
    ):
        with pytest.raises(PrepareError) as caught:
            transform(data)
        assert caught.value.reason is reason
