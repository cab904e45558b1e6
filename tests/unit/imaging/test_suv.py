"""Standardised uptake: a known answer for each rule, and a refusal for each input that is missing."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet
from firstread.imaging.body import Suv, SuvError, SuvReason
from firstread.imaging.series import load
from firstread.imaging.suv import suv, suv_scale
from tests.support.phantoms import image, planes

DOSE, HALF_LIFE, WEIGHT, HEIGHT = 370e6, 6586.2, 80.0, 1.75
HOUR = 3600.0
ACTIVITY = 8.0 * DOSE * 2 ** (-HOUR / HALF_LIFE) / (WEIGHT * 1000)  # SUV 8 where it is highest
Change = Callable[[Dataset], None]


def pet(change: Change = lambda _: None, count: int = 4) -> list[Dataset]:
    """Return a series whose brightest voxel is SUV 8 by body weight, each slice with a slope of its own."""
    made: list[Dataset] = []
    for number, plane in enumerate(planes()[10 : 10 + count]):
        one = image(plane, number + 1)
        slope = ACTIVITY / (30000 - 10 * number)
        one.Modality, one.RescaleSlope, one.RescaleIntercept = "PT", slope, 0
        stored = np.zeros((one.Rows, one.Columns), "<u2")
        stored[3, 5] = 30000 - 10 * number
        one.PixelData = stored.tobytes()
        one.Units, one.DecayCorrection, one.CorrectedImage = "BQML", "START", ["DECY", "ATTN", "SCAT"]
        one.PatientWeight, one.PatientSize, one.PatientSex = WEIGHT, HEIGHT, "M"
        one.SeriesDate, one.SeriesTime = "20250301", "100000"
        one.AcquisitionDate, one.AcquisitionTime = "20250301", f"10{number:02}00.5"
        tracer = Dataset()
        tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = DOSE, HALF_LIFE
        tracer.RadiopharmaceuticalStartTime = "090000"
        one.RadiopharmaceuticalInformationSequence = [tracer]
        change(one)
        made.append(one)
    return made


OF_TRACER = ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime")


def tracer(name: str, value: object) -> Change:
    return lambda one: setattr(one.RadiopharmaceuticalInformationSequence[0], name, value)


def sets(**values: object) -> Change:
    def change(one: Dataset) -> None:
        with quiet():
            for name, value in values.items():
                setattr(one, name, value)

    return change


def drops(*names: str) -> Change:
    def change(one: Dataset) -> None:
        for name in names:
            delattr(
                one.RadiopharmaceuticalInformationSequence[0] if name in OF_TRACER else one,
                name,
            )

    return change


def both(*changes: Change) -> Change:
    def change(one: Dataset) -> None:
        for each in changes:
            each(one)

    return change


def philips(**factors: float) -> Change:
    def change(one: Dataset) -> None:
        one.Units = "CNTS"
        block = one.private_block(0x7053, "Philips PET Private Group", create=True)
        for name, value in factors.items():
            block.add_new({"suv": 0x00, "activity": 0x09}[name], "DS", value)

    return change


def ge(scan: str) -> Change:
    def change(one: Dataset) -> None:
        one.SeriesTime = "153000"  # processed in the afternoon
        one.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", scan)

    return change


def late_series(one: Dataset) -> None:
    one.SeriesTime = "153000"
    one.AcquisitionTime = f"10{4 - int(one.InstanceNumber):02}00"


def by_datetime(value: str) -> Change:
    return both(drops("RadiopharmaceuticalStartTime"), tracer("RadiopharmaceuticalStartDateTime", value))


DECAY = 2 ** (HOUR / HALF_LIFE)
KNOWN: dict[str, tuple[Change, float, str, str]] = {
    "becquerels, decay to the start of the series": (sets(), 8.0, "activity", "SeriesTime"),
    "decay to the administration": (sets(DecayCorrection="ADMIN"), 8.0 / DECAY, "activity", ""),
    "series made later, earliest acquisition": (late_series, 8.0, "activity", "AcquisitionTime"),
    "series made later, GE": (ge("20250301100000.00"), 8.0, "activity", "GE scan time"),
    "a moment the day before": (
        both(sets(SeriesTime="000000"), by_datetime("20250228230000")),
        8.0,
        "activity",
        "SeriesTime",
    ),
    "a moment elsewhere": (
        both(sets(TimezoneOffsetFromUTC="+0100"), by_datetime("20250301080000+0000")),
        8.0,
        "activity",
        "SeriesTime",
    ),
    "grams per millilitre": (sets(Units="GML"), ACTIVITY, "stored", ""),
    "Philips, factor to SUV": (philips(suv=0.25, activity=3.0), 0.25 * ACTIVITY, "philips_suv", ""),
    "Philips, factor to activity": (philips(activity=1.5), 12.0, "philips_activity", "SeriesTime"),
    "Philips, factor to SUV is zero": (
        philips(suv=0.0, activity=1.5),
        12.0,
        "philips_activity",
        "SeriesTime",
    ),
}


@pytest.mark.parametrize("case", KNOWN)
def test_known_answer(case: str) -> None:
    change, wanted, rule, scan = KNOWN[case]
    images = pet(change)
    volume = suv(load(images), images)
    assert volume.values.dtype == np.float32 and volume.units == "{SUVbw}g/ml"
    # Each slice has its own slope, and the same highest value.
    assert volume.values[:, 3, 5] == pytest.approx([wanted] * 4, rel=1e-6)
    assert np.count_nonzero(volume.values) == 4
    scale = suv_scale(images)
    assert (scale.rule, scale.inputs.get("scan_time", "")) == (rule, scan)


BMI = WEIGHT / HEIGHT**2
SIZES = {
    (Suv.LEAN_JANMAHASATIAN, "M"): 9270 * WEIGHT / (6680 + 216 * BMI),
    (Suv.LEAN_JANMAHASATIAN, "F"): 9270 * WEIGHT / (8780 + 244 * BMI),
    (Suv.LEAN_JAMES, "M"): 1.10 * WEIGHT - 128 * (WEIGHT / 175) ** 2,
    (Suv.LEAN_JAMES, "F"): 1.07 * WEIGHT - 148 * (WEIGHT / 175) ** 2,
    (Suv.BODY_SURFACE, "F"): 0.007184 * WEIGHT**0.425 * 175**0.725 * 10,
}


def test_sizes_are_those_of_the_literature() -> None:
    # 80 kg, 175 cm: as published calculators have them.
    assert SIZES[Suv.LEAN_JANMAHASATIAN, "M"] == pytest.approx(60.18, abs=0.01)
    assert SIZES[Suv.LEAN_JAMES, "M"] == pytest.approx(61.25, abs=0.01)
    assert SIZES[Suv.BODY_SURFACE, "F"] == pytest.approx(19.56, abs=0.01)


@pytest.mark.parametrize(("kind", "sex"), SIZES)
@pytest.mark.parametrize(
    "change", [sets(), sets(Units="GML"), philips(suv=0.25)], ids=["BQML", "GML", "Philips"]
)
def test_other_sizes(kind: Suv, sex: str, change: Change) -> None:
    images = pet(both(change, sets(PatientSex=sex)))
    by_weight = suv_scale(images).factor
    scale = suv_scale(images, kind)
    assert scale.factor == pytest.approx(by_weight * SIZES[kind, sex] / WEIGHT, rel=1e-9)
    assert suv(load(images), images, kind).units == kind.units


def test_what_is_stored_by_lean_mass_stays_or_is_converted() -> None:
    images = pet(sets(Units="GML", SUVType="LBMJANMA"))
    assert suv_scale(images, Suv.LEAN_JANMAHASATIAN).factor == 1.0
    wanted = WEIGHT / SIZES[Suv.LEAN_JANMAHASATIAN, "M"]
    assert suv_scale(images).factor == pytest.approx(wanted, rel=1e-9)


def test_the_sidecar_says_what_was_done() -> None:
    told = json.loads(json.dumps(suv_scale(pet()).to_json()))
    assert told["inputs"] == {
        "weight_kg": WEIGHT,
        "dose_bq": DOSE,
        "decay_correction": "START",
        "half_life_s": HALF_LIFE,
        "decay_s": HOUR,
        "scan_time": "SeriesTime",
    }
    size = WEIGHT * 1000
    assert told["factor"] == pytest.approx(size / (DOSE * 2 ** (-HOUR / HALF_LIFE)), rel=1e-12)
    assert told["formula"] == "size / (dose_bq * 2^(-decay_s / half_life_s)); size: w * 1000 g"
    assert (told["suv_type"], told["code"], told["units"]) == ("BW", "DCM 126401", "{SUVbw}g/ml")


def second(change: Change) -> Change:
    return lambda one: change(one) if one.InstanceNumber == 2 else None


def two_tracers(one: Dataset) -> None:
    one.RadiopharmaceuticalInformationSequence = [*one.RadiopharmaceuticalInformationSequence, Dataset()]


REFUSED: dict[str, tuple[Change, SuvReason]] = {
    "CT": (sets(Modality="CT"), SuvReason.NOT_PET),
    "no units": (drops("Units"), SuvReason.NO_UNITS),
    "other units": (sets(Units="PROPCNTS"), SuvReason.UNKNOWN_UNITS),
    "a lean mass that is not said": (sets(Units="GML", SUVType="LBM"), SuvReason.UNKNOWN_UNITS),
    "units differ": (second(sets(Units="GML")), SuvReason.MIXED),
    "doses differ": (second(tracer("RadionuclideTotalDose", 1e8)), SuvReason.MIXED),
    "weights differ": (second(sets(PatientWeight=70)), SuvReason.MIXED),
    "not corrected for decay": (sets(DecayCorrection="NONE"), SuvReason.NOT_CORRECTED),
    "decay correction not said": (drops("DecayCorrection"), SuvReason.NOT_CORRECTED),
    "not corrected for attenuation": (sets(CorrectedImage=["DECY"]), SuvReason.NOT_CORRECTED),
    "no weight": (drops("PatientWeight"), SuvReason.NO_WEIGHT),
    "weight is zero": (sets(PatientWeight=0), SuvReason.NO_WEIGHT),
    "weight in grams": (sets(PatientWeight=80000), SuvReason.IMPLAUSIBLE_BODY),
    "no tracer": (drops("RadiopharmaceuticalInformationSequence"), SuvReason.NO_DOSE),
    "no dose": (drops("RadionuclideTotalDose"), SuvReason.NO_DOSE),
    "dose in megabecquerels": (tracer("RadionuclideTotalDose", 370), SuvReason.IMPLAUSIBLE_DOSE),
    "two tracers": (two_tracers, SuvReason.SEVERAL_TRACERS),
    "no half-life": (drops("RadionuclideHalfLife"), SuvReason.NO_HALF_LIFE),
    "no injection time": (tracer("RadiopharmaceuticalStartTime", ""), SuvReason.NO_TIMES),
    "no series time": (drops("SeriesTime"), SuvReason.NO_TIMES),
    "no acquisition time": (drops("AcquisitionTime"), SuvReason.NO_TIMES),
    "a time that is none": (sets(SeriesTime="1x3000"), SuvReason.NO_TIMES),
    "a moment elsewhere, and here not said": (by_datetime("20250301080000+0000"), SuvReason.NO_TIMES),
    "injected after the scan": (
        tracer("RadiopharmaceuticalStartTime", "113000"),
        SuvReason.IMPLAUSIBLE_TIMES,
    ),
    "dates shifted apart": (by_datetime("20240301090000"), SuvReason.IMPLAUSIBLE_TIMES),
    "counts without a factor": (sets(Units="CNTS"), SuvReason.NO_FACTOR),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    change, reason = REFUSED[case]
    with pytest.raises(SuvError) as error:
        suv_scale(pet(change))
    assert error.value.reason is reason
    assert str(error.value) == reason.value


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drops("PatientSize"), SuvReason.NO_HEIGHT),
        (sets(PatientSize=175), SuvReason.IMPLAUSIBLE_BODY),
        (sets(PatientSex="O"), SuvReason.NO_SEX),
        (sets(PatientWeight=400, PatientSize=1.5), SuvReason.IMPLAUSIBLE_BODY),
    ],
)
def test_lean_mass_needs_more(change: Change, reason: SuvReason) -> None:
    with pytest.raises(SuvError) as error:
        suv_scale(pet(change), Suv.LEAN_JAMES)
    assert error.value.reason is reason


def test_only_pet_volumes_and_their_own_headers() -> None:
    images = pet()
    volume = load(images)
    with pytest.raises(SuvError, match="slices_contradict"):
        suv(volume, images[:2])
    once = suv(volume, images)
    with pytest.raises(SuvError, match="not_pet"):
        suv(once, images)
    assert math.isclose(float(volume.values.max()), ACTIVITY, rel_tol=1e-6)  # the given one is as it was
