"""A job: an input tree, an output folder, a report; interrupted at any moment, it goes on where it stopped."""

import fcntl
import filecmp
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstread import __version__
from firstread.clock import now, to_text
from firstread.deid.folder.errors import JobError, UsageError
from firstread.deid.folder.journal import Entry, Journal, Outcome, Totals
from firstread.deid.folder.pool import in_order
from firstread.deid.folder.report import write_report
from firstread.deid.folder.tree import walk
from firstread.deid.folder.worker import Done, Settings, Task
from firstread.deid.options import Option, Profile
from firstread.deid.process import default_detector
from firstread.deid.recipe import RecipeError, read_recipe
from firstread.deid.vault import IdentityVault, VaultKeyError, open_vault
from firstread.errors import Reason

if TYPE_CHECKING:
    from firstread.deid.burned_in import TextDetector

_DRAFTS = ".firstread-deid"


@dataclass(frozen=True)
class Job:
    """A folder to be de-identified.

    Parameters
    ----------
    source
        Input folder; every file below it is read.
    target
        Output folder; made where it is missing. Files in it are never overwritten.
    key, link
        Files of the identity vault; made on first use.
    report
        JSON file; written anew.
    profile, options
        The profile, and the options that are applied.
    jobs
        Number of processes.
    detector
        Makes the detector of burned-in text; called in every process.
    recipe
        A site's own rules (`firstread.deid.recipe`); None for the profile's alone.
    """

    source: Path
    target: Path
    key: Path
    link: Path
    report: Path
    profile: Profile
    options: frozenset[Option]
    jobs: int = 1
    detector: "Callable[[], TextDetector | None]" = default_detector
    recipe: Path | None = None

    def check(self) -> None:
        """Judge what can be judged before anything is written.

        Raises
        ------
        UsageError
            If a folder is missing, or one thing lies inside another where it must not.
        """
        if not self.source.is_dir():
            raise UsageError("--in is not a folder")
        if self.target.exists() and not self.target.is_dir():
            raise UsageError("--out is not a folder")
        source, target = self.source.resolve(), self.target.resolve()
        if source.is_relative_to(target) or target.is_relative_to(source):
            raise UsageError("--in and --out must not lie in one another")
        if len({path.resolve() for path in (self.key, self.link, self.report)}) < 3:
            raise UsageError("--key, --link and --report must be different files")
        for option, path in (("--key", self.key), ("--link", self.link), ("--report", self.report)):
            place = path.resolve()
            if place.is_dir():
                raise UsageError(f"{option} is a folder")
            if place.is_relative_to(source):
                raise UsageError(f"{option} must not lie in --in")
            if place.is_relative_to(target) and option == "--key":
                raise UsageError("--key leads back to the patients and must not lie in --out")
        self._check_recipe()
        if self.link.exists() and self.link.stat().st_size and not self.key.exists():
            raise UsageError("the link file is there, and its key is not")

    def _check_recipe(self) -> None:
        if self.recipe is not None:
            try:
                read_recipe(self.recipe)
            except RecipeError as error:
                raise UsageError(f"--recipe: {error}") from None

    def run(self, settled: Callable[[], object] = lambda: None) -> Totals:
        """Do the job, or the rest of it.

        Parameters
        ----------
        settled
            Called after each file.

        Returns
        -------
        Totals
            Of the whole job, be it done in one run or in several.

        Raises
        ------
        UsageError
            If it cannot be done as it was asked for.
        JobError
            If it stopped before its end. The same job goes on from there.
        KeyboardInterrupt
            After a report of what is done was written.
        """
        self.check()
        try:
            for folder in (self.target, self.key.parent, self.link.parent, self.report.parent):
                folder.mkdir(parents=True, exist_ok=True)
            vault = open_vault(self.link, self.key)
            with self._alone(), self._journal(vault) as journal:
                return self._run(vault, journal, settled)
        except VaultKeyError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise JobError(f"a file cannot be written: {os.strerror(error.errno or 0)}") from None
        except sqlite3.Error as error:
            raise JobError(f"the link file or the journal cannot be used ({type(error).__name__})") from None

    def _run(self, vault: IdentityVault, journal: Journal, settled: Callable[[], object]) -> Totals:
        drafts = self.target / _DRAFTS
        shutil.rmtree(drafts, ignore_errors=True)  # of a run that was killed
        drafts.mkdir()
        settings = Settings(self.key, self.link, self.options, drafts, self.detector, self.recipe)
        for path in self.target.glob("*/*/*/*.dcm"):
            journal.add_output(path.stem, path.relative_to(self.target).as_posix())
        complete = False
        try:
            tasks = self._tasks(vault, journal, settled)
            with closing(in_order(tasks, settings, self.jobs)) as results:
                for task, done in results:
                    self._settle(journal, task, done)
                    settled()
            os.sync()  # the report says that the outputs are there: let them be there after a power loss
            complete = True
        except KeyboardInterrupt:
            self._report(journal, complete=False)
            raise
        finally:
            shutil.rmtree(drafts, ignore_errors=True)
        totals = self._report(journal, complete=complete)
        journal.remove()
        return totals

    def _tasks(self, vault: IdentityVault, journal: Journal, settled: Callable[[], object]) -> Iterator[Task]:
        """Yield what must be opened; settle what must not."""
        top = os.path.realpath(self.source)
        for number, (path, refusal) in enumerate(walk(self.source)):
            key = vault.keyed_digest(os.fsencode(os.path.relpath(path, top)).hex())
            if refusal is not None:
                journal.settle(key, number, Entry(None, Outcome.QUARANTINED, reason=refusal.value))
                settled()
                continue
            yield Task(number, path, key, self._known(journal, key))

    def _known(self, journal: Journal, key: str) -> str | None:
        """Return the digest of a file that is settled; what came of it must be there, and whole."""
        entry = journal.entry(key)
        if entry is None or entry.outcome is not Outcome.DEIDENTIFIED:
            return entry and entry.sha256
        output = self.target / str(entry.output)
        try:
            whole = output.stat().st_size == entry.size
        except FileNotFoundError:
            return None
        if whole:
            return entry.sha256
        # The power went before it was on the disk.
        output.unlink()
        journal.remove_output(output.stem)
        return None

    def _settle(self, journal: Journal, task: Task, done: Done) -> None:
        if done.known:
            journal.move(task.key, task.number)
        elif done.reason is not None:
            entry = Entry(done.sha256, Outcome.QUARANTINED, reason=done.reason.value)
            journal.settle(task.key, task.number, entry)
        else:
            self._place(journal, task, done)

    def _place(self, journal: Journal, task: Task, done: Done) -> None:
        """Give a draft its name, unless its instance is there already."""
        instance = Path(done.name).stem
        there = journal.output_of(instance)
        if there is None:
            target = self.target / done.name
            entry = Entry(done.sha256, Outcome.DEIDENTIFIED, done.name, None, done.size, done.actions)
            journal.settle(task.key, task.number, entry)
            target.parent.mkdir(parents=True, exist_ok=True)
            done.draft.replace(target)
            journal.add_output(instance, done.name)
            return
        if there == done.name and filecmp.cmp(done.draft, self.target / there, shallow=False):
            entry = Entry(done.sha256, Outcome.DUPLICATE, there)
        else:
            entry = Entry(done.sha256, Outcome.QUARANTINED, reason=Reason.CONFLICT.value)
        done.draft.unlink()
        journal.settle(task.key, task.number, entry)

    def _journal(self, vault: IdentityVault) -> Journal:
        asked = [
            __version__,
            self.profile.value,
            sorted(self.options),
            "" if self.recipe is None else self.recipe.read_text(encoding="utf-8"),
            *map(os.path.realpath, (self.source, self.target)),
        ]
        path = self.report.with_name(f".{self.report.name}.unfinished")
        return Journal(path, vault.keyed_digest(json.dumps(asked)), to_text(now()))

    def _report(self, journal: Journal, *, complete: bool) -> Totals:
        totals = journal.totals()
        head = {
            "tool": f"FirstRead {__version__}",
            "profile": self.profile.value,
            "options": sorted(self.options),
            "started": journal.started,
            "ended": to_text(now()),
            "complete": complete,
        }
        write_report(self.report, head, totals, journal)
        return totals

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep another job out of the output folder; where the file system has no locks, that is the user's care."""
        folder = os.open(self.target, os.O_RDONLY)
        try:
            with suppress(OSError):
                self._lock(folder)
            yield
        finally:
            os.close(folder)

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError("another job is writing to --out") from None
