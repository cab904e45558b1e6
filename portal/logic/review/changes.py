"""What the audit trail says of a change: verdicts before and after, and never a word of the reader."""

import json

from firstread.records.audit import Detail
from firstread.review import Review, ReviewedFinding


def changes(before: Review, after: Review) -> dict[str, Detail]:
    """Return what changed between two states of a review.

    Parameters
    ----------
    before, after
        The states. Of their texts it is only told whether they changed.
    """
    was, becomes = _verdicts(before), _verdicts(after)
    differing = sorted(key for key in {*was, *becomes} if was.get(key) != becomes.get(key))
    told: dict[str, Detail] = {
        "before": json.dumps({key: was[key] for key in differing if key in was}),
        "after": json.dumps({key: becomes[key] for key in differing if key in becomes}),
    }
    if before.impression != after.impression:
        told["impression_changed"] = True
    if _notes(before) != _notes(after):
        told["notes_changed"] = True
    if _regions(before) != _regions(after):
        told["regions_changed"] = True
    if before.measurements != after.measurements:
        told["measurements_changed"] = True
    return told


def _verdicts(review: Review) -> dict[str, str]:
    return {each.finding_id: _words(each) for each in review.findings}


def _words(finding: ReviewedFinding) -> str:
    parts = [finding.verdict.value if finding.verdict else "undecided"]
    parts.append(f"{finding.code.scheme} {finding.code.value}")
    if finding.site is not None:
        parts.append(f"at {finding.site.scheme} {finding.site.value}")
    if finding.rejection is not None:
        parts.append(finding.rejection.value)
    if finding.regions:
        parts.append(f"regions {len(finding.regions)}")
    return ", ".join(parts)


def _notes(review: Review) -> dict[str, str]:
    return {each.finding_id: each.note for each in review.findings if each.note}


def _regions(review: Review) -> dict[str, object]:
    return {each.finding_id: each.regions for each in review.findings if each.regions}
