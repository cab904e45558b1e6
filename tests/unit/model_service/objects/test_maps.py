import io

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    UltrasoundMultiFrameImageStorage,
)

from firstread.imaging.volume import SourceFrame
from firstread.result import ObjectKind
from model_service.objects.describe import describe
from model_service.objects.maps import NOTICE
from model_service.objects.said import Said
from model_service.prediction import Classified
from tests.support.said import classification, photograph, radiograph, said, sample

MAP, STATE = ObjectKind.PARAMETRIC_MAP, ObjectKind.PRESENTATION_STATE


def objects(value: Said, kind: ObjectKind) -> list[Dataset]:
    described = describe(value)
    assert described.remarks == ()
    return [dcmread(io.BytesIO(part.content)) for part in described.parts if part.kind is kind]


def warm(image: Dataset, value: float = 0.8) -> npt.NDArray[np.float32]:
    found = np.zeros((image.Rows, image.Columns), dtype=np.float32)
    found[3:7, 5:11] = value
    return found


def scored(image: Dataset, *maps: npt.NDArray[np.float32]) -> Said:
    return said(classification(len(maps)), [image], [Classified((0.7,) * len(maps), maps)])


def test_a_map_of_an_image_in_space_is_a_parametric_map_of_its_values() -> None:
    image = sample("CT_small.dcm")
    values = np.random.default_rng(3).random((128, 128), dtype=np.float32)
    (made,) = objects(scored(image, values), MAP)
    assert np.array_equal(np.frombuffer(made.FloatPixelData, dtype="<f4").reshape(128, 128), values)
    assert made.ContentQualification == "RESEARCH"
    assert made.FrameOfReferenceUID == image.FrameOfReferenceUID
    group = made.PerFrameFunctionalGroupsSequence[0]
    assert group.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
    assert (
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        == image.SOPInstanceUID
    )
    assert not objects(scored(image, values), STATE)


def test_a_map_without_a_position_is_outlined_in_a_presentation_state() -> None:
    image = radiograph(WindowCenter=[20, 40], WindowWidth=[30, 50], RescaleSlope=2, RescaleIntercept=-1)
    (made,) = objects(scored(image, warm(image), warm(image, 0.4)), STATE)
    assert made.SOPClassUID == GrayscaleSoftcopyPresentationStateStorage
    (annotation,) = made.GraphicAnnotationSequence  # the second map does not reach the level
    assert annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    (graphic,) = annotation.GraphicObjectSequence
    assert np.reshape(graphic.GraphicData, (-1, 2)).tolist() == [[5, 3], [11, 3], [11, 7], [5, 7], [5, 3]]
    assert NOTICE in annotation.TextObjectSequence[0].UnformattedTextValue
    assert "not a contour" in made.GraphicLayerSequence[0].GraphicLayerDescription
    window = made.SoftcopyVOILUTSequence[0]
    assert (window.WindowCenter, window.WindowWidth) == (20, 30)
    assert (made.RescaleSlope, made.RescaleIntercept) == (2, -1)


def test_a_map_of_a_colour_image_is_outlined_in_a_colour_presentation_state() -> None:
    image = photograph()
    (made,) = objects(scored(image, warm(image)), STATE)
    assert made.SOPClassUID == ColorSoftcopyPresentationStateStorage
    assert made.ICCProfile[12:16] == b"scnr"


@pytest.mark.parametrize("values", [{"WindowCenter": 20}, {"WindowCenter": 1, "WindowWidth": 0}, {}])
def test_half_a_window_is_no_window(values: dict[str, object]) -> None:
    (made,) = objects(scored(radiograph(1, **values), warm(radiograph())), STATE)
    assert "SoftcopyVOILUTSequence" not in made


def test_a_frame_of_a_grey_cine_is_named() -> None:
    pixels = radiograph().PixelData
    image = radiograph(SOPClassUID=UltrasoundMultiFrameImageStorage, Modality="US", NumberOfFrames=2)
    image.PixelData = pixels * 2
    uid = str(image.SOPInstanceUID)
    predictions = [Classified((score,), (warm(image),)) for score in (0.2, 0.9)]
    value = said(classification(), [image], predictions, [SourceFrame(uid, 1), SourceFrame(uid, 2)])
    (made,) = objects(value, STATE)
    assert made.GraphicAnnotationSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber == 2


def test_a_map_that_is_low_everywhere_makes_no_object() -> None:
    image = radiograph()
    value = scored(image, warm(image, 0.3))
    assert not objects(value, STATE)
    assert not objects(value, MAP)
