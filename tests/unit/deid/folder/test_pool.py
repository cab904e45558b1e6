"""Several processes: order, bounds, and a file that kills who reads it."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from firstread.deid import Profile
from firstread.deid.burned_in import TextBox
from firstread.deid.folder import JobError
from firstread.deid.folder.pool import in_order
from firstread.deid.folder.worker import Settings, Task
from firstread.errors import Reason
from tests.support.dicoms import PIXELS
from tests.unit.deid.folder.jobs import BLACK, World, slice_of

COUNT = 40
DEADLY = 7


class Deadly:
    """Takes the process with it, as a decoder in C can."""

    def find(self, _image: object) -> Sequence[TextBox]:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def settings(world: World) -> Settings:
    (world.folder / "drafts").mkdir()
    return Settings(
        world.folder / "key",
        world.folder / "link",
        Profile.LONGITUDINAL.options,
        world.folder / "drafts",
        Deadly,
    )


@pytest.mark.slow
def test_a_file_that_kills_its_process_is_quarantined_and_the_others_come_in_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(COUNT):
        # Whatever is no acquired image is shown to the detector.
        kind = {"SOPClassUID": SecondaryCaptureImageStorage} if number == DEADLY else {}
        world.put(f"{number}", slice_of(number, PIXELS if number == DEADLY else BLACK, **kind))
    taken = []

    def tasks() -> Iterator[Task]:
        for number in range(COUNT):
            taken.append(number)
            yield Task(number, str(world.source / f"{number}"), f"{number}")

    results = []
    for task, done in in_order(tasks(), settings(world), 2):
        results.append((task.number, done.reason))
        assert len(taken) - len(results) <= 2 * 3 * 8
    assert results == [(number, Reason.UNREADABLE if number == DEADLY else None) for number in range(COUNT)]


def test_what_fails_for_all_stops_the_job(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("1", slice_of(1))
    given = settings(world)
    (world.folder / "drafts").rmdir()
    with pytest.raises(JobError, match="No such file"):
        list(in_order([Task(1, str(world.source / "1"), "1")], given, 2))
