"""`firstread index`: a folder of DICOM files in, Parquet tables out."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from firstread import terminal
from firstread.errors import FirstReadError

if TYPE_CHECKING:
    from firstread.imaging.index import Summary


def index(
    path: Annotated[Path, typer.Argument(help="Folder of DICOM files; nothing in it is changed.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the index; made where it is missing.")
    ] = Path("firstread-index"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Index a folder of DICOM files into Parquet, or bring its index up to date.

    The index holds what headers hold, patients' IDs among them. What is printed are counts.
    """
    from firstread.imaging.index import build

    with _told(), _progress() as settled:
        summary = build(path, out, settled=settled)
    if as_json:
        typer.echo(json.dumps(summary.to_json()))
    else:
        _print(summary, out)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FirstReadError as error:
        text = str(error)
    except ModuleNotFoundError:
        text = "this needs the extra `volumes`: pip install 'firstread[volumes]'"
    except OSError as error:
        text = f"the index cannot be written: {error.strerror}"
    except KeyboardInterrupt:
        text = "interrupted; the same command goes on"
    else:
        return
    terminal.console(stderr=True).print(f"[red]firstread:[/red] {text}", highlight=False)
    raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], object]]:
    console = terminal.console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _of: None
        return
    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _print(found: "Summary", out: Path) -> None:
    table = Table("", "count")
    for name in ("files", "read", "studies", "series", "volumes", "instances", "duplicates", "conflicting"):
        table.add_row(name, str(getattr(found, name)))
    for reason, count in found.left_out.items():
        table.add_row(f"left out: {reason}", str(count))
    for geometry, count in found.geometry.items():
        table.add_row(f"geometry: {geometry}", str(count))
    if found.unresolved:
        table.add_row("references to what is not here", str(found.unresolved))
    if found.unlisted_folders:
        table.add_row("folders that could not be listed", str(found.unlisted_folders))
    console = terminal.console()
    console.print(table)
    console.print(f"index: {out}", highlight=False, soft_wrap=True)
