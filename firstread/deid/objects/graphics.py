"""Text and shapes drawn on images (PS3.3 C.10.5), and what of a presentation state refers to overlays."""

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from firstread.deid.objects.items import children, is_empty, text_of, walk
from firstread.deid.text import Sweep

_ANNOTATIONS, _LAYERS, _LAYER = 0x00700001, 0x00700060, 0x00700002
_TEXTS, _TEXT = 0x00700008, 0x00700006
_DRAWN = (_TEXTS, 0x00700009, 0x00700209)  # text, graphic and compound graphic objects
_WAVEFORM_ANNOTATIONS, _CONCEPT, _MEASURED = 0x0040B020, 0x0040A043, 0x0040A30A
_SHUTTER_SHAPE, _SHUTTER_GROUP = 0x00181600, 0x00181623
_SHUTTER_VALUES = (_SHUTTER_GROUP, 0x00181622, 0x00181624)


def clean(dataset: Dataset, sweep: Sweep) -> None:
    """Rename the layers that annotations lie on where a layer's name identifies.

    Parameters
    ----------
    dataset
        Top level, with its original values.
    sweep
        Of this dataset.
    """
    if _LAYERS not in dataset.keys():
        return
    # One name for layer and reference: the rules would empty both, and several layers would become one.
    names: dict[str, str] = {}
    for layer in children(dataset, _LAYERS):
        name = text_of(layer, _LAYER)
        names.setdefault(name, name if sweep.is_term(name) else f"LAYER{len(names) + 1}")
    for item in (*children(dataset, _LAYERS), *walk(dataset, _ANNOTATIONS)):
        if _LAYER in item.keys():
            name = text_of(item, _LAYER)
            item[_LAYER] = DataElement(_LAYER, "CS", names.get(name, name))


def finish(dataset: Dataset) -> None:
    """Take out annotations that say nothing any more, and references to overlays that are gone."""
    if _ANNOTATIONS in dataset.keys():
        _drop_empty(dataset)
    if _LAYERS in dataset.keys() and _ANNOTATIONS not in dataset.keys():
        del dataset[_LAYERS]  # without annotations and overlays nothing lies on them
    if _WAVEFORM_ANNOTATIONS in dataset.keys():
        kept = [item for item in children(dataset, _WAVEFORM_ANNOTATIONS) if not _says_nothing(item)]
        _set(dataset, _WAVEFORM_ANNOTATIONS, kept)
    if _SHUTTER_GROUP in dataset.keys():
        _drop_bitmap_shutter(dataset)


def _drop_empty(dataset: Dataset) -> None:
    annotations = children(dataset, _ANNOTATIONS)
    for annotation in annotations:
        if _TEXTS in annotation.keys():
            _set(
                annotation,
                _TEXTS,
                [text for text in children(annotation, _TEXTS) if not is_empty(text, _TEXT)],
            )
    _set(dataset, _ANNOTATIONS, [each for each in annotations if any(tag in each.keys() for tag in _DRAWN)])


def _set(dataset: Dataset, tag: int, items: list[Dataset]) -> None:
    if items:
        dataset[tag] = DataElement(tag, "SQ", Sequence(items))
    else:
        del dataset[tag]


def _says_nothing(annotation: Dataset) -> bool:
    return (
        is_empty(annotation, _TEXT)
        and not children(annotation, _CONCEPT)
        and _MEASURED not in annotation.keys()
    )


def _drop_bitmap_shutter(dataset: Dataset) -> None:
    # PS3.3 C.7.6.15: its shape is an overlay.
    shapes = [] if is_empty(dataset, _SHUTTER_SHAPE) else dataset[_SHUTTER_SHAPE].value
    others = [shape for shape in ([shapes] if isinstance(shapes, str) else shapes) if shape != "BITMAP"]
    for tag in (_SHUTTER_SHAPE, *_SHUTTER_VALUES):
        if tag in dataset.keys():
            del dataset[tag]
    if others:
        dataset[_SHUTTER_SHAPE] = DataElement(_SHUTTER_SHAPE, "CS", others)
