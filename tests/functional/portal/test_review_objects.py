"""The objects of a signed review conform, read back as they were meant, and are the same at each try."""

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from highdicom.seg import segread
from highdicom.sr import Comprehensive3DSR, GraphicTypeValues, Measurement, MeasurementReport, srread
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from firstread import quantities
from firstread.clock import to_text
from firstread.imaging.volume import SourceFrame
from firstread.objects.segments import segment_frames
from firstread.objects.sources import Sources
from firstread.objects.written import Written
from firstread.result import ObjectKind, Region, ResultObject
from firstread.review import (
    DrawnRegion,
    MeasuredValue,
    Point,
    ReaderMeasurement,
    Rejection,
    Review,
    ReviewedFinding,
    Shape,
    Verdict,
)
from firstread.study import ReviewStatus
from portal.objects.make import make
from portal.objects.segmentation import mask_of
from portal.objects.signed import Proposal, ProposedSegment, Signed
from tests.functional.portal.reading import LUNG, OPACITY, consistent, finding, radiograph, slices, tracking
from tests.functional.portal.seeding import MODEL, uid
from tests.support.conformance import errors, needs_validator
from tests.support.said import sample

pytestmark = pytest.mark.slow

DSRDUMP = shutil.which("dsrdump")
Make = Callable[[], Signed]
Points = tuple[tuple[int, int], ...]

STUDY = uid(1)
AI_REPORT = ResultObject(
    kind=ObjectKind.STRUCTURED_REPORT,
    key="results/x",
    content_type="application/dicom",
    size=1,
    sha256="0" * 64,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
    sop_uid="2.25.777",
    series_uid="2.25.778",
)
SQUARE = ((1, 1), (6, 1), (6, 6), (1, 6))
MOMENT = to_text(datetime(2026, 3, 2, tzinfo=UTC))
HOLE = ((2, 2), (4, 2), (4, 4), (2, 4))


def ring(points: tuple[tuple[int, int], ...]) -> tuple[Point, ...]:
    return tuple(Point(x=x, y=y) for x, y in points)


def drawn(image: Dataset, frame: int = 1, holes: bool = True) -> DrawnRegion:
    return DrawnRegion(
        series_uid=image.SeriesInstanceUID,
        sop_uid=image.SOPInstanceUID,
        frame=frame,
        outline=ring(SQUARE),
        holes=(ring(HOLE),) if holes else (),
    )


def said(number: int, verdict: Verdict, **values: object) -> ReviewedFinding:
    made = ReviewedFinding(finding_id=tracking(number), verdict=verdict, code=OPACITY, site=LUNG)
    return made.model_copy(update=values)


def signed(images: list[Dataset], *findings: ReviewedFinding, **values: object) -> Signed:
    review = Review(
        study_uid=STUDY,
        number=1,
        revision=3,
        version=1,
        status=ReviewStatus.SIGNED,
        author="rae",
        author_role="resident",
        findings=findings,
        impression="An opacity, left.\nMüller's sign: no.",
        started_at=MOMENT,
        saved_at=MOMENT,
        signed_by="ann",
        signed_at=MOMENT,
    )
    fields: dict[str, object] = {
        "review": review,
        "sources": Sources(images),
        "proposals": {},
        "predecessors": [AI_REPORT],
        "mentioned": [],
        "organisation": "A site",
    }
    return Signed(**(fields | values))  # type: ignore[arg-type]


def of_the_ct(**values: object) -> Signed:
    images = consistent(slices(), 1)
    first = str(images[0].SOPInstanceUID)
    proposals = {
        tracking(number): Proposal(
            finding(number, first, region=Region(left=1, top=2, right=5, bottom=6)), MODEL
        )
        for number in (1, 2, 3)
    }
    findings = (
        said(1, Verdict.ACCEPTED, note="as last year"),
        said(2, Verdict.REJECTED, rejection=Rejection.ARTEFACT),
        said(3, Verdict.MODIFIED, regions=(drawn(images[0]), drawn(images[2], holes=False))),
        said(4, Verdict.MISSED, regions=(drawn(images[0]),)),
        said(5, Verdict.MISSED),
    )
    return signed(images, *findings, proposals=proposals, **values)


