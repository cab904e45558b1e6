"""Heat maps of a classifier: a parametric map where the image lies in space, else outlines in a presentation state."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.color import CIELabColor
from highdicom.pm import (
    DerivedPixelContrastValues,
    ImageFlavorValues,
    ParametricMap,
    RealWorldValueMapping,
)
from highdicom.pr import (
    AnnotationUnitsValues,
    ColorSoftcopyPresentationState,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from highdicom.sr.coding import CodedConcept
from PIL import ImageCms
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.volume import SourceFrame
from firstread.objects.outline import outlines, thinned
from firstread.objects.sources import Source, Sources
from firstread.objects.written import RESEARCH_USE, Written
from firstread.result import ObjectKind
from model_service.findings import Told
from model_service.objects.said import Said
from model_service.objects.segmentation import tracking_id
from model_service.objects.series import Place

LEVEL = 0.5
"""Of the map's scale, which is the same for every image; what lies above it is outlined."""
NOTICE = f"AI attribution, not a contour. {RESEARCH_USE}."
MAX_PARTS = 50  # of one map, the largest first

_UNIT = CodedConcept("1", "UCUM", "no units")
_COLOUR = CIELabColor.from_rgb(255, 196, 0)
_WINDOW = ("WindowCenter", "WindowWidth")
_RESCALING = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_CLASS_OF_PROFILE = slice(12, 16)  # ICC.1:2022 7.2.5
_DATE_OF_PROFILE = slice(24, 36)  # ICC.1:2022 7.2.8


def maps(said: Said, told: Sequence[Told], sources: Sources) -> list[Written]:
    """Make the objects that show where the evidence for the scores came from.

    Returns
    -------
    list of Written
        A parametric map per finding on a single-frame image with a position; else a presentation state per image,
        with a layer per finding, or none where no map reaches `LEVEL`.
    """
    shown = [each for each in told if each.activation is not None]
    placed = [each for each in shown if _is_placed(sources.of(each.frame))]
    flat: dict[SourceFrame, list[Told]] = {}
    for each in shown:
        if not _is_placed(sources.of(each.frame)):
            flat.setdefault(each.frame, []).append(each)
    found = [
        _parametric_map(said, each, sources.of(each.frame), number)
        for number, each in enumerate(placed, start=1)
    ]
    for number, (frame, group) in enumerate(flat.items(), start=1):
        found.extend(_presentation(said, group, frame, sources.of(frame), number))
    return found


def _is_placed(source: Source) -> bool:
    return source.is_registered and source.frames == 1


