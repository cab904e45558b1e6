"""Folders of DICOM files, and jobs on them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from firstread.deid import Profile
from firstread.deid.folder import Job
from tests.exam.engine import no_detector
from tests.support.dicoms import PIXELS, encode, header

BLACK = bytes(len(PIXELS))
"""Pixels in which nobody needs to look for text."""
NAMES = ("Quimby", "Theodora", "MRN-998877", "ACC4711", "1.2.826.0.1.3680043.8.498")
"""What a file of `slice_of` tells of its patient."""


def slice_of(number: int, pixels: bytes = BLACK, **values: object) -> bytes:
    """Return a file of a series."""
    uid = f"1.2.826.0.1.3680043.8.498.9.{number}"
    return encode(header(SOPInstanceUID=uid, InstanceNumber=number, **values), pixels=pixels)


@dataclass(frozen=True)
class World:
    """A folder with everything of a job."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "in"

    def put(self, name: str, content: bytes) -> str:
        """Write an input, and return its digest."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def job(self, out: str = "out", **values: Any) -> Job:  # noqa: ANN401 - fields of the job
        self.source.mkdir(exist_ok=True)
        job = Job(
            self.source,
            self.folder / out,
            self.folder / "key",
            self.folder / "link",
            self.folder / f"{out}.json",
            Profile.LONGITUDINAL,
            Profile.LONGITUDINAL.options,
            detector=no_detector,
        )
        return replace(job, **values)

    def run(self, out: str = "out", settled: Callable[[], object] = lambda: None, **values: Any) -> list[Any]:  # noqa: ANN401
        """Do a job, and return the files of its report."""
        self.job(out, **values).run(settled)
        return self.files(out)

    def report(self, out: str = "out") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{out}.json").read_text("utf-8"))
        return found

    def files(self, out: str = "out") -> list[Any]:
        return list(self.report(out)["files"])

    def outputs(self, out: str = "out") -> dict[str, bytes]:
        """Return what is in the output folder, hidden or not."""
        folder = self.folder / out
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
