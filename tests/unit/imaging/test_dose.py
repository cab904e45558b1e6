"""RT Dose: gray at the right place, whichever way its planes are told."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage

from firstread.dicom.silence import quiet
from firstread.imaging.dose import DoseError, DoseReason, dose_onto, read_dose
from firstread.imaging.series import load
from firstread.imaging.verdict import Act, Geometry, VolumeError
from tests.support.phantoms import AXIAL, CENTRE, Matrix, planes, rotated, series

SCALING = 1.25e-5
STEPS = tuple(4.0 * each for each in range(20))
GRADIENT = np.array([0.05, -0.03, 0.08])  # gray per millimetre
MIDDLE = 20.0


def gray_at(points: Matrix) -> Matrix:
    found: Matrix = MIDDLE + (points - CENTRE) @ GRADIENT
    return found


def rt_dose(directions: Matrix = AXIAL, offsets: tuple[float, ...] = STEPS) -> Dataset:
    """Return a dose that grows linearly through the patient; 30 x 24 pixels of 5 x 4 mm about the centre."""
    normal = np.cross(directions[0], directions[1])
    corner = CENTRE - directions[0] * 46 - directions[1] * 72.5 - normal * 38
    down, right = np.mgrid[0:30, 0:24]
    flat = corner + right[..., None] * 4.0 * directions[0] + down[..., None] * 5.0 * directions[1]
    points = flat[None] + np.array(offsets)[:, None, None, None] * normal
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta)
    made.SOPClassUID, made.SOPInstanceUID, made.FrameOfReferenceUID = RTDoseStorage, "2.25.9", "2.25.3"
    made.Modality, made.DoseUnits, made.DoseType, made.DoseSummationType = "RTDOSE", "GY", "PHYSICAL", "PLAN"
    made.Rows, made.Columns, made.NumberOfFrames, made.SamplesPerPixel = 30, 24, len(offsets), 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 32, 32, 31
    made.PixelSpacing, made.DoseGridScaling = [5.0, 4.0], SCALING
    made.ImagePositionPatient = [round(float(each), 6) for each in corner]
    made.ImageOrientationPatient = [round(float(each), 9) for each in directions.ravel()]
    made.GridFrameOffsetVector = list(offsets)
    plan, structures = Dataset(), Dataset()
    plan.ReferencedSOPInstanceUID, structures.ReferencedSOPInstanceUID = "2.25.11", "2.25.12"
    made.ReferencedRTPlanSequence, made.ReferencedStructureSetSequence = [plan], [structures]
    made.PixelData = np.rint(gray_at(points) / SCALING).astype("<u4").tobytes()
    return made


def absolute() -> Dataset:
    made = rt_dose()
    z = float(made.ImagePositionPatient[2])
    made.GridFrameOffsetVector = [round(z + 4.0 * each, 6) for each in range(20)]
    return made


def absolute_seen_from_below() -> Dataset:
    made = rt_dose(np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    z = float(made.ImagePositionPatient[2])
    made.GridFrameOffsetVector = [round(z - 4.0 * each, 6) for each in range(20)]
    return made


CASES: dict[str, tuple[Callable[[], Dataset], tuple[Act, ...]]] = {
    "relative": (rt_dose, ()),
    "absolute": (absolute, ()),
    "absolute, normal towards the feet": (absolute_seen_from_below, ()),
    "relative, the other way": (
        lambda: rt_dose(offsets=tuple(76 - 4.0 * each for each in range(20))[::-1]),
        (),
    ),
    "backwards": (lambda: rt_dose(offsets=tuple(-4.0 * each for each in range(10))), ()),
    "oblique": (lambda: rt_dose(rotated(25)), ()),
    "a plane missing": (
        lambda: rt_dose(offsets=tuple(4.0 * each for each in range(20) if each != 7)),
        (Act.MISSING_INTERPOLATED,),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_gray_where_it_is(case: str) -> None:
    make, acts = CASES[case]
    dose = read_dose(make())
    volume = dose.volume
    assert tuple(each.act for each in volume.verdict.done) == acts
    assert volume.verdict.geometry is (Geometry.MENDED if acts else Geometry.REGULAR)
    assert volume.values.dtype == np.float32 and volume.units == "Gy"
    index = np.stack(np.meshgrid(*map(np.arange, volume.grid), indexing="ij"), axis=-1)
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    assert abs(volume.values - gray_at(points)).max() < 1e-4
    on_image = dose_onto(dose, reference := load(series()), outside=np.nan)
    assert on_image.grid == reference.grid and np.array_equal(on_image.affine, reference.affine)
    index = np.stack(np.meshgrid(*map(np.arange, on_image.grid), indexing="ij"), axis=-1)
    points = index @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    covered = np.isfinite(on_image.values)
    assert covered.mean() > 0.005
    assert abs(on_image.values - gray_at(points))[covered].max() < 1e-4


def test_outside_is_what_was_asked_for() -> None:
    dose, reference = read_dose(rt_dose()), load(series())
    zero, unknown = dose_onto(dose, reference), dose_onto(dose, reference, outside=np.nan)
    assert np.array_equal(zero.values == 0, np.isnan(unknown.values))
    assert 0 < np.isnan(unknown.values).mean() < 0.5


def test_what_it_names() -> None:
    dose = read_dose(rt_dose())
    assert dose.to_json() == {
        "units": "Gy",
        "dose_type": "PHYSICAL",
        "dose_summation_type": "PLAN",
        "referenced_rt_plans": ["2.25.11"],
        "referenced_structure_sets": ["2.25.12"],
        "verdict": {"geometry": "regular", "done": []},
    }


def one(name: str, value: object) -> Callable[[], Dataset]:
    def make() -> Dataset:
        made = rt_dose()
        with quiet():
            setattr(made, name, value)
        return made

    return make


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (one("SOPClassUID", "1.2.3"), DoseReason.NOT_DOSE),
        (one("DoseUnits", "RELATIVE"), DoseReason.NOT_GRAY),
        (one("DoseGridScaling", None), DoseReason.NO_SCALING),
        (one("DoseGridScaling", -1), DoseReason.NO_SCALING),
        (one("GridFrameOffsetVector", None), DoseReason.BAD_OFFSETS),
        (one("GridFrameOffsetVector", [0, 4]), DoseReason.BAD_OFFSETS),
        (one("GridFrameOffsetVector", [7 + 4 * each for each in range(20)]), DoseReason.BAD_OFFSETS),
    ],
)
def test_refused(make: Callable[[], Dataset], reason: DoseReason) -> None:
    with pytest.raises(DoseError) as error:
        read_dose(make())
    assert error.value.reason is reason


def test_two_planes_at_one_place_and_no_place_at_all() -> None:
    with pytest.raises(VolumeError):
        read_dose(rt_dose(offsets=(0.0, 4.0, 4.0, 8.0)))
    with pytest.raises(VolumeError):
        read_dose(one("ImagePositionPatient", None)())


def test_another_frame_of_reference() -> None:
    for uid in ("2.25.4", ""):
        with pytest.raises(DoseError, match="dose_elsewhere"):
            dose_onto(read_dose(one("FrameOfReferenceUID", uid)()), load(series(planes())))


@pytest.mark.parametrize("name", ["rtdose.dcm", "rtdose_rle.dcm", "rtdose_expb.dcm"])
def test_samples(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    with quiet():
        dataset = dcmread(path)
        with pytest.raises(DoseError, match="dose_not_in_gray"):
            read_dose(dataset)  # it is relative
        dataset.DoseUnits = "GY"
        volume = read_dose(dataset).volume
        wanted = dataset.pixel_array.reshape(volume.grid) * float(dataset.DoseGridScaling)
    assert volume.values == pytest.approx(wanted, rel=1e-6)
    assert volume.grid == (15, 10, 10)
    assert volume.spacing_mm == pytest.approx((5.0, 10.0, 10.0))


def test_a_sample_of_one_frame_and_fifteen_offsets() -> None:
    path = get_testdata_file("rtdose_1frame.dcm", download=False)
    assert isinstance(path, str)
    with quiet():
        dataset = dcmread(path)
        dataset.DoseUnits = "GY"
        with pytest.raises(DoseError, match="dose_planes_contradict"):
            read_dose(dataset)
        dataset.GridFrameOffsetVector = [0]
        assert read_dose(dataset).volume.grid == (1, 10, 10)