def _parametric_map(said: Said, told: Told, source: Source, number: int) -> Written:
    place = Place(said, ObjectKind.PARAMETRIC_MAP, number)
    assert told.activation is not None  # noqa: S101 - narrows the type
    mapping = RealWorldValueMapping(
        lut_label="ATTRIBUTION",
        lut_explanation=f"{NOTICE} {told.finding.label}"[:64],
        unit=_UNIT,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.DCM.Saliency,
    )
    made = ParametricMap(
        source_images=[source.header],
        pixel_array=told.activation[None].astype(np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_label="AI_ATTRIBUTION",
        content_description=NOTICE,
        image_flavor=ImageFlavorValues.VOLUME,
        derived_pixel_contrast=DerivedPixelContrastValues.QUANTITY,
        **place.arguments,
    )
    return place.written(_sided(made, source))


def _presentation(
    said: Said, told: Iterable[Told], frame: SourceFrame, source: Source, number: int
) -> list[Written]:
    image = _as_referenced(source, frame.number)
    layers: list[GraphicLayer] = []
    annotations: list[GraphicAnnotation] = []
    for each in told:
        layer = GraphicLayer(
            layer_name=f"AI_{len(layers) + 1}",
            order=len(layers) + 1,
            description=f"{NOTICE} {each.finding.label}"[:64],
            display_color=_COLOUR,
        )
        if (annotation := _annotation(said, each, image, layer)) is not None:
            if source.frames > 1:
                annotation.ReferencedImageSequence[0].ReferencedFrameNumber = frame.number
            layers.append(layer)
            annotations.append(annotation)
    if not annotations:
        return []
    place = Place(said, ObjectKind.PRESENTATION_STATE, number)
    common = {
        "referenced_images": [image],
        "graphic_layers": layers,
        "graphic_annotations": annotations,
        "content_label": "AI_ATTRIBUTION",
        "content_description": NOTICE,
        **place.arguments,
    }
    made = (
        ColorSoftcopyPresentationState(icc_profile=_srgb(), **common)
        if source.is_colour
        else GrayscaleSoftcopyPresentationState(**common)
    )
    return [place.written(_sided(made, source))]


def _sided(made: Dataset, source: Source) -> Dataset:
    """Return an object with the side of the body, required of a paired structure (PS3.3 C.7.3.1.1.1)."""
    side = str(source.header.get("Laterality") or source.header.get("ImageLaterality"))
    made.Laterality = side if side in {"L", "R"} else ""
    return made


def _annotation(said: Said, told: Told, image: Dataset, layer: GraphicLayer) -> GraphicAnnotation | None:
    assert told.activation is not None  # noqa: S101 - narrows the type
    found = [thinned(each) for each in outlines(told.activation >= LEVEL)[:MAX_PARTS]]
    if not found:
        return None
    name, uid = tracking_id(said, told.finding.label), told.finding.tracking_uid
    graphics = [
        GraphicObject(
            GraphicTypeValues.POLYLINE,
            points,
            AnnotationUnitsValues.PIXEL,
            tracking_id=name,
            tracking_uid=uid,
        )
        for points in found
    ]
    text = TextObject(
        text_value=f"{told.finding.label}: {NOTICE}",
        units=AnnotationUnitsValues.PIXEL,
        anchor_point=(float(found[0][:, 0].min()), float(found[0][:, 1].min())),
        anchor_point_visible=False,
        tracking_id=name,
        tracking_uid=uid,
    )
    return GraphicAnnotation([image], layer, graphic_objects=graphics, text_objects=[text])


def _as_referenced(source: Source, number: int) -> Dataset:
    """Return a header that says of one frame what a presentation state copies: its first window and its rescaling.

    highdicom looks for these in the shared functional groups of an image whose IOD can have several frames, which older
    IODs do not have, and refuses an image with a window and a VOI LUT, or with half a window.
    """
    image, shared = Dataset(), Dataset()
    image.update(source.header)
    window = functional_item(source.header, number - 1, "FrameVOILUTSequence")
    rescaling = functional_item(source.header, number - 1, "PixelValueTransformationSequence")
    for keyword in (*_WINDOW, *_RESCALING):
        image.pop(keyword, None)
    center, width = (numbers(window, keyword)[:1] for keyword in _WINDOW)
    if center and width and width[0] >= 1:
        shared.FrameVOILUTSequence = [_assign(image, dict(zip(_WINDOW, center + width, strict=True)))]
        image.pop("VOILUTSequence", None)
    slope, intercept = (numbers(rescaling, keyword)[:1] for keyword in _RESCALING[:2])
    if slope and intercept and "ModalityLUTSequence" not in image:
        units = str(rescaling.get("RescaleType") or "US")
        values = dict(zip(_RESCALING, (*slope, *intercept, units), strict=True))
        shared.PixelValueTransformationSequence = [_assign(image, values)]
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], []
    return image


def _assign(image: Dataset, values: Mapping[str, object]) -> Dataset:
    """Set attributes of an image, and return an item with the same."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(image, keyword, value)
        setattr(item, keyword, value)
    return item


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    """Return sRGB as the profile of an input device, which DICOM asks for (PS3.3 C.11.15), always of the same date."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # A matrix profile has the same tags for a display and for an input device (ICC.1:2022 8.3.3 and 8.4.3).
    profile[_CLASS_OF_PROFILE] = b"scnr"
    profile[_DATE_OF_PROFILE] = bytes(12)
    return bytes(profile)
