"""Regions of structure sets on a volume, against shapes whose every voxel is known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import RTStructureSetStorage

from firstread.dicom.silence import quiet
from firstread.imaging.masks.contours import Between
from firstread.imaging.masks.mask import Mask, MaskError, MaskReason
from firstread.imaging.masks.structures import read_structures, structure_masks
from firstread.imaging.volume import Volume
from tests.support.phantoms import Matrix, rotated

FRAME = "2.25.3"
CENTRE = np.array([12.0, -31.0, 250.0])
RADIUS = 13.0


def volume(
    spacing: tuple[float, float, float] = (3.0, 2.0, 2.0),
    grid: tuple[int, int, int] = (16, 28, 30),
    directions: Matrix | None = None,
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Volume:
    """Return an empty volume about the centre."""
    along_row, along_column = rotated(0.0) if directions is None else directions
    axes = np.stack([np.cross(along_row, along_column), along_column, along_row], axis=1) * spacing
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = CENTRE - axes @ ((np.array(grid) - 1) / 2) + np.array(offset)
    return Volume(np.zeros(grid, np.int16), affine, (), frame_of_reference=FRAME)


def points_of(reference: Volume) -> Matrix:
    index = np.stack(np.meshgrid(*map(np.arange, reference.grid), indexing="ij"), axis=-1)
    found: Matrix = index @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    return found


def ball(reference: Volume, radius: float = RADIUS) -> np.ndarray:
    found: np.ndarray = np.linalg.norm(points_of(reference) - CENTRE, axis=-1) < radius
    return found


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def circle(depth: float, radius: float, axes: Matrix, count: int = 180) -> Matrix:
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    normal, along_column, along_row = axes
    found: Matrix = (
        CENTRE
        + depth * normal
        + radius * np.cos(angles)[:, None] * along_row
        + radius * np.sin(angles)[:, None] * along_column
    )
    return found


def axes_of(directions: Matrix) -> Matrix:
    return np.stack([np.cross(directions[0], directions[1]), directions[1], directions[0]])


UPRIGHT = axes_of(rotated(0.0))


def sphere(depths: Sequence[float], radius: float = RADIUS, axes: Matrix = UPRIGHT) -> list[Matrix]:
    return [circle(each, math.sqrt(radius**2 - each**2), axes) for each in depths if abs(each) < radius]


def structure_set(*rois: tuple[str, Sequence[Matrix]], kind: str = "CLOSED_PLANAR") -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = RTStructureSetStorage, "RTSTRUCT"
    place = Dataset()
    place.FrameOfReferenceUID = FRAME
    made.ReferencedFrameOfReferenceSequence = [place]
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois, 1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, FRAME
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
            item.ContourData = [f"{each:.5f}" for each in np.ravel(points)]
            drawn.ContourSequence.append(item)
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.append(drawn)
    return made


def mask_of(contours: Sequence[Matrix], reference: Volume, between: Between = Between.SHAPE) -> np.ndarray:
    found = structure_masks(read_structures(structure_set(("roi", contours))), reference, between=between)
    assert not found.refused
    return found["roi"].values


SLICES = [3.0 * (each - 7.5) for each in range(16)]


def test_a_sphere_drawn_on_the_slices_is_the_sphere() -> None:
    reference = volume()
    mask = mask_of(sphere(SLICES), reference)
    assert dice(mask, ball(reference)) > 0.995
    true = 4 / 3 * math.pi * RADIUS**3
    assert mask.sum() * reference.voxel_mm3 == pytest.approx(true, rel=0.03)


@pytest.mark.parametrize(
    ("reference", "depths", "axes"),
    [
        (volume(), SLICES[::2], UPRIGHT),
        (volume(), SLICES[1::2], UPRIGHT),
        (volume(), [each + 1.4 for each in SLICES], UPRIGHT),
        (volume((1.0, 1.0, 1.0), (40, 40, 40)), SLICES, UPRIGHT),
        (volume((1.0, 1.0, 1.0), (40, 40, 40)), np.arange(-13, 13, 2.5).tolist(), axes_of(rotated(30))),
        (volume(directions=rotated(30)), SLICES, axes_of(rotated(30))),
        (volume(directions=rotated(30)), np.arange(-13, 13, 1.5).tolist(), UPRIGHT),
        (volume(), np.arange(-12.5, 13, 2).tolist(), axes_of(np.array([[0.0, 1, 0], [0, 0, -1]]))),
        (volume(), np.arange(-12.5, 13, 2).tolist(), axes_of(np.array([[1.0, 0, 0], [0, 0, -1]]))),
    ],
    ids=[
        "every other slice",
        "the others",
        "between slices",
        "finer volume",
        "finer volume, oblique contours",
        "oblique volume, drawn on it",
        "oblique volume, axial contours",
        "sagittal contours",
        "coronal contours",
    ],
)
def test_a_sphere_drawn_elsewhere(reference: Volume, depths: list[float], axes: Matrix) -> None:
    # Contours six millimetres apart miss a whole cap of a sphere of 13.
    is_sparse = depths[1] - depths[0] > 5

    mask = mask_of(sphere(depths, axes=axes), reference)
    assert dice(mask, ball(reference)) > (0.94 if is_sparse else 0.96)
    centre = points_of(reference)[mask].mean(axis=0)
    assert np.linalg.norm(centre - CENTRE) < (0.8 if is_sparse else 0.5)
    assert mask.sum() == pytest.approx(ball(reference).sum(), rel=0.1 if is_sparse else 0.06)


def keyhole(outer: Matrix, inner: Matrix) -> Matrix:
    return np.concatenate([outer, outer[:1], inner, inner[:1]])


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_a_shell_by_nested_contours_and_by_keyholes(kind: str) -> None:
    reference = volume((3.0, 1.0, 1.0), (16, 50, 50))
    shell = ball(reference, 20.0) & ~ball(reference, 10.0)
    outer, inner = sphere(SLICES, 20.0), sphere(SLICES, 10.0)
    island = sphere(SLICES, 4.0)
    wanted = shell | ball(reference, 4.0)
    dataset = structure_set(("nested", [*inner, *outer]), ("island", [*island, *inner, *outer]), kind=kind)
    found = structure_masks(read_structures(dataset), reference)
    assert dice(found["nested"].values, shell) > 0.995
    assert dice(found["island"].values, wanted) > 0.995
    rings = {round(float(each[0, 2]), 3): each for each in inner}
    joined = [
        keyhole(each, rings[round(float(each[0, 2]), 3)]) if round(float(each[0, 2]), 3) in rings else each
        for each in outer
    ]
    assert np.array_equal(mask_of(joined, reference), found["nested"].values)


def box(low: tuple[float, float], high: tuple[float, float], depth: float) -> Matrix:
    (x, y), (far_x, far_y) = low, high
    found: Matrix = CENTRE + np.array(
        [[x, y, depth], [far_x, y, depth], [far_x, far_y, depth], [x, far_y, depth]]
    )
    return found


def test_slices_between_contours() -> None:
    reference = volume()
    # Squares of 8 mm and of 24 mm, four slices apart: the shape between them is between them.
    ends = [box((-4, -4), (4, 4), SLICES[4]), box((-12, -12), (12, 12), SLICES[8])]
    by = {each: mask_of(ends, reference, each) for each in Between}
    sizes = {each: mask.sum(axis=(1, 2)).tolist() for each, mask in by.items()}
    assert sizes[Between.NOTHING][4:9] == [16, 0, 0, 0, 144]
    assert sizes[Between.NEAREST][4:9] == [16, 16, 16, 144, 144]
    shape = sizes[Between.SHAPE][4:9]
    assert shape[0] == 16 and shape[4] == 144 and 50 < shape[2] < 80 and shape == sorted(shape)
    assert all(sum(each[:4] + each[9:]) == 0 for each in sizes.values())


def told_of(mask: Mask) -> dict[str, object]:
    told = mask.how["roi"]
    assert isinstance(told, dict)
    return told


def test_what_was_interpolated_is_told() -> None:
    found = structure_masks(read_structures(structure_set(("roi", sphere(SLICES[::2])))), volume())
    told = found["roi"].how["roi"]
    assert told == {
        "contours": 4,
        "duplicates": 0,
        "between": "shape",
        "planes": 4,
        "across": False,
        "interpolated": [5, 7, 9],
        "gaps": 0,
    }


def test_parts_far_from_each_other_stay_apart() -> None:
    reference = volume(grid=(40, 28, 30))
    parts = [box((-6, -6), (6, 6), 1.5 + 3.0 * each) for each in (-12, -11, -10, 8, 9, 10)]
    found = structure_masks(read_structures(structure_set(("roi", parts))), reference)["roi"]
    assert found.values.any(axis=(1, 2)).sum() == 6
    assert told_of(found)["gaps"] == 1


def test_a_contour_that_came_twice_does_not_cut_itself_out() -> None:
    once = mask_of([box((-6, -6), (6, 6), SLICES[5])], volume())
    twice = structure_masks(
        read_structures(structure_set(("roi", [box((-6, -6), (6, 6), SLICES[5])] * 2))), volume()
    )["roi"]
    assert np.array_equal(twice.values, once) and once.sum() == 36
    assert told_of(twice)["duplicates"] == 1


def test_neighbours_through_voxel_centres_share_none_and_leave_none_out() -> None:
    reference = volume()
    left, right = box((-7, -7), (1, 9), SLICES[5]), box((1, -7), (9, 9), SLICES[5])
    one, other = mask_of([left], reference), mask_of([right], reference)
    assert not (one & other).any()
    assert (one | other).sum() == 64 == mask_of([box((-7, -7), (9, 9), SLICES[5])], reference).sum()


def named(*names: str) -> Dataset:
    return structure_set(*((name, [box((-6, -6), (6, 6), SLICES[n % 16])]) for n, name in enumerate(names)))


def test_names_by_regular_expressions() -> None:
    structures = read_structures(named("Lung_L", "lung left", "LUNG_RIGHT", "Heart", "GTV", "not Lung_L"))
    names = {"lung_left": r"lung.*(l|left)", "lungs": r"lung.*", "liver": "liver", "heart": "heart"}
    found = structure_masks(structures, volume(), names)
    assert {each.name: each.regions for each in found.masks} == {
        "lung_left": ("Lung_L", "lung left"),
        "lungs": ("Lung_L", "lung left", "LUNG_RIGHT"),
        "heart": ("Heart",),
    }
    assert found.absent == ("liver",)
    assert (
        found["lungs"].values.sum() == 108 and (found["lungs"].values & found["lung_left"].values).sum() == 72
    )
    with pytest.raises(KeyError):
        found["liver"]
    with pytest.raises(MaskError, match="names_not_understood"):
        structure_masks(structures, volume(), {"lung": "lung("})


def test_two_of_one_name() -> None:
    found = structure_masks(read_structures(named("GTV", "GTV", "CTV")), volume())
    assert [each.name for each in found.masks] == ["GTV #1", "GTV #2", "CTV"]


def bent(contour: Matrix) -> Matrix:
    made = contour.copy()
    made[0, 2] += 5.0
    made[len(made) // 2, 1] += 3
    made[len(made) // 3, 2] -= 4
    return made


BAD: dict[str, tuple[Callable[[Dataset], None], MaskReason]] = {}


def bad(reason: MaskReason) -> Callable[[Callable[[Dataset], None]], Callable[[Dataset], None]]:
    def keep(change: Callable[[Dataset], None]) -> Callable[[Dataset], None]:
        BAD[change.__name__] = change, reason
        return change

    return keep


@bad(MaskReason.BAD_CONTOUR)
def two_numbers_short(dataset: Dataset) -> None:
    contour = dataset.ROIContourSequence[0].ContourSequence[2]
    contour.ContourData = list(contour.ContourData)[:-2]


@bad(MaskReason.BAD_CONTOUR)
def other_count(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ContourSequence[2].NumberOfContourPoints = 7


@bad(MaskReason.BAD_CONTOUR)
def no_numbers(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ContourSequence[2].ContourData = None


@bad(MaskReason.NO_CONTOURS)
def no_contours(dataset: Dataset) -> None:
    del dataset.ROIContourSequence[0].ContourSequence


@bad(MaskReason.NO_CONTOURS)
def not_drawn(dataset: Dataset) -> None:
    dataset.ROIContourSequence = dataset.ROIContourSequence[1:]


@bad(MaskReason.NO_AREA)
def points_only(dataset: Dataset) -> None:
    for each in dataset.ROIContourSequence[0].ContourSequence:
        each.ContourGeometricType = "POINT"


@bad(MaskReason.ELSEWHERE)
def other_frame_of_reference(dataset: Dataset) -> None:
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "2.25.4"


@bad(MaskReason.SEVERAL_ORIENTATIONS)
def two_orientations(dataset: Dataset) -> None:
    other = structure_set(("x", sphere([0.0], axes=axes_of(np.array([[0.0, 1, 0], [0, 0, -1]])))))
    dataset.ROIContourSequence[0].ContourSequence.append(other.ROIContourSequence[0].ContourSequence[0])


@bad(MaskReason.NOT_PLANAR)
def not_planar(dataset: Dataset) -> None:
    other = structure_set(("x", [bent(circle(0.0, 13.5, UPRIGHT))]))
    dataset.ROIContourSequence[0].ContourSequence.append(other.ROIContourSequence[0].ContourSequence[0])


@bad(MaskReason.NO_VOXELS)
def outside(dataset: Dataset) -> None:
    for each in dataset.ROIContourSequence[0].ContourSequence:
        each.ContourData = [f"{float(number) + 1000:.4f}" for number in each.ContourData]


@pytest.mark.parametrize("case", BAD)
def test_a_bad_region_is_refused_and_the_others_stand(case: str) -> None:
    change, reason = BAD[case]
    dataset = structure_set(("bad", sphere(SLICES)), ("good", sphere(SLICES, 8.0)))
    change(dataset)
    found = structure_masks(read_structures(dataset), volume())
    assert found.refused == {"bad": reason}
    assert [each.name for each in found.masks] == ["good"]
    assert found.to_json()["refused"] == {"bad": reason.value}


def test_what_is_no_structure_set() -> None:
    other = structure_set()
    other.SOPClassUID = "1.2.3"
    numberless = structure_set(("roi", []))
    del numberless.StructureSetROISequence[0].ROINumber
    for dataset in (other, numberless):
        with pytest.raises(MaskError, match="not_rt_structure_set"):
            read_structures(dataset)


def test_a_volume_without_a_frame_of_reference() -> None:
    found = structure_masks(
        read_structures(structure_set(("roi", sphere(SLICES)))), replace(volume(), frame_of_reference="")
    )
    assert found.refused == {"roi": MaskReason.ELSEWHERE}


def test_sample() -> None:
    path = get_testdata_file("rtstruct.dcm", download=False)
    assert isinstance(path, str)
    with quiet():
        structures = read_structures(dcmread(path, force=True))
    assert [(each.name, each.kind, each.bad) for each in structures.rois] == [
        ("patient", "EXTERNAL", None),
        ("Isocenter 1", "ISOCENTER", MaskReason.NO_AREA),
        ("Isocenter 2", "ISOCENTER", MaskReason.NO_AREA),
    ]
    affine = np.diag([10.0, 10.0, 10.0, 1.0])[[2, 1, 0, 3]]
    affine[:3, 3] = -255.0, -255.0, -250.0
    reference = Volume(
        np.zeros((51, 52, 52)), affine, (), frame_of_reference=structures.rois[0].frame_of_reference
    )
    patient = structure_masks(structures, reference, {"body": "patient"})["body"].values
    first = patient[5]  # z = -200: 400 mm x 300 mm
    assert first.sum() == 40 * 30


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=18), st.integers(-1, 6))
def test_no_contour_makes_it_crash(data: list[float], told: int) -> None:
    dataset = structure_set(("roi", [box((-6, -6), (6, 6), SLICES[5])]))
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    with quiet():
        contour.ContourData, contour.NumberOfContourPoints = [f"{each:.6g}" for each in data], told
    found = structure_masks(read_structures(dataset), volume())
    assert len(found.masks) + len(found.refused) == 1
