"""De-identify a folder: every file below it, resumable, with a report that names no patient."""

from firstread.deid.folder.errors import JobError, UsageError
from firstread.deid.folder.job import Job
from firstread.deid.folder.journal import Outcome, Totals
from firstread.deid.folder.tree import Refusal

__all__ = ["Job", "JobError", "Outcome", "Refusal", "Totals", "UsageError"]
