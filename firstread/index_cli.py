"""`firstread index`: a folder of DICOM files in, Parquet tables out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
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
    quality: Annotated[
        bool,
        typer.Option(
            "--quality", help="Read the pixels of images too: noise, clipping, range, empty slices."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Index a folder of DICOM files into Parquet, or bring its index up to date.

    The index holds what headers hold, patients' IDs among them. What is printed are counts.
    """
    from firstread.imaging.index import build

    with _told(), terminal.progress("indexing") as settled:
        summary = build(path, out, quality=quality, settled=settled)
    if as_json:
        typer.echo(json.dumps(summary.to_json()))
    else:
        _print(summary, out)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FirstReadError as error:
        terminal.fail(str(error))
    except ModuleNotFoundError:
        terminal.fail("this needs the extra `volumes`: pip install 'firstread[volumes]'")
    except OSError as error:
        terminal.fail(f"the index cannot be written: {error.strerror}")
    except KeyboardInterrupt:
        terminal.fail("interrupted; the same command goes on")


def _print(found: "Summary", out: Path) -> None:
    table = Table("", "count")
    for name in ("files", "read", "studies", "series", "volumes", "instances", "duplicates", "conflicting"):
        table.add_row(name, str(getattr(found, name)))
    for reason, count in found.left_out.items():
        table.add_row(f"left out: {reason}", str(count))
    for geometry, count in found.geometry.items():
        table.add_row(f"geometry: {geometry}", str(count))
    if found.measured or found.not_measured:
        table.add_row("images whose pixels were read", str(found.measured))
    for reason, count in found.not_measured.items():
        table.add_row(f"pixels not read: {reason}", str(count))
    if found.derived:
        table.add_row("images without UIDs, grouped by folder", str(found.derived))
    if found.unresolved:
        table.add_row("references to what is not here", str(found.unresolved))
    if found.unlisted_folders:
        table.add_row("folders that could not be listed", str(found.unlisted_folders))
    console = terminal.console()
    console.print(table)
    console.print(f"index: {out}", highlight=False, soft_wrap=True)