def of_the_radiograph() -> Signed:
    images = consistent(radiograph(2), 1)
    regions = tuple(drawn(image) for image in images)
    return signed(images, said(4, Verdict.MISSED, regions=regions))


def of_a_cine() -> Signed:
    image = sample("examples_ybr_color.dcm")
    return signed([image], said(4, Verdict.MISSED, regions=(drawn(image, 3), drawn(image, 7))))


def measurement(
    number: int, shape: Shape, image: Dataset, points: Points, **values: object
) -> ReaderMeasurement:
    made = ReaderMeasurement(
        measurement_id=tracking(number),
        shape=shape,
        series_uid=image.SeriesInstanceUID,
        sop_uid=image.SOPInstanceUID,
        points=ring(points),
        values=(MeasuredValue(name=quantities.LENGTH, value=3.25, unit=quantities.MM),),
    )
    return made.model_copy(update=values)


AREA = MeasuredValue(name=quantities.AREA, value=12.5, unit=quantities.PIXELS)
MEAN = MeasuredValue(
    name=quantities.ATTENUATION, value=-812.125, unit=quantities.HOUNSFIELD, derivation=quantities.MEAN
)


def of_measurements() -> Signed:
    images, cine = consistent(slices(), 1), sample("examples_ybr_color.dcm")
    angle = MeasuredValue(name=quantities.ANGLE, value=45.0, unit=quantities.DEGREE)
    made = (
        measurement(11, Shape.LENGTH, images[0], ((1, 2), (4, 6)), label="Müller's line"),
        measurement(12, Shape.ANGLE, images[1], ((5, 1), (1, 1), (5, 5)), values=(angle,)),
        measurement(13, Shape.ELLIPSE, images[1], ((9, 20), (5, 10)), values=(AREA, MEAN)),
        measurement(14, Shape.RECTANGLE, cine, ((9, 20), (5, 10)), values=(AREA,), frame=3),
    )
    told = signed([*images, cine])
    return replace(told, review=told.review.model_copy(update={"measurements": made}))


def of_nothing() -> Signed:
    return signed(consistent(radiograph(), 1), predecessors=[])


ALL = [of_the_ct, of_the_radiograph, of_a_cine, of_measurements, of_nothing]


def read(part: Written) -> Dataset:
    return dcmread(io.BytesIO(part.content))


def groups(part: Written) -> list[Dataset]:
    (container,) = [each for each in read(part).ContentSequence if _name(each) == "126010"]
    return list(container.ContentSequence)


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""


T = TypeVar("T")


def known(value: T | None) -> T:
    assert value is not None
    return value


def coded_items(group: Dataset) -> dict[str, str]:
    """Return the coded items of a group: code of the concept -> code of the value."""
    return {
        _name(each): str(each.ConceptCodeSequence[0].CodeValue)
        for each in group.ContentSequence
        if each.ValueType == "CODE"
    }


@needs_validator
@pytest.mark.parametrize("made", ALL)
def test_they_conform(made: Make, tmp_path: Path) -> None:
    for index, part in enumerate(make(made())):
        path = tmp_path / f"{index}.dcm"
        path.write_bytes(part.content)
        assert sorted(errors(path)) == []
        if part.kind is ObjectKind.STRUCTURED_REPORT and DSRDUMP:
            shown = subprocess.run([DSRDUMP, str(path)], capture_output=True, check=True)
            assert b"Verification Flag   : VERIFIED" in shown.stdout
            assert b"E:" not in shown.stderr


@pytest.mark.parametrize("made", ALL)
def test_they_are_the_same_at_each_try(made: Make) -> None:
    assert [part.content for part in make(made())] == [part.content for part in make(made())]


