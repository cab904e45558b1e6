"""The objects of a study, and where each is."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from firstread.gathering.summary import present
from firstread.policy import Action
from firstread.study import Instance, InstanceFacts, InstanceState


class Place(Enum):
    """Which bucket an object is in."""

    STUDIES = "studies"
    RESULTS = "results"


@dataclass(frozen=True)
class Held:
    """One DICOM object that is stored.

    Parameters
    ----------
    key
        In its bucket; names the content, so what is made of it can be kept.
    facts
        What is known of an image; None for an object of a result.
    shows
        What whoever has it looks at: images, what a model says, or a signed report.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    place: Place
    key: str
    facts: InstanceFacts | None = None
    shows: Action = Action.IMAGE_VIEW


def images_of(instances: Iterable[Instance]) -> list[Held]:
    """Return the images of a study, each series in the order of its instances.

    Left out is what is held, withdrawn or discarded.
    """
    found = [
        Held(
            study_uid=each.study_uid,
            series_uid=each.facts.series_uid,
            sop_uid=each.sop_uid,
            sop_class_uid=each.facts.sop_class_uid,
            place=Place.STUDIES,
            key=each.studies_key,
            facts=each.facts,
        )
        for each in present(instances)
        if each.state is InstanceState.STORED and each.studies_key
    ]
    return sorted(found, key=_order)


def by_series(objects: Iterable[Held]) -> dict[str, list[Held]]:
    """Return the objects by series, in the order in which the series come."""
    found: dict[str, list[Held]] = {}
    for each in objects:
        found.setdefault(each.series_uid, []).append(each)
    return found


def _order(held: Held) -> tuple[int, str, int, str]:
    facts = held.facts
    series = facts.series_number if facts else None
    number = facts.instance_number if facts else None
    return (series or 0, held.series_uid, number or 0, held.sop_uid)
