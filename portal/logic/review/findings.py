"""The findings of models that a reader has to say something of."""

from dataclasses import dataclass

from firstread.objects.identity import named
from firstread.records.results import ResultRepository
from firstread.result import Finding, Result, ResultStatus
from firstread.study import Risk, Study


@dataclass(frozen=True)
class Proposed:
    """A finding of a model on the current version of a study.

    Parameters
    ----------
    finding_id
        Its tracking UID.
    finding, result
        What the model said, and the result that it is part of.
    """

    finding_id: str
    finding: Finding
    result: Result

    @property
    def needs_verdict(self) -> bool:
        """Return whether nobody may sign before a reader has judged it: what was not flagged claims nothing."""
        return self.finding.risk is not Risk.NOT_FLAGGED

    @property
    def is_flagged(self) -> bool | None:
        """Return whether its probability reached the operating point; None where it has none."""
        return None if self.finding.risk is None else self.finding.risk is Risk.HIGH


def shown_results(results: ResultRepository, study: Study) -> list[Result]:
    """Return the finished results on the current version of a study, without those that are shown to nobody."""
    if not study.version:
        return []
    found = results.of_version(study.study_uid, study.version)
    return [each for each in found if not each.shadow and each.status is ResultStatus.DONE]


def proposed(results: ResultRepository, study: Study) -> dict[str, Proposed]:
    """Return what models found on the current version of a study, by id, as the results name them."""
    found: dict[str, Proposed] = {}
    for result in shown_results(results, study):
        for index, finding in enumerate(result.findings):
            # Results of before findings had tracking UIDs.
            name = finding.tracking_uid or named("finding", study.study_uid, result.result_id, index)
            found[name] = Proposed(name, finding, result)
    return found
