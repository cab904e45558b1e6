"""`firstread deid`: a folder in, a de-identified folder and a report out."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from firstread import terminal
from firstread.errors import FirstReadError, Reason

# What reads DICOM is imported where it is used: every `firstread` command loads this module.
if TYPE_CHECKING:
    from firstread.deid import Option, Profile
    from firstread.deid.folder import Job, Totals

_MOST_JOBS = 8  # the networks that find burned-in text take about a gigabyte each
_INTERRUPTED = 128 + signal.SIGINT
# A terminal's width must not cut a path in two for whoever copies it.
console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def _profile(name: str) -> "Profile":
    from firstread.deid import Profile

    try:
        return Profile(name)
    except ValueError:
        raise typer.BadParameter("--profile is one of " + ", ".join(Profile)) from None


def _options(names: list[str] | None) -> "frozenset[Option]":
    from firstread.deid import Option

    try:
        return frozenset(Option(name.replace("-", "_")) for name in names or ())
    except ValueError:
        known = ", ".join(each.replace("_", "-") for each in Option)
        raise typer.BadParameter(f"options are {known}") from None


def _processors() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST_JOBS)


def deid(
    source: Annotated[Path, typer.Option("--in", help="Folder to de-identify; nothing in it is changed.")],
    target: Annotated[Path, typer.Option("--out", help="Folder to write to; made where it is missing.")],
    key: Annotated[Path, typer.Option(help="Key file of the link file; made on first use.")],
    link: Annotated[Path, typer.Option(help="Link file, the way back to the patients; made on first use.")],
    report: Annotated[Path, typer.Option(help="JSON report; written anew.")],
    profile: Annotated[str, typer.Option(metavar="NAME", help="longitudinal or safe-harbor-strict.")],
    added: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME", help="Option to add to the profile; may be repeated."),
    ] = None,
    dropped: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="NAME", help="Option of the profile to leave out."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A site's own rules, as a recipe of the package deid.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per processor.")] = None,
) -> None:
    """De-identify a folder of DICOM files.

    Where files are quarantined the exit code is 0 as well; the report lists them. Interrupted, the same command
    goes on where it stopped.
    """
    from firstread.deid.folder import Job

    chosen = _profile(profile)
    options = (chosen.options | _options(added)) - _options(dropped)
    job = Job(source, target, key, link, report, chosen, options, jobs or _processors(), recipe=recipe)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as on Ctrl-C
    with _told(report):
        job.check()
        with _progress(job) as settled:
            totals = job.run(settled)
    _print(totals, report, job)


@contextmanager
def _told(report: Path) -> Iterator[None]:
    """Turn an error into one line. Nothing of the input is in it: its names may be patients' names."""
    from firstread.deid.folder import UsageError

    try:
        yield
    except UsageError as error:
        terminal.fail(str(error), 2)
    except FirstReadError as error:
        terminal.fail(f"{error}; the same command goes on where it stopped", 1)
    except OSError as error:
        terminal.fail(f"a file or folder cannot be used: {os.strerror(error.errno or 0)}", 1)
    except KeyboardInterrupt:
        terminal.fail(f"interrupted; {report} holds what is done, and the same command goes on", _INTERRUPTED)


@contextmanager
def _progress(job: "Job") -> Iterator[Callable[[], object]]:
    from firstread.deid.folder.tree import walk

    columns = (TextColumn("de-identifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if not errors.is_terminal:
        yield lambda: None
        return
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task("", total=sum(1 for _ in walk(job.source)))
        yield lambda: progress.advance(task)


def _print(totals: "Totals", report: Path, job: "Job") -> None:
    table = Table("outcome", "reason", "files")
    for outcome in ("deidentified", "duplicate"):
        table.add_row(outcome, "", str(totals.outcomes[outcome]))
    for reason, count in sorted(totals.reasons.items()):
        table.add_row("quarantined", reason, str(count))
    console.print(table)
    console.print(f"report: {report}")
    held = totals.reasons[Reason.MAY_CONTAIN_BURNED_IN_TEXT.value]
    if held and "clean_pixel_data" in job.options and job.detector() is None:
        console.print(f"{held} were not looked at for text in their pixels: install firstread\\[pixels]")
