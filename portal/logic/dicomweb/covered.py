"""What of a segmentation may be shown once some of the images that it was drawn on were withdrawn.

An image may have been withdrawn because it is of somebody else, and then so is what a model drew on it.
"""

from collections.abc import Collection, Iterator

from firstread.dicomweb.dicom_json import Json

_REFERENCED_SERIES, _REFERENCED_INSTANCES = "00081115", "0008114A"
_SHARED, _PER_FRAME = "52009229", "52009230"
_DERIVATION, _SOURCE, _SOP_UID = "00089124", "00082112", "00081155"


def is_covered(segmentation: Json, frame: int, images: Collection[str]) -> bool:
    """Return whether all images that a frame was drawn on are still there.

    A frame that names none counts as drawn on all images that the object refers to (PS3.3 C.12.1.1.4); where the object
    refers to none either, nobody can tell, and it is not shown.

    Parameters
    ----------
    segmentation
        All its attributes.
    frame
        Number of the frame, 1 first.
    images
        SOP Instance UIDs of the images that are there.
    """
    groups = _items(segmentation, _PER_FRAME)[frame - 1 : frame]
    sources = set(_sources(*groups)) or set(_sources(*_items(segmentation, _SHARED)))
    sources = sources or set(_referenced(segmentation))
    return bool(sources) and all(each in images for each in sources)


def is_whole(segmentation: Json, images: Collection[str]) -> bool:
    """Return whether all frames of a segmentation are covered."""
    return all(is_covered(segmentation, frame, images) for frame in _frames(segmentation))


def without_gone(segmentation: Json, images: Collection[str]) -> Json | None:
    """Return a segmentation without what it says of frames that are not covered; None where no frame is.

    The functional groups of such a frame are empty, so that the others keep their numbers; references to images that
    are gone are left out.
    """
    covered = [is_covered(segmentation, frame, images) for frame in _frames(segmentation)]
    if not any(covered):
        return None
    made = dict(segmentation)
    if _PER_FRAME in made:
        groups = zip(_items(segmentation, _PER_FRAME), covered, strict=True)
        made[_PER_FRAME] = {"vr": "SQ", "Value": [group if here else {} for group, here in groups]}
    if _SOURCE in made:
        sources = [each for each in _items(segmentation, _SOURCE) if _uid(each) in images]
        made[_SOURCE] = {"vr": "SQ", "Value": sources} if sources else {"vr": "SQ"}
    if _REFERENCED_SERIES in made:
        made[_REFERENCED_SERIES] = {"vr": "SQ", "Value": list(_series_here(segmentation, images))}
    return made


def _frames(segmentation: Json) -> range:
    return range(1, max(1, len(_items(segmentation, _PER_FRAME))) + 1)


def _series_here(segmentation: Json, images: Collection[str]) -> Iterator[Json]:
    for series in _items(segmentation, _REFERENCED_SERIES):
        here = [each for each in _items(series, _REFERENCED_INSTANCES) if _uid(each) in images]
        if here:
            yield {**series, _REFERENCED_INSTANCES: {"vr": "SQ", "Value": here}}


def _sources(*groups: Json) -> Iterator[str]:
    for group in groups:
        for derivation in _items(group, _DERIVATION):
            for source in _items(derivation, _SOURCE):
                yield _uid(source)


def _referenced(segmentation: Json) -> Iterator[str]:
    for series in _items(segmentation, _REFERENCED_SERIES):
        for each in _items(series, _REFERENCED_INSTANCES):
            yield _uid(each)


def _items(dataset: Json, tag: str) -> list[Json]:
    return list(dataset.get(tag, {}).get("Value") or [])


def _uid(reference: Json) -> str:
    return str((reference.get(_SOP_UID, {}).get("Value") or [""])[0])
