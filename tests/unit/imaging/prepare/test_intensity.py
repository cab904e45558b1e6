"""Values are what their step says, to the last digit where that can be."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from firstread.imaging.prepare import BiasField, Percentiles, Pipeline, PrepareReason, Subject, Window, ZScore
from firstread.imaging.prepare.pipeline import AnyStep
from firstread.imaging.volume import Volume
from tests.unit.imaging.prepare.support import refused, run


def ramp(dtype: type = np.int16, modality: str = "CT") -> Volume:
    """A volume of each whole number from -1024 to 975."""
    return Volume(np.arange(-1024, 976, dtype=dtype).reshape(10, 10, 20), np.eye(4), (), modality=modality)


def test_a_window_limits_and_keeps_units_and_type() -> None:
    made = Pipeline(steps=(Window(preset="brain"),)).run(ramp())
    assert made.volume.values.dtype == np.int16
    assert np.array_equal(made.volume.values, np.clip(ramp().values, 0, 80))
    (step,) = made.record["steps"]
    assert step["figures"] == {"low": 0.0, "high": 80.0, "limited": round((2000 - 81) / 2000, 6)}
    half = Pipeline(steps=(Window(centre=0, width=5),)).run(ramp()).volume.values
    assert half.dtype == np.float32 and (half.min(), half.max()) == (-2.5, 2.5)


def test_a_window_scales() -> None:
    made = Pipeline(steps=(Window(preset="lung", scale=(-1, 1)),)).run(ramp()).volume
    assert made.units == "1" and made.values.dtype == np.float32
    assert made.values.ravel()[-600 + 1024] == 0 and made.values.max() == 1
    assert np.allclose(made.values, (np.clip(ramp().values, -1350, 150) + 600) / 750, atol=1e-6)


def test_a_limit_that_the_type_does_not_hold_limits_nothing() -> None:
    volume = Volume(np.arange(256, dtype=np.uint8).reshape(4, 8, 8), np.eye(4), ())
    made = Pipeline(steps=(Window(centre=0, width=20_000),)).run(volume).volume.values
    assert np.array_equal(made, volume.values) and made.dtype == np.uint8


@pytest.mark.parametrize(
    "given", [{}, {"preset": "lung", "width": 3}, {"centre": 3}, {"width": -1, "centre": 0}]
)
def test_a_window_is_a_preset_or_both_numbers(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate(given)


def test_zscores_are_measured_where_the_mask_is_and_applied_everywhere() -> None:
    mask = np.zeros((10, 10, 20), bool)
    mask[3:5] = True
    made = Pipeline(steps=(ZScore(mask="here"),)).run(ramp(), {"here": mask}).volume.values
    assert made[mask].mean() == pytest.approx(0, abs=1e-6) and made[mask].std() == pytest.approx(1, rel=1e-6)
    values = ramp().values.astype(float)
    assert np.allclose(made, (values - values[mask].mean()) / values[mask].std(), atol=1e-5)


def test_percentiles_are_those_of_the_mask() -> None:
    made = Pipeline(steps=(Percentiles(low=10, high=90, scale=(0, 10)),)).run(ramp())
    low, high = np.percentile(ramp().values, [10, 90])
    assert np.allclose(
        made.volume.values, (np.clip(ramp().values, low, high) - low) / (high - low) * 10, atol=1e-5
    )
    assert made.record["steps"][0]["figures"] == {"low": low, "high": high}


def test_the_slow_change_of_brightness_goes() -> None:
    grid = np.mgrid[0:24, 0:24, 0:24]
    head = ((grid - 11.5) ** 2).sum(0) < 10.5**2
    bias = np.exp(0.5 * np.sin(grid[2] / 9))
    volume = Volume((head * 800 * bias).astype(np.uint16), np.diag([3.0, 2.0, 2.0, 1.0]), (), modality="MR")
    step = BiasField(shrink=2, iterations=(30, 30))
    made = Pipeline(steps=(step,)).run(volume, {"head": head})
    before, after = (
        values[head].std() / values[head].mean() for values in (volume.values, made.volume.values)
    )
    assert after < before / 5
    assert made.volume.values.dtype == np.float32 and (made.volume.affine == volume.affine).all()
    again = Pipeline(steps=(step.model_copy(update={"mask": "head"}),)).run(volume, {"head": head})
    assert again.volume.values[head].std() / again.volume.values[head].mean() < before / 5
    field = again.record["steps"][0]["figures"]
    shown = bias[head] / np.exp(np.log(bias[head]).mean())
    assert (field["field_low"], field["field_high"]) == pytest.approx((shown.min(), shown.max()), rel=0.1)


def test_values_that_a_step_has_no_meaning_for() -> None:
    flat = replace(ramp(modality="MR"), values=np.full((6, 6, 6), 7, np.int16))
    nan = replace(ramp(), values=np.full((6, 6, 6), np.nan))
    refused(PrepareReason.WRONG_MODALITY, ramp(modality="MR"), Window(preset="lung"))
    refused(PrepareReason.WRONG_MODALITY, replace(ramp(), units="1"), Window(preset="lung"))
    refused(PrepareReason.WRONG_MODALITY, ramp(), BiasField())
    refused(PrepareReason.NEGATIVE, ramp(modality="MR"), BiasField())
    steps: list[AnyStep] = [ZScore(), Percentiles(), BiasField()]
    for step in steps:
        refused(PrepareReason.FLAT, flat, step)
    for step in [*steps[:2], Window(preset="lung")]:
        refused(PrepareReason.NOT_FINITE, nan, step)
    refused(PrepareReason.FLAT, ramp(), Percentiles(low=50, high=50))
    times = replace(ramp(modality="MR"), values=np.ones((2, 6, 6, 6)))
    refused(PrepareReason.IN_TIME, times, BiasField())


def test_a_record_is_json_and_has_every_parameter(sphere: Subject) -> None:
    made = run(sphere, Window(preset="soft_tissue", scale=(0, 1)), ZScore(mask="ball"))
    kept = json.loads(json.dumps(made.record))
    assert kept == made.record and kept["firstread"]
    assert kept["steps"][0] | {"figures": {}} == {
        "kind": "window",
        "preset": "soft_tissue",
        "centre": None,
        "width": None,
        "scale": [0.0, 1.0],
        "figures": {},
        "shape": [28, 48, 64],
        "spacing_mm": [3.0, 2.0, 1.5],
    }
