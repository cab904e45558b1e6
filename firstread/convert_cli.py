"""`firstread convert`: a tree of DICOM in, volumes with their sidecars out."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from firstread import terminal
from firstread.errors import FirstReadError
from firstread.imaging.convert.options import Existing, Filter, Options, Target

# What reads DICOM is imported where it is used: every `firstread` command loads this module.
if TYPE_CHECKING:
    from firstread.imaging.convert.run import Summary
    from firstread.imaging.prepare.pipeline import Pipeline

_INTERRUPTED = 128 + signal.SIGINT
console = Console(soft_wrap=True, highlight=False)


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
    pipeline: Annotated[
        Path | None, typer.Option(help="YAML of steps that each volume goes through; voxels then change.")
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="A volume that the pipeline names.")
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
            pipeline=_pipeline(pipeline) if pipeline else None,
            references=_references(reference or []),
        )
        with terminal.progress("converting") as settled:
            summary = run(sources, out, options, jobs=jobs or _processors(), key=key, settled=settled)
    if as_json:
        console.print_json(data=summary.to_json())
    else:
        _print(summary)
    if summary.failed and not keep_going:
        raise typer.Exit(1)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pipeline(path: Path) -> "Pipeline":
    from firstread.imaging.prepare.pipeline import Pipeline

    try:
        return Pipeline.from_yaml(path)
    except OSError as error:
        told = os.strerror(error.errno or 0)
    except ValueError as error:  # says where in the file; of the images there is nothing in it
        told = str(error)
    raise typer.BadParameter(told, param_hint="--pipeline")


def _references(given: list[str]) -> dict[str, Path]:
    parts = [each.partition("=") for each in given]
    if not all(name and path for name, _, path in parts):
        raise typer.BadParameter("NAME=PATH is wanted", param_hint="--reference")
    return {name: Path(path) for name, _, path in parts}


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error into one line. Nothing of the input is in it: its names may be patients' names."""
    try:
        yield
    except FirstReadError as error:
        terminal.fail(f"nothing was converted: {error}", 2)
    except OSError as error:
        terminal.fail(f"the output folder cannot be used: {os.strerror(error.errno or 0)}", 1)
    except KeyboardInterrupt:
        terminal.fail("interrupted; the same command goes on where it stopped", _INTERRUPTED)


def _print(summary: "Summary") -> None:
    table = Table("series", "outcome", "why", "files")
    for each in summary.outcomes:
        if each.reason:
            why = f"{each.reason} ({each.step})" if each.step else each.reason
            table.add_row(each.series, each.status.value, why, str(each.files))
    for digest in summary.broken_files:
        table.add_row(f"file with SHA-256 {digest}", "failed", "not_read", "1")
    if table.row_count:
        console.print(table)
    told = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in summary.totals.items())
    console.print(f"{told}; {summary.other_files} other files")