def test_the_report_is_verified_and_tells_when_nobody_may_know() -> None:
    report, *_ = make(of_the_ct())
    found = read(report)
    assert (found.VerificationFlag, found.CompletionFlag, found.PreliminaryFlag) == (
        "VERIFIED",
        "COMPLETE",
        "FINAL",
    )
    (observer,) = found.VerifyingObserverSequence
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("ann^", "A site")
    # Beside a Study Date that was shifted, a true date would tell by how much.
    day = str(found.StudyDate)
    assert {
        str(found.ContentDate),
        str(observer.VerificationDateTime)[:8],
        str(found.InstanceCreationDate),
    } == {day}
    (before,) = found.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert before.ReferencedSOPInstanceUID == AI_REPORT.sop_uid
    evidence = {
        str(each.ReferencedSOPInstanceUID)
        for series in found.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert AI_REPORT.sop_uid in evidence
    assert {source.sop_uid for source in of_the_ct().sources} < evidence
    assert found.SeriesDescription.startswith("Research use only")


def test_the_groups_say_what_the_reader_says() -> None:
    report, segmentation = make(of_the_ct())
    found = srread(io.BytesIO(report.content))
    assert isinstance(found, Comprehensive3DSR)
    assert isinstance(found.content, MeasurementReport)
    accepted, rejected, modified, added, placeless = groups(report)
    verdicts = [coded_items(each)["verdict"] for each in (accepted, rejected, modified, added, placeless)]
    assert verdicts == ["accepted", "rejected", "modified", "added", "added"]
    assert coded_items(accepted)["121071"] == OPACITY.value
    # No program that lists findings must list it, and nothing says that something is absent.
    assert "121071" not in coded_items(rejected)
    assert coded_items(rejected)["proposed"] == OPACITY.value
    assert coded_items(rejected)["rejection-reason"] == "artefact"
    assert "absent" not in str(read(report)).lower()
    texts = [str(each.TextValue) for each in accepted.ContentSequence if each.ValueType == "TEXT"]
    assert "as last year" in texts
    (one,) = found.content.get_planar_roi_measurement_groups(tracking_uid=tracking(1))
    np.testing.assert_array_equal(known(one.roi).value[0], [1, 2])
    (volume,) = found.content.get_volumetric_roi_measurement_groups(tracking_uid=tracking(3))
    assert known(volume.referenced_segment).referenced_sop_instance_uid == segmentation.sop_uid
    (plane,) = found.content.get_planar_roi_measurement_groups(tracking_uid=tracking(4))
    assert known(plane.referenced_segmentation_frame).referenced_sop_instance_uid == segmentation.sop_uid


def test_what_was_measured_stands_in_groups_of_their_own() -> None:
    report, *others = make(of_measurements())
    assert not others
    told = of_measurements().review.measurements
    found = srread(io.BytesIO(report.content))
    assert isinstance(found.content, MeasurementReport)
    for group in groups(report):
        assert "121071" not in coded_items(group)  # a measurement names no finding

    images = []
    for each, kind in zip(told[:2], (Shape.LENGTH, Shape.ANGLE), strict=True):
        (line,) = found.content.get_image_measurement_groups(tracking_uid=each.measurement_id)
        (number,) = line.get_measurements()
        (place,) = [one for one in number[0].ContentSequence if one.ValueType == "SCOORD"]
        assert (place.GraphicType, place.RelationshipType) == (
            "POLYLINE",
            "INFERRED FROM",
        )
        flat = [coordinate for point in each.points for coordinate in (point.x, point.y)]
        np.testing.assert_array_equal(place.GraphicData, flat)
        images.append(str(place.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID))
        assert each.shape is kind
        assert_same(number, each.values[0])
    assert images == [each.sop_uid for each in told[:2]]
    texts = [str(each.TextValue) for each in groups(report)[0].ContentSequence if each.ValueType == "TEXT"]
    assert "Müller's line" in texts

    (ellipse,) = found.content.get_planar_roi_measurement_groups(tracking_uid=told[2].measurement_id)
    assert known(ellipse.roi).graphic_type is GraphicTypeValues.ELLIPSE
    np.testing.assert_array_equal(known(ellipse.roi).value, [[7, 10], [7, 20], [5, 15], [9, 15]])
    for number, value in zip(ellipse.get_measurements(), told[2].values, strict=True):
        assert_same(number, value)
    (box,) = found.content.get_planar_roi_measurement_groups(tracking_uid=told[3].measurement_id)
    np.testing.assert_array_equal(known(box.roi).value, [[5, 10], [9, 10], [9, 20], [5, 20], [5, 10]])
    assert known(box.roi).ContentSequence[0].referenced_frame_numbers == [3]


def assert_same(number: Measurement, value: MeasuredValue) -> None:
    """Fail unless a number of a report is what was measured."""
    assert (number.name.value, number.name.scheme_designator) == (value.name.value, value.name.scheme)
    assert (number.value, number.unit.value) == (value.value, value.unit.value)
    assert (number.derivation.value if number.derivation else None) == (
        value.derivation.value if value.derivation else None
    )


def test_the_impression_is_there_as_it_was_written() -> None:
    report, *_ = make(of_nothing())
    (container,) = [each for each in read(report).ContentSequence if _name(each) == "C0034375"]
    (item,) = container.ContentSequence
    assert _name(item) == codes.DCM.Impression.value
    assert item.TextValue == "An opacity, left.\nMüller's sign: no."
    (group,) = groups(report)
    assert coded_items(group) == {"reading": "in-impression"}


@pytest.mark.parametrize("made", [of_the_ct, of_the_radiograph])
def test_the_segmentation_is_what_was_drawn(made: Make) -> None:
    told = made()
    _, *parts = make(told)
    expected = {
        (each.finding_id, region.sop_uid): mask_of(
            each.regions, SourceFrame(region.sop_uid, 1), told_size(told)
        )
        for each in told.review.findings
        for region in each.regions
    }
    shown = {}
    for part in parts:
        found = segread(io.BytesIO(part.content))
        pixels = found.pixel_array.reshape(-1, found.Rows, found.Columns)
        names = {int(each.SegmentNumber): str(each.TrackingUID) for each in found.SegmentSequence}
        for frame in segment_frames(found):
            shown[names[frame.segment], frame.source.sop_uid] = pixels[frame.number - 1] > 0
    assert shown.keys() == expected.keys()
    for key, mask in expected.items():
        np.testing.assert_array_equal(shown[key], mask)
        assert mask.any() and mask.sum() in (21, 25)


def told_size(told: Signed) -> tuple[int, int]:
    return next(iter(told.sources)).size


def test_a_radiograph_has_a_segmentation_of_its_own_for_each_image() -> None:
    _, *parts = make(of_the_radiograph())
    assert len(parts) == 2
    assert len({part.series_uid for part in parts}) == 1
    assert len({part.sop_uid for part in parts}) == 2


def test_a_cine_has_outlines_in_the_report() -> None:
    (report,) = make(of_a_cine())
    found = srread(io.BytesIO(report.content))
    assert isinstance(found.content, MeasurementReport)
    two = found.content.get_planar_roi_measurement_groups(tracking_uid=tracking(4))
    assert [known(each.roi).value.tolist()[0] for each in two] == [[1, 1], [1, 1]]
    frames = [known(each.roi).ContentSequence[0].referenced_frame_numbers for each in two]
    assert frames == [[3], [7]]


def test_what_was_accepted_as_a_model_has_segmented_it() -> None:
    images = consistent(slices(), 1)
    _, drawn_one = make(of_the_ct())
    made = read(drawn_one)
    number = 1
    frames = tuple(each for each in segment_frames(made) if each.segment == number)
    mentioned = drawn_one.result_object(STUDY)
    segment = ProposedSegment(drawn_one.sop_uid, number, frames)
    proposals = {tracking(1): Proposal(finding(1, str(images[0].SOPInstanceUID)), MODEL, segment)}
    told = signed(images, said(1, Verdict.ACCEPTED), proposals=proposals, mentioned=[mentioned])
    (report,) = make(told)
    found = srread(io.BytesIO(report.content))
    assert isinstance(found.content, MeasurementReport)
    (group,) = found.content.get_volumetric_roi_measurement_groups(tracking_uid=tracking(1))
    assert known(group.referenced_segment).referenced_sop_instance_uid == drawn_one.sop_uid
