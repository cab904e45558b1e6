"""Asking models for a study version."""

from collections.abc import Iterable

from firstread.messages import AnalyzeRequest, Message
from firstread.order import Priority
from firstread.study import Study


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
