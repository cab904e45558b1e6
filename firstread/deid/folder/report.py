"""The report of a job, as JSON: digests and pseudonymous names, nothing of a patient."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from firstread.deid.folder.journal import Entry, Journal, Totals


def write_report(path: Path, head: Mapping[str, object], totals: Totals, journal: Journal) -> None:
    """Write the report: all of it or, if that fails, what was there before.

    Parameters
    ----------
    path
        Where to.
    head
        What is said of the job as a whole.
    totals
        What is counted.
    journal
        Every file, in order; there may be millions.
    """
    counts = {
        "totals": {"files": totals.outcomes.total(), **dict(sorted(totals.outcomes.items()))},
        "reasons": dict(sorted(totals.reasons.items())),
        "actions": dict(sorted(totals.actions.items())),
    }
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("x", encoding="ascii") as file:
            opening = json.dumps({**head, **counts}, indent=1).removesuffix("\n}")
            file.write(f'{opening},\n "files": [')
            for number, entry in enumerate(journal.entries()):
                file.write(f"{',' if number else ''}\n  {json.dumps(_row(entry))}")
            file.write("\n ]\n}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _row(entry: Entry) -> dict[str, str | None]:
    return {
        "input_sha256": entry.sha256,
        "outcome": entry.outcome.value,
        "output": entry.output,
        "reason": entry.reason,
    }
