"""`firstread convert`: a tree of DICOM in, volumes with their sidecars out."""

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

from firstread.errors import FirstReadError
from firstread.imaging.convert.options import Existing, Filter, Options, Target

# What reads DICOM is imported where it is used: every `firstread` command loads this module.
if TYPE_CHECKING:
    from firstread.imaging.convert.run import Summary

_INTERRUPTED = 128 + signal.SIGINT
console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def convert(
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Folders and files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made where it is missing.")],
    to: Annotated[Target, typer.Option(help="Format.")],
    pattern: Annotated[str, typer.Option(help="Path of a volume in the folder, without its suffix.")] = "",
    compress: Annotated[bool, typer.Option(help="Compress voxels, without loss.")] = True,
    hdf5_filter: Annotated[Filter, typer.Option(help="How HDF5 compresses.")] = Filter.LZF,
    existing: Annotated[
        Existing, typer.Option(help="Where a file is in the way that was not made of the same images.")
    ] = Existing.SKIP,
    licence: Annotated[str, typer.Option(help="Licence of the images, for the sidecars.")] = "",
    identifying: Annotated[
        bool, typer.Option("--identifying", help="Let names and sidecars hold ids, UIDs, descriptions.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse series that would have to be mended.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option(help="Key of the digests in names; default: in the output folder.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per processor.")] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Exit code 0 also where series failed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Convert series to NIfTI, HDF5, Zarr or a data set of nnU-Net.

    A series that fails stops no other one; it is listed with its reason. Interrupted, the same command goes on where
    it stopped.
    """
    from firstread.imaging.convert.run import convert as run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as on Ctrl-C
    with _told():
        options = Options(
            to=to,
            pattern=pattern,
            compress=compress,
            filter=hdf5_filter,
            existing=existing,
            licence=licence,
            identifying=identifying,
            strict=strict,
        )
        with _progress() as settled:
            summary = run(sources, out, options, jobs=jobs or _processors(), key=key, settled=settled)
    if as_json:
        console.print_json(data=summary.to_json())
    else:
        _print(summary)
    if summary.failed and not keep_going:
        raise typer.Exit(1)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error into one line. Nothing of the input is in it: its names may be patients' names."""
    try:
        yield
    except FirstReadError as error:
        text, code = f"nothing was converted: {error}", 2
    except OSError as error:
        text, code = f"the output folder cannot be used: {os.strerror(error.errno or 0)}", 1
    except KeyboardInterrupt:
        text, code = "interrupted; the same command goes on where it stopped", _INTERRUPTED
    else:
        return
    errors.print(f"[red]firstread:[/red] {text}")
    raise typer.Exit(code)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], object]]:
    if not errors.is_terminal:
        yield lambda _done, _total: None
        return
    columns = (TextColumn("converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task("converting", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _print(summary: "Summary") -> None:
    table = Table("series", "outcome", "why", "files")
    for each in summary.outcomes:
        if each.reason:
            table.add_row(each.series, each.status.value, each.reason, str(each.files))
    for digest in summary.broken_files:
        table.add_row(f"file with SHA-256 {digest}", "failed", "not_read", "1")
    if table.row_count:
        console.print(table)
    told = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in summary.totals.items())
    console.print(f"{told}; {summary.other_files} other files")
