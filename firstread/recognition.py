"""What pixels say of the kind of an image: the header leads, pixels cross-check it and speak where it is silent."""

from collections.abc import Iterable, Sequence

from firstread.result import Recognised, Result
from firstread.study import Instance, InstanceFacts

_SILENT_MODALITIES = frozenset({"", "OT"})  # Other says nothing either (PS3.3 C.7.3.1.1.1)


def recognised(results: Iterable[Result]) -> dict[str, Recognised]:
    """Return what results say of series, by Series Instance UID; an answer "unknown" says nothing."""
    return {each.series_uid: each for result in results for each in result.recognised if each.label}


def completed(instances: Iterable[Instance], seen: dict[str, Recognised]) -> list[Instance]:
    """Return instances whose silent facts are filled in from pixels; no fact of a header is changed.

    Parameters
    ----------
    instances
        Of a study version.
    seen
        As `recognised` returns it.
    """
    return [_completed(each, seen.get(each.facts.series_uid)) for each in instances]


def _completed(instance: Instance, seen: Recognised | None) -> Instance:
    if seen is None:
        return instance
    facts = instance.facts
    update: dict[str, object] = {}
    if facts.modality in _SILENT_MODALITIES and seen.modalities:
        update["modality"] = seen.modalities[0]
    if not facts.body_part and seen.body_parts and _agrees(facts.modality, seen.modalities):
        update["body_part"] = seen.body_parts[0]
    return instance.model_copy(update={"facts": facts.model_copy(update=update)}) if update else instance


def disagreement(facts: InstanceFacts, seen: Recognised) -> str:
    """Return in what the header and the pixels of a series disagree; "" where they do not, or one is silent."""
    if not seen.label:
        return ""
    said = [
        f"{name} {value}"
        for name, value, expected in (
            ("modality", facts.modality, seen.modalities),
            ("body part", facts.body_part, seen.body_parts),
        )
        if value not in _SILENT_MODALITIES and expected and value not in expected
    ]
    return f"the header says {' and '.join(said)}, the pixels look like {seen.label}" if said else ""


def _agrees(modality: str, expected: Sequence[str]) -> bool:
    """Tell whether the header's modality, where it names one, is among those of the kind that was seen."""
    return modality in _SILENT_MODALITIES or not expected or modality in expected
