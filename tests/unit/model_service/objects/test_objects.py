"""Every object conforms, reads back as it was meant, and is the same at each retry."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from highdicom.sr import CodedConcept, Comprehensive3DSR, MeasurementReport, srread
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from firstread.imaging.series import load_volume
from firstread.imaging.volume import SourceFrame
from firstread.objects.written import Written
from firstread.result import ObjectKind
from model_service.objects.describe import describe
from model_service.objects.said import Described, Remark, Said
from model_service.prediction import Box, Classified, Detected, LabelMap, Segmented
from tests.support.conformance import errors, needs_validator
from tests.support.said import (
    blocks,
    classification,
    detection,
    photograph,
    radiograph,
    said,
    sample,
    segmentation,
    series,
)

pytestmark = pytest.mark.slow

SEG, REPORT = ObjectKind.SEGMENTATION, ObjectKind.STRUCTURED_REPORT
OUTSIDE_SHARED = "the shared data is not there"


def ramp(image: Dataset) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.linspace(0, 1, image.Rows * image.Columns, dtype=np.float32).reshape(image.Rows, image.Columns)


def of_frames(image: Dataset) -> list[SourceFrame]:
    return [SourceFrame(str(image.SOPInstanceUID), n + 1) for n in range(int(image.NumberOfFrames))]


def radiograph_scored() -> Said:
    image = sample("RG1_J2KI.dcm")
    return said(classification(2), [image], [Classified((0.7, 0.1), (ramp(image), ramp(image)))])


def slice_scored() -> Said:
    image = sample("CT_small.dcm")
    return said(classification(2), [image], [Classified((0.7, 0.1), (ramp(image), ramp(image)))])


def photograph_scored() -> Said:
    image = photograph()
    return said(classification(), [image], [Classified((0.7,), (ramp(image),))])


def cine_scored() -> Said:
    image = sample("examples_ybr_color.dcm")
    scores = [Classified((n / 40,), (ramp(image),)) for n in range(30)]
    return said(classification(), [image], scores, of_frames(image))


def radiograph_segmented() -> Said:
    image = sample("RG1_J2KI.dcm")
    return said(segmentation("area"), [image], [Segmented(blocks((image.Rows, image.Columns)))])


def photographs_segmented() -> Said:
    labels = Segmented(blocks((40, 30)))
    return said(segmentation("area"), [photograph(1), photograph(2)], [labels, labels])


def slice_segmented() -> Said:
    return said(
        segmentation("area", segments=1), [sample("CT_small.dcm")], [Segmented(blocks((128, 128), 1))]
    )


def cine_segmented() -> Said:
    image = sample("examples_ybr_color.dcm")
    planes = [Segmented(plane) for plane in blocks((30, image.Rows, image.Columns), 1)]
    return said(segmentation("area", segments=1), [image], planes, of_frames(image))


def radiograph_boxed() -> Said:
    boxes = Detected((Box(0.9, 10, 50, 20, 80), Box(0.6, 100, 150, 200, 280)), 0.9)
    return said(detection(), [sample("RG1_J2KI.dcm")], [boxes])


def cine_boxed() -> Said:
    image = sample("examples_ybr_color.dcm")
    return said(detection(), [image], [Detected((Box(0.9, 10, 50, 20, 80),), 0.9)] * 30, of_frames(image))


def not_flagged() -> Said:
    return said(detection(), [radiograph()], [Detected((Box(0.3, 1, 5, 2, 8),), 0.3)])


def labels_of_volume(images: list[Dataset]) -> LabelMap:
    volume = load_volume(images)
    labels = blocks(volume.values.shape)
    labels[:3] = 0  # planes without a segment have no frame in the SEG
    return labels


def volume_segmented() -> Said:
    images = series("mr-brain-dicom", "Study1", "13_HCropVolume")
    if not images:
        pytest.skip(OUTSIDE_SHARED)
    return said(
        segmentation("volume", "area"),
        images,
        [Segmented(labels_of_volume(images))],
        volume=load_volume(images),
    )


def enhanced_segmented() -> Said:
    image = sample("eCT_Supplemental.dcm")
    volume = load_volume([image])
    return said(segmentation("volume"), [image], [Segmented(blocks(volume.values.shape))], volume=volume)


CASES: list[Callable[[], Said]] = [
    radiograph_scored,
    slice_scored,
    photograph_scored,
    cine_scored,
    radiograph_segmented,
    photographs_segmented,
    slice_segmented,
    cine_segmented,
    radiograph_boxed,
    cine_boxed,
    not_flagged,
    volume_segmented,
    enhanced_segmented,
]


@cache
def made(case: Callable[[], Said]) -> tuple[Said, Described]:
    """Return a case and its description, which takes a second."""
    value = case()
    return value, describe(value)


def parts(described: Described, kind: ObjectKind) -> list[Written]:
    return [part for part in described.parts if part.kind is kind]


def read(part: Written) -> Dataset:
    return dcmread(io.BytesIO(part.content))


def report(described: Described) -> Comprehensive3DSR:
    (part,) = parts(described, REPORT)
    found = srread(io.BytesIO(part.content))
    assert isinstance(found, Comprehensive3DSR)
    return found


def content(described: Described) -> MeasurementReport:
    found = report(described).content
    assert isinstance(found, MeasurementReport)
    return found


def dicoms(described: Described) -> Iterator[Written]:
    return (part for part in described.parts if part.sop_uid)


@needs_validator
@pytest.mark.parametrize("case", CASES)
def test_every_object_conforms(case: Callable[[], Said], tmp_path: Path) -> None:
    _, described = made(case)
    for part in dicoms(described):
        path = tmp_path / f"{part.kind.value}.dcm"
        path.write_bytes(part.content)
        assert not list(errors(path)), part.kind
    assert parts(described, REPORT)


def planes_of(seg: Dataset, sources: list[Dataset]) -> dict[tuple[int, str, int], np.ndarray]:
    """Return the frames of a SEG by segment, source image and its frame."""
    pixels = seg.pixel_array if int(seg.NumberOfFrames) > 1 else seg.pixel_array[None]
    shared = seg.SharedFunctionalGroupsSequence[0]
    found = {}
    for group, plane in zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        named = group if "SegmentIdentificationSequence" in group else shared
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        number = named.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[number, source.ReferencedSOPInstanceUID, int(source.get("ReferencedFrameNumber") or 1)] = plane
        if "PlanePositionSequence" in group and len(sources) > 1:
            (at,) = (each for each in sources if source.ReferencedSOPInstanceUID == each.SOPInstanceUID)
            assert group.PlanePositionSequence[0].ImagePositionPatient == at.ImagePositionPatient
    return found


@pytest.mark.parametrize(
    "case",
    [radiograph_segmented, photographs_segmented, slice_segmented, volume_segmented, enhanced_segmented],
)
def test_a_segmentation_reads_back_as_the_label_map(case: Callable[[], Said]) -> None:
    value, described = made(case)
    maps = [each.labels for each in value.predictions if isinstance(each, Segmented)]
    frames = value.frames
    planes = maps[0] if value.volume is not None else maps
    found: dict[tuple[int, str, int], np.ndarray] = {}
    for part in parts(described, SEG):
        found |= planes_of(read(part), list(value.sources))
    wanted = {
        (number, frame.sop_uid, frame.number): plane == number
        for frame, plane in zip(frames, planes, strict=True)
        for number in (1, 2)
        if (plane == number).any()
    }
    assert found.keys() == wanted.keys()
    for key, mask in wanted.items():
        assert np.array_equal(found[key], mask)


def test_a_segmentation_says_what_made_it() -> None:
    value, described = made(photographs_segmented)
    first, second = (read(part) for part in parts(described, SEG))
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.StudyInstanceUID == value.study_uid
    assert first.PatientID == value.sources[0].PatientID
    assert first.SeriesDescription.startswith("Research use only")
    assert (first.Manufacturer, first.ManufacturerModelName, first.SoftwareVersions) == (
        "FirstRead",
        "made_up",
        "1.2.3",
    )
    assert first.DeviceSerialNumber == value.bundle_sha256
    assert "FrameOfReferenceUID" not in first
    algorithm = first.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmVersion == "1.2.3"
    assert value.bundle_sha256 in algorithm.AlgorithmParameters
    uids = [each.tracking_uid for each in described.findings]
    assert [each.TrackingUID for seg in (first, second) for each in seg.SegmentSequence] == uids
    assert (first.ContentDate, first.ContentTime) == (first.StudyDate, "185434.000000")


def test_a_cine_has_regions_with_frame_numbers_and_no_segmentation() -> None:
    value, described = made(cine_segmented)
    assert not parts(described, SEG)
    (finding,) = described.findings
    assert finding.segment_number is None
    maps = [each.labels for each in value.predictions if isinstance(each, Segmented)]
    assert finding.frame == int(np.argmax([each.sum() for each in maps])) + 1
    groups = content(described).get_planar_roi_measurement_groups(tracking_uid=finding.tracking_uid)
    shown = {}
    for group in groups:
        assert group.roi is not None
        source = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        shown[int(source.ReferencedFrameNumber)] = group.roi.value
    assert shown.keys() == {number for number, plane in enumerate(maps, start=1) if plane.any()}
    rows, columns = np.nonzero(maps[finding.frame - 1])
    points = shown[finding.frame]
    assert points.min(axis=0).tolist() == [columns.min(), rows.min()]
    assert points.max(axis=0).tolist() == [columns.max() + 1, rows.max() + 1]
    assert np.array_equal(points[0], points[-1])


def test_ct_without_a_frame_of_reference_gets_no_segmentation() -> None:
    image = sample("CT_small.dcm")
    del image.FrameOfReferenceUID
    described = describe(said(segmentation("area"), [image], [Segmented(blocks((128, 128)))]))
    assert not parts(described, SEG)
    assert described.remarks == (Remark.NO_FRAME_OF_REFERENCE,)
    assert [each.segment_number for each in described.findings] == [None, None]
    assert len(content(described).get_planar_roi_measurement_groups()) == 2


def test_nothing_segmented_is_measured_as_nothing_and_never_called_absent() -> None:
    empty = Segmented(np.zeros((40, 30), dtype=np.uint8))
    described = describe(said(segmentation("area"), [radiograph()], [empty]))
    assert not parts(described, SEG)
    assert [each.measurements[0].value for each in described.findings] == [0, 0]
    groups = content(described).get_image_measurement_groups()
    assert len(groups) == 2
    words = parts(described, REPORT)[0].content.lower()
    assert not any(word in words for word in (b"absent", b"negative"))


def test_volumes_of_the_report_are_those_of_the_findings() -> None:
    value, described = made(volume_segmented)
    assert value.volume is not None
    (labels,) = (each.labels for each in value.predictions if isinstance(each, Segmented))
    for finding in described.findings:
        voxels = np.count_nonzero(labels == finding.segment_number)
        assert finding.measurements[0].value == pytest.approx(voxels * value.volume.voxel_mm3)
        (group,) = content(described).get_volumetric_roi_measurement_groups(tracking_uid=finding.tracking_uid)
        segment = group.referenced_segment
        assert segment is not None
        assert segment.referenced_segment_numbers == [finding.segment_number]
        assert segment.referenced_sop_instance_uid == parts(described, SEG)[0].sop_uid
        numbers = [(each.name.meaning, each.value, each.unit.value) for each in group.get_measurements()]
        assert numbers == [(each.name.meaning, each.value, each.unit.value) for each in finding.measurements]


def test_not_flagged_is_one_group_with_score_threshold_and_image() -> None:
    _, described = made(not_flagged)
    found = report(described)
    (group,) = content(described).get_image_measurement_groups()
    (finding,) = described.findings
    assert group.tracking_uid == finding.tracking_uid
    assert group.finding_type is not None
    assert group.finding_type.value == finding.code.value
    assert [each.value for each in group.get_measurements()] == [0.3, 0.4]
    (image,) = group.source_images
    assert image.referenced_sop_instance_uid == finding.sop_uid
    compared = group.get_qualitative_evaluations()[-1].value
    assert isinstance(compared, CodedConcept)
    assert compared.meaning == "Below: not flagged, which does not mean normal"
    assert (found.VerificationFlag, found.PreliminaryFlag, found.CompletionFlag) == (
        "UNVERIFIED",
        "PRELIMINARY",
        "COMPLETE",
    )


def test_every_image_has_its_score_in_the_report_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    value, described = made(cine_scored)
    (group,) = content(described).get_image_measurement_groups()
    *scores, threshold, looked_at = group.get_measurements()
    assert [each.value for each in scores] == [n / 40 for n in reversed(range(30))]
    assert [each.referenced_images[0].referenced_frame_numbers for each in scores[:2]] == [[30], [29]]
    assert (threshold.value, looked_at.value) == (0.4, 30)
    monkeypatch.setattr("model_service.objects.measurements.MAX_SCORES", 4)
    described = describe(value)
    assert Remark.SCORES_LEFT_OUT in described.remarks
    (group,) = content(described).get_image_measurement_groups()
    assert [each.value for each in group.get_measurements()] == [29 / 40, 28 / 40, 27 / 40, 26 / 40, 0.4, 30]
    assert report(described).CompletionFlag == "PARTIAL"


def test_boxes_are_regions_of_the_report() -> None:
    _, described = made(radiograph_boxed)
    for finding in described.findings:
        (group,) = content(described).get_planar_roi_measurement_groups(tracking_uid=finding.tracking_uid)
        region = finding.region
        assert region is not None
        assert group.roi is not None
        left, top, right, bottom = region.left, region.top, region.right, region.bottom
        assert group.roi.value.tolist() == [
            [left, top],
            [right, top],
            [right, bottom],
            [left, bottom],
            [left, top],
        ]
        assert next(iter(group.get_measurements())).value == finding.probability


def test_overlays_have_the_size_of_the_source_and_show_the_segment() -> None:
    value, described = made(photographs_segmented)
    by_key = {part.key(value.study_uid): part for part in described.parts}
    finding = described.findings[1]
    layer = np.asarray(Image.open(io.BytesIO(by_key[finding.overlay_key].content)))
    (labels, _) = (each.labels for each in value.predictions if isinstance(each, Segmented))
    assert np.array_equal(layer[..., 3] > 0, labels == 2)
    assert tuple(layer[labels == 2][0][:3]) == (255, 80, 0)


def test_every_part_is_recorded_under_its_digest() -> None:
    value, described = made(radiograph_scored)
    for part in described.parts:
        recorded = part.result_object(value.study_uid)
        assert recorded.key.startswith(f"results/{value.study_uid}/{recorded.sha256}.")
        assert recorded.size == len(part.content)
    keys = [part.key(value.study_uid) for part in described.parts]
    assert len(keys) == len(set(keys))
    assert {each.overlay_key for each in described.findings} <= set(keys)


def test_a_thumbnail_is_small_and_says_what_it_is() -> None:
    (part,) = parts(made(radiograph_scored)[1], ObjectKind.THUMBNAIL)
    with Image.open(io.BytesIO(part.content)) as image:
        assert max(image.size) == 256
        assert "research use only" in image.info["Comment"]


def test_a_header_that_a_library_does_not_understand_costs_the_object_and_not_the_finding() -> None:
    image = radiograph(SOPClassUID="1.2.3.4")
    described = describe(said(segmentation("area"), [image], [Segmented(blocks((40, 30)))]))
    assert len(described.findings) == 2
    assert Remark.SEGMENTATION_NOT_WRITTEN in described.remarks
    assert Remark.REPORT_NOT_WRITTEN in described.remarks


@needs_validator
@pytest.mark.parametrize(
    "absent", ["SliceThickness", "PatientID", "StudyID", "PatientSex", "AccessionNumber"]
)
def test_what_may_be_empty_may_be_absent(absent: str, tmp_path: Path) -> None:
    images = [sample("CT_small.dcm") for _ in range(3)]
    for number, image in enumerate(images):
        image.SOPInstanceUID = f"{image.SOPInstanceUID}.{number}"
        image.ImagePositionPatient[2] += 2 * number
        del image[absent]
    volume = load_volume(images)
    labels = Segmented(blocks(volume.values.shape))
    described = describe(said(segmentation("volume"), images, [labels], volume=volume))
    assert described.remarks == ()
    for part in dicoms(described):
        path = tmp_path / f"{part.kind.value}.dcm"
        path.write_bytes(part.content)
        assert not list(errors(path)), part.kind


_TWICE = """
import hashlib, sys
sys.path.insert(0, "tests/unit/model_service/objects")
import test_objects as cases
from model_service.objects.describe import describe
for name in sys.argv[1:]:
    described = describe(getattr(cases, name)())
    print(name, *(each.sha256 for each in described.parts), *(each.model_dump_json() for each in described.findings))
