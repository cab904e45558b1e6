import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.imaging.volume import SourceFrame
from firstread.objects.sources import Sources
from firstread.result import Region
from firstread.study import Risk
from model_service.findings import MAX_BOXES, tell
from model_service.objects.describe import describe
from model_service.objects.said import Remark, Said
from model_service.prediction import Box, Classified, Detected, Segmented
from tests.support.said import blocks, classification, detection, radiograph, said, sample, segmentation

TWO = [radiograph(1), radiograph(2)]


def boxes(*probabilities: float) -> Detected:
    found = tuple(Box(each, 4, 9, 3, 11) for each in probabilities)
    return Detected(found, max(probabilities, default=0.05))


def test_a_class_has_one_finding_on_the_image_with_the_highest_score() -> None:
    output = classification(2)
    predictions = [Classified((0.3, 0.7)), Classified((0.39, 0.2))]
    first, second = describe(said(output, TWO, predictions)).findings
    assert (first.probability, first.risk, first.sop_uid) == (0.39, Risk.NOT_FLAGGED, TWO[1].SOPInstanceUID)
    assert (second.probability, second.risk, second.sop_uid) == (0.7, Risk.HIGH, TWO[0].SOPInstanceUID)
    assert first.operating_point is not None
    assert first.operating_point.threshold == 0.4
    assert first.site is not None
    assert first.tracking_uid != second.tracking_uid


def test_a_score_at_the_threshold_is_flagged() -> None:
    (finding,) = describe(said(classification(), TWO[:1], [Classified((0.4,))])).findings
    assert finding.risk is Risk.HIGH


def test_every_box_at_the_operating_point_is_a_finding() -> None:
    found = describe(said(detection(), TWO, [boxes(0.5, 0.39), boxes(0.9)])).findings
    assert [each.probability for each in found] == [0.9, 0.5]
    assert {each.risk for each in found} == {Risk.HIGH}
    assert found[0].region == Region(left=3, top=4, right=11, bottom=9)
    assert found[0].sop_uid == TWO[1].SOPInstanceUID
    assert len({each.tracking_uid for each in found}) == 2


def test_without_such_a_box_the_highest_score_is_told_as_not_flagged() -> None:
    (finding,) = describe(said(detection(), TWO, [boxes(0.1), Detected((), 0.3)])).findings
    assert (finding.probability, finding.risk, finding.region) == (0.3, Risk.NOT_FLAGGED, None)
    assert finding.sop_uid == TWO[1].SOPInstanceUID


def test_a_score_at_the_operating_point_is_flagged_without_a_box_too() -> None:
    (finding,) = describe(said(detection(), TWO[:1], [Detected((), 0.6)])).findings
    assert (finding.probability, finding.risk) == (0.6, Risk.HIGH)


def test_too_many_boxes_are_cut_and_that_is_said() -> None:
    many = Detected(tuple(Box(0.5 + n / 1000, n, n + 2, 0, 2) for n in range(MAX_BOXES + 5)), 0.6)
    described = describe(said(detection(), TWO[:1], [many]))
    assert len(described.findings) == MAX_BOXES
    assert min(each.probability or 0 for each in described.findings) == 0.505
    assert Remark.FINDINGS_LEFT_OUT in described.remarks


def test_a_recognition_finds_nothing() -> None:
    output = {
        "task": "recognition",
        "calibration": {"temperature": 1.0, "chosen_on": "validation"},
        "classes": [
            {"channel": n, "label": label, "modalities": [label], "body_parts": []}
            for n, label in enumerate(("CT", "MR"))
        ],
        "unknown_below": 0.5,
    }
    described = describe(said(output, TWO[:1], [Classified((0.9, 0.1))]))
    assert (described.findings, described.parts) == ((), ())


def area(value: Said, number: int = 0) -> tuple[float, str]:
    found = describe(value).findings[number].measurements[0]
    return found.value, found.unit.value


def test_an_area_is_in_square_millimetres_where_the_image_knows_its_spacing() -> None:
    image = radiograph(PixelSpacing=[0.5, 0.25])
    labels = np.zeros((40, 30), dtype=np.uint8)
    labels[3:7, 5:11] = 1
    value = said(segmentation("area"), [image], [Segmented(labels)])
    assert area(value) == (3.0, "mm2")
    assert area(value, 1) == (0.0, "mm2")
    first, second = describe(value).findings
    assert first.region == Region(left=5, top=3, right=11, bottom=7)
    assert (first.risk, first.probability) == (None, None)
    assert second.region is None


def test_an_area_at_the_detector_is_said_to_be_one() -> None:
    value = said(
        segmentation("area"), [radiograph(ImagerPixelSpacing=[0.2, 0.2])], [Segmented(blocks((40, 30)))]
    )
    number, unit = area(value)
    assert number == pytest.approx(9 * 0.04)
    assert unit == "mm2"
    assert describe(value).remarks == (Remark.DETECTOR_SPACING,)


@pytest.mark.parametrize("spacing", [None, [0, 0], [-1, 2]])
def test_an_area_is_in_pixels_where_nothing_tells_the_spacing(spacing: list[float] | None) -> None:
    value = said(segmentation("area"), [radiograph(PixelSpacing=spacing)], [Segmented(blocks((40, 30)))])
    assert area(value) == (9.0, "{pixels}")


def test_a_bundle_that_measures_nothing_has_findings_without_measurements() -> None:
    value = said(segmentation(), [radiograph()], [Segmented(blocks((40, 30)))])
    assert [each.measurements for each in describe(value).findings] == [(), ()]


def test_an_ultrasound_region_tells_the_spacing_inside_it() -> None:
    cine = sample("examples_ybr_color.dcm")
    region = cine.SequenceOfUltrasoundRegions[0]
    del cine.SequenceOfUltrasoundRegions[1:]
    region.RegionLocationMinX0, region.RegionLocationMaxX1 = 0, 50
    region.RegionLocationMinY0, region.RegionLocationMaxY1 = 0, 50
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.05, 0.02
    source = next(iter(Sources([cine])))
    spacing = source.spacing(1, 20, 30)
    assert spacing is not None
    assert spacing.rows_mm == pytest.approx(0.2)
    assert spacing.columns_mm == pytest.approx(0.5)
    assert source.spacing(1, 20, 60) is None
    region.PhysicalUnitsXDirection = 4  # seconds: a curve over time
    assert source.spacing(1, 20, 30) is None


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_no_flagged_image_is_ever_told_as_not_flagged(scores: list[float]) -> None:
    images = [radiograph(1)]
    frames = [SourceFrame(str(images[0].SOPInstanceUID), 1) for _ in scores]
    value = said(classification(), images, [Classified((each,)) for each in scores], frames)
    (told,) = tell(value, Sources(images)).told
    assert told.finding.probability == max(scores)
    assert (told.finding.risk is Risk.HIGH) == any(each >= 0.4 for each in scores)
    assert [each.probability for each in told.scores] == sorted(scores, reverse=True)
