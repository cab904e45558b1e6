"""FirstRead sits the exam: as `firstread deid` does, what is sent again in a run of its own."""

import json
from collections.abc import Callable
from pathlib import Path

from firstread.deid import Profile
from firstread.deid.burned_in import TextDetector
from firstread.deid.folder import Job
from firstread.deid.process import default_detector
from tests.exam.generate import FIRST, RESEND


def no_detector() -> TextDetector | None:
    """As where the packages are not installed."""
    return None


def sit(inputs: Path, folder: Path, detector: Callable[[], TextDetector | None] = default_detector) -> Path:
    """De-identify an exam.

    Parameters
    ----------
    inputs
        The exam's input folder, with what is sent first and what is sent again.
    folder
        Gets ``out``, key and link file, and the reports.
    detector
        Makes the detector of burned-in text.

    Returns
    -------
    pathlib.Path
        The report of both turns.
    """
    files = []
    profile = Profile.LONGITUDINAL
    for turn in (FIRST, RESEND):
        report = folder / f"{turn}.json"
        places = (inputs / turn, folder / "out", folder / "key", folder / "link", report)
        Job(*places, profile, profile.options, detector=detector).run()
        files += json.loads(report.read_text("utf-8"))["files"]
    both = folder / "report.json"
    both.write_text(json.dumps({"files": files}), "utf-8")
    return both
