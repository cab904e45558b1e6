"""Standardised uptake of Enhanced PET: the answer of the same activity in single images, or a refusal."""

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedPETImageStorage

from firstread.imaging.body import Suv, SuvError, SuvReason
from firstread.imaging.series import load
from firstread.imaging.suv import suv, suv_scale
from tests.unit.imaging.test_enhanced import group, multiframe
from tests.unit.imaging.test_suv import DOSE, HALF_LIFE, HEIGHT, HOUR, WEIGHT, pet

TO_BQML = 0.25


def world(units: str, slope: float, intercept: float = 0.0) -> list[Dataset]:
    """Return a Real World Value Map of units."""
    return group(
        MeasurementUnitsCodeSequence=group(CodeValue=units, CodingSchemeDesignator="UCUM", CodeMeaning=units),
        RealWorldValueSlope=slope,
        RealWorldValueIntercept=intercept,
        RealWorldValueFirstValueMapped=0,
        RealWorldValueLastValueMapped=65535,
    )


def enhanced(units: str = "Bq/ml", to: float = TO_BQML) -> Dataset:
    """Return the series of `pet` as frames of one image; values after the rescale are four times the activity."""
    images = pet()
    for each in images:
        each.RescaleSlope = each.RescaleSlope / TO_BQML
    made = multiframe(images, EnhancedPETImageStorage)
    for one, frame in zip(images, made.PerFrameFunctionalGroupsSequence, strict=True):
        frame.RealWorldValueMappingSequence = world(units, float(one.RescaleSlope) * to)
    made.PatientWeight, made.PatientSize, made.PatientSex = WEIGHT, HEIGHT, "M"
    made.AttenuationCorrected = made.DecayCorrected = "YES"
    made.DecayCorrectionDateTime = "20250301100000.0"
    (tracer,) = images[0].RadiopharmaceuticalInformationSequence
    tracer.RadiopharmaceuticalStartDateTime = "20250301090000"
    made.RadiopharmaceuticalInformationSequence = [tracer]
    return made


def test_activity_is_standardised_with_the_moment_of_its_decay_correction() -> None:
    made = enhanced()
    scale = suv_scale([made])
    assert scale.factor == pytest.approx(
        TO_BQML * WEIGHT * 1000 / (DOSE * 2 ** (-HOUR / HALF_LIFE)), rel=1e-9
    )
    assert (scale.rule, scale.inputs["scan_time"]) == ("enhanced_activity", "DecayCorrectionDateTime")
    volume = suv(load([made]), [made])
    assert volume.values.max() == pytest.approx(8.0, rel=1e-6)
    assert volume.values.max(axis=(1, 2)) == pytest.approx([8.0] * 4, rel=1e-6)


def test_decay_to_the_injection_is_none() -> None:
    made = enhanced()
    made.DecayCorrectionDateTime = "20250301090000"
    assert suv_scale([made]).factor == pytest.approx(TO_BQML * WEIGHT * 1000 / DOSE, rel=1e-9)
    made.DecayCorrectionDateTime = "20250301110000+0200"
    made.TimezoneOffsetFromUTC = "+0100"
    assert suv_scale([made]).inputs["decay_s"] == HOUR


@pytest.mark.parametrize("units", ["{SUVbw}g/ml", "g/ml{SUVbw}"])
def test_a_map_to_uptake_is_taken_as_it_is(units: str) -> None:
    made = enhanced(units, to=0.125)
    for keyword in ("DecayCorrected", "RadiopharmaceuticalInformationSequence"):
        delattr(made, keyword)
    scale = suv_scale([made])
    assert scale.factor == pytest.approx(0.125, rel=1e-9)
    assert scale.rule == "real_world_suv"
    lean = suv_scale([made], Suv.BODY_SURFACE)
    size = 71.84 * WEIGHT**0.425 * (100 * HEIGHT) ** 0.725
    assert lean.factor == pytest.approx(0.125 * size / (1000 * WEIGHT), rel=1e-9)


def test_uptake_is_taken_before_activity() -> None:
    made = enhanced()
    for frame in made.PerFrameFunctionalGroupsSequence:
        slope = float(frame.PixelValueTransformationSequence[0].RescaleSlope)
        frame.RealWorldValueMappingSequence.extend(world("{SUVbw}g/ml", slope * 0.5))
    assert suv_scale([made]).rule == "real_world_suv"
    del made.PerFrameFunctionalGroupsSequence[1].RealWorldValueMappingSequence[1]
    assert suv_scale([made]).rule == "enhanced_activity"


def first_map(made: Dataset) -> Dataset:
    found: Dataset = made.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    return found


def without_maps(made: Dataset) -> None:
    for each in made.PerFrameFunctionalGroupsSequence:
        del each.RealWorldValueMappingSequence


REFUSED: dict[str, tuple[Callable[[Dataset], object], SuvReason]] = {
    "no map": (without_maps, SuvReason.NO_UNITS),
    "a frame without": (
        lambda made: delattr(made.PerFrameFunctionalGroupsSequence[2], "RealWorldValueMappingSequence"),
        SuvReason.MIXED,
    ),
    "counts": (
        lambda made: setattr(first_map(made).MeasurementUnitsCodeSequence[0], "CodeValue", "{counts}"),
        SuvReason.MIXED,
    ),
    "another factor": (lambda made: setattr(first_map(made), "RealWorldValueSlope", 9.0), SuvReason.MIXED),
    "another zero": (lambda made: setattr(first_map(made), "RealWorldValueIntercept", 5.0), SuvReason.MIXED),
    "a table": (lambda made: delattr(first_map(made), "RealWorldValueSlope"), SuvReason.MIXED),
    "no decay correction": (lambda made: setattr(made, "DecayCorrected", "NO"), SuvReason.NOT_CORRECTED),
    "no attenuation": (lambda made: delattr(made, "AttenuationCorrected"), SuvReason.NOT_CORRECTED),
    "no moment": (lambda made: delattr(made, "DecayCorrectionDateTime"), SuvReason.NO_TIMES),
    "before the injection": (
        lambda made: setattr(made, "DecayCorrectionDateTime", "20250301080000"),
        SuvReason.IMPLAUSIBLE_TIMES,
    ),
    "no weight": (lambda made: delattr(made, "PatientWeight"), SuvReason.NO_WEIGHT),
    "no dose": (lambda made: delattr(made, "RadiopharmaceuticalInformationSequence"), SuvReason.NO_DOSE),
    "two tracers": (
        lambda made: made.RadiopharmaceuticalInformationSequence.append(Dataset()),
        SuvReason.SEVERAL_TRACERS,
    ),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_missing_is_not_guessed(change: Callable[[Dataset], object], reason: SuvReason) -> None:
    made = enhanced()
    change(made)
    with pytest.raises(SuvError) as refused:
        suv_scale([made])
    assert refused.value.reason is reason
