"""What a study version asks for: its analyses, and the metadata of its series."""

from collections.abc import Iterable

from firstread.messages import AnalyzeRequest, DescribeSeriesRequest, Message
from firstread.order import Priority
from firstread.study import AnalysisStatus, Study

_NO_IMAGES = frozenset({AnalysisStatus.HELD, AnalysisStatus.WITHDRAWN})


def follow_ups(study: Study) -> dict[str, Message]:
    """Return all that follows from a version that was just closed, by outbox id."""
    return descriptions(study) | requests(study, (*study.models, *study.beside))


def descriptions(study: Study) -> dict[str, Message]:
    """Return the request for the metadata of a study version, by outbox id; none where it has no image."""
    if study.status in _NO_IMAGES:
        return {}
    seen = study.gathering
    request = DescribeSeriesRequest(
        study_uid=study.study_uid,
        version=study.version,
        completed_at=study.completed_at,
        source=seen.sources[0] if seen.sources else "",
        correlation_id=seen.correlation_id,
    )
    return {f"describe#{study.study_uid}#v{study.version:06d}": request}


def requests(study: Study, models: Iterable[str]) -> dict[str, Message]:
    """Return one analyze request per model, by outbox id.

    Parameters
    ----------
    study
        The head of the study, with its current version.
    models
        Model ids.
    """
    return {
        f"analyze#{study.study_uid}#v{study.version:06d}#{model}": _request(study, model) for model in models
    }


def _request(study: Study, model: str) -> AnalyzeRequest:
    seen = study.gathering
    return AnalyzeRequest(
        study_uid=study.study_uid,
        version=study.version,
        model_id=model,
        urgent=study.priority is not Priority.ROUTINE,
        source=seen.sources[0] if seen.sources else "",
        correlation_id=seen.correlation_id,
    )
