"""What a reader measures is made of the points and the stored image, kept with the review, and signed."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from pydicom.dataset import Dataset

from firstread.policy import Role
from firstread.records.reviews import ReviewRepository
from portal.app import create_app
from tests.functional.portal.conftest import Clock, SignIn, browser
from tests.functional.portal.reading import consistent, radiograph, slices
from tests.functional.portal.seeding import Hospital, open_session, settings
from tests.functional.portal.test_reviews import Reader, read, trail

Json = dict[str, Any]
Opened = Callable[[list[Dataset]], Reader]


@pytest.fixture
def app(hospital: Hospital, tmp_path: Path, clock: Clock) -> FastAPI:
    assert hospital.moment == clock()
    return create_app(settings(tmp_path), clock)


@pytest.fixture
def opened(hospital: Hospital, sign_in: SignIn) -> Opened:
    """Give a radiologist a study of images."""

    def give(images: list[Dataset]) -> Reader:
        study_uid = hospital.study(consistent(images, 1), modality=images[0].Modality)
        hospital.close(study_uid, 1, waits=5)
        return Reader(sign_in(Role.RADIOLOGIST), study_uid)

    return give


@pytest.fixture
def ann(opened: Opened) -> Reader:
    """A radiologist at a CT."""
    return opened(slices(2))


def measurement(
    image: Dataset, *points: tuple[float, float], shape: str = "length", **values: object
) -> Json:
    return {
        "measurement_id": "2.25.77",
        "shape": shape,
        "series_uid": image.SeriesInstanceUID,
        "sop_uid": image.SOPInstanceUID,
        "points": [{"x": x, "y": y} for x, y in points],
    } | values


def ct() -> Dataset:
    return consistent(slices(1), 1)[0]


def measured(reader: Reader, entry: Json) -> Json:
    (found,) = reader.save(measurements=[entry])["measurements"]
    return dict(found)


def numbers(found: Json) -> list[tuple[str, object, str]]:
    return [(each["name"]["meaning"], each["value"], each["unit"]["value"]) for each in found["values"]]


def test_a_length_is_in_millimetres_of_the_patient(ann: Reader) -> None:
    image = ct()
    row, column = (float(each) for each in image.PixelSpacing)
    found = measured(ann, measurement(image, (10, 20), (13, 24), label="nodule"))
    expected = math.hypot(3 * column, 4 * row)
    assert numbers(found) == [("Length", pytest.approx(expected, abs=1e-3), "mm")]
    assert found["words"] == [f"{expected:.2f} mm"]
    assert found["label"] == "nodule"


def test_an_ellipse_has_the_area_and_what_is_inside(ann: Reader) -> None:
    image = ct()
    row, column = (float(each) for each in image.PixelSpacing)
    found = measured(ann, measurement(image, (40, 60), (20, 50), shape="ellipse"))
    y, x = np.mgrid[0:128, 0:128] + 0.5
    inside = ((x - 30) / 10) ** 2 + ((y - 55) / 5) ** 2 <= 1
    values = image.pixel_array[inside] * float(image.RescaleSlope) + float(image.RescaleIntercept)
    assert numbers(found) == [
        ("Area", pytest.approx(math.pi * 50 * row * column, abs=1e-3), "mm2"),
        ("Attenuation Coefficient", pytest.approx(values.mean(), abs=1e-3), "[hnsf'U]"),
        ("Attenuation Coefficient", pytest.approx(values.std(), abs=1e-3), "[hnsf'U]"),
    ]
    assert [each.split()[0] for each in found["words"]] == ["Area", "Mean", "SD"]
    assert [each["derivation"] and each["derivation"]["meaning"] for each in found["values"]] == [
        None,
        "Mean",
        "Standard Deviation",
    ]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, (4.0, "{pixels}")),
        ({"ImagerPixelSpacing": [0.5, 0.5]}, (4.0, "{pixels}")),
        ({"ImagerPixelSpacing": [0.5, 0.5], "PixelSpacing": [0.5, 0.5]}, (4.0, "{pixels}")),
        ({"ImagerPixelSpacing": [0.5, 0.5], "PixelSpacing": [0.4, 0.4]}, (1.6, "mm")),
        (
            {
                "ImagerPixelSpacing": [0.5, 0.5],
                "PixelSpacing": [0.5, 0.5],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            (2.0, "mm"),
        ),
    ],
)
def test_a_spacing_of_the_detector_gives_no_millimetres(
    opened: Opened, attributes: Json, expected: tuple[float, str]
) -> None:
    (image,) = radiograph()
    for name, value in attributes.items():
        setattr(image, name, value)
    found = measured(opened([image]), measurement(image, (1, 1), (5, 1)))
    assert numbers(found) == [("Length", *expected)]
    assert found["words"] == ["4.00 px" if expected[1] == "{pixels}" else f"{expected[0]:.2f} mm"]


def test_an_angle_knows_that_pixels_are_not_square(opened: Opened) -> None:
    (image,) = radiograph()
    image.PixelAspectRatio = [2, 1]
    found = measured(opened([image]), measurement(image, (5, 1), (1, 1), (5, 3), shape="angle"))
    assert numbers(found) == [("Angle", 45.0, "deg")]
    assert found["words"] == ["45.0°"]


@pytest.mark.parametrize(
    "values",
    [
        {"points": [{"x": 1, "y": 1}]},
        {"points": [{"x": 1, "y": 1}] * 4},
        {"points": [{"x": 1, "y": 1}, {"x": -1, "y": 1}]},
        {"frame": 0},
        {"shape": "volume"},
        {"measurement_id": "1.2.840.1"},
        {"label": "x" * 65},
        {"values": [{"value": 7}]},
        {"words": ["7 mm"]},
    ],
)
def test_what_is_not_understood_is_refused(ann: Reader, values: Json) -> None:
    ann.save(422, measurements=[measurement(ct(), (1, 1), (5, 5)) | values])
    assert not trail(ann.study_uid)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sop_uid": "1.2.3"}, "lies on no image of the study"),
        ({"series_uid": "1.2.3"}, "lies on no frame of that series"),
        ({"frame": 2}, "lies on no frame of that series"),
        ({"points": [{"x": 1, "y": 1}, {"x": 129, "y": 1}]}, "reaches beyond its image"),
        ({"points": [{"x": 1, "y": 1}] * 3}, "has not as many points as its shape"),
        ({"shape": "angle"}, "has not as many points as its shape"),
        ({"points": [{"x": 1, "y": 1}] * 2}, "has no extent"),
        ({"shape": "ellipse", "points": [{"x": 1, "y": 1}, {"x": 9, "y": 1}]}, "has no extent"),
    ],
)
def test_what_does_not_hold_together_is_refused(ann: Reader, values: Json, said: str) -> None:
    answer = ann.save(422, measurements=[measurement(ct(), (1, 1), (5, 5)) | values])
    assert answer["detail"] == f"measurement 1: it {said}"
    assert not trail(ann.study_uid)


def test_one_twice_and_too_many(ann: Reader) -> None:
    entry = measurement(ct(), (1, 1), (5, 5))
    assert ann.save(422, measurements=[entry, entry])["detail"] == "a measurement is there twice"
    ann.save(422, measurements=[entry | {"measurement_id": f"2.25.{n}"} for n in range(1, 102)])


def test_it_is_kept_handed_in_signed_and_in_the_addendum(ann: Reader, app: FastAPI) -> None:
    image = ct()
    client = browser(app)
    client.cookies.set(*open_session(app, Role.RESIDENT, user="rae"))
    rae = Reader(client, ann.study_uid)
    entry = measurement(image, (10, 20), (13, 24), label="Quimby")
    kept = measured(rae, entry)
    # The same once more, and another label: measured once.
    assert measured(rae, entry) == kept
    rae.save(measurements=[entry | {"label": "Theodora"}])
    assert ann.look()["measurements"] == []  # a draft is its author's
    rae.act("submit")
    assert ann.look()["measurements"] == [kept | {"label": "Theodora"}]
    report = ann.act("sign")
    assert report["measurements"] == [kept | {"label": "Theodora"}]
    assert report["text"][1] == f"Measured (Theodora): length, {kept['words'][0]}"
    found = read(ann, report)
    assert next(each for each in found.iterall() if each.keyword == "NumericValue").value == pytest.approx(
        kept["values"][0]["value"]
    )
    assert ann.save(409, number=1, revision=4, measurements=[])["reason"] == "signed"
    (signed,) = ReviewRepository().of_study(ann.study_uid)
    assert len(signed.measurements) == 1
    events = trail(ann.study_uid)
    assert [bool(each.get("measurements_changed")) for each in events if each["action"] == "review.save"] == [
        True,
        True,
    ]
    assert "Quimby" not in repr(events) and "Theodora" not in repr(events)


def test_a_new_version_is_measured_anew(ann: Reader, hospital: Hospital) -> None:
    entry = measurement(ct(), (10, 20), (13, 24))
    before = measured(ann, entry)
    hospital.close(ann.study_uid, 2, waits=4)
    assert ann.look()["draft"]["stale"] == "changed"
    after = ann.save(version=2, measurements=[entry])
    assert (after["measurements"], after["draft"]["version"]) == ([before], 2)


def test_nobody_signs_what_lies_on_an_image_that_was_withdrawn(ann: Reader, hospital: Hospital) -> None:
    image = ct()
    ann.save(measurements=[measurement(image, (10, 20), (13, 24))])
    hospital.withdraw(ann.study_uid, image.SOPInstanceUID, waits=4)
    hospital.close(ann.study_uid, 2, waits=3)
    ann.save(version=2, measurements=[measurement(image, (10, 20), (13, 24))])
    refused = ann.act("sign", 409)
    assert refused["detail"] == "an image that the review refers to was withdrawn"
    ann.save(version=2, impression="One image is gone")
    ann.act("sign")


def test_a_draft_that_is_given_up_has_none(ann: Reader) -> None:
    ann.save(measurements=[measurement(ct(), (10, 20), (13, 24))])
    mine = ann.draft()
    path = ann.path(f"review?number={mine['number']}&revision={mine['revision']}")
    assert ann.client.delete(path).json()["measurements"] == []
    (kept,) = ReviewRepository().of_study(ann.study_uid)
    assert kept.measurements == ()


def test_pixels_that_cannot_be_read_leave_the_area(opened: Opened) -> None:
    (image,) = radiograph()
    image.PixelData = image.PixelData[:10]
    found = measured(opened([image]), measurement(image, (1, 1), (5, 3), shape="rectangle"))
    assert numbers(found) == [("Area", 8.0, "{pixels}")]