"""


def test_two_processes_write_the_same_bytes() -> None:
    cases = (photograph_scored, slice_scored, photographs_segmented, slice_segmented, not_flagged)
    names = [case.__name__ for case in cases]
    command = [sys.executable, "-c", _TWICE, *names]
    root = Path(__file__).parents[4]
    outputs = [subprocess.run(command, cwd=root, capture_output=True, check=True).stdout for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert outputs[0].count(b"\n") == len(names)


def test_another_version_has_other_objects() -> None:
    one, described = made(photographs_segmented)
    other = Said(**{**vars(one), "version": 4})
    assert {part.sop_uid for part in dicoms(described)}.isdisjoint(
        part.sop_uid for part in dicoms(describe(other))
    )


def test_no_object_has_more_of_the_patient_than_its_sources() -> None:
    value, described = made(photographs_segmented)
    for part in dicoms(described):
        written = read(part)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
            assert written[keyword].value == value.sources[0][keyword].value
        assert written.file_meta.MediaStorageSOPInstanceUID == part.sop_uid


@pytest.mark.parametrize("case", [radiograph_scored, slice_segmented])
def test_no_date_of_an_object_is_that_of_the_analysis(case: Callable[[], Said]) -> None:
    """A true date beside a shifted Study Date would tell the shift."""
    said, described = made(case)
    for part in dicoms(described):
        dataset = read(part)
        days = {str(each.value) for each in dataset if each.VR == "DA" and each.keyword != "PatientBirthDate"}
        assert days - {""} == {f"{said.moment:%Y%m%d}"} == {str(said.sources[0].StudyDate)}, part.kind
