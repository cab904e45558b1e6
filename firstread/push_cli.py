"""`firstread push`: files to the ingest service."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from firstread.local.home import Home, LocalError, activate
from firstread.local.place import StateDirectory, console, errors, home_of, told

if TYPE_CHECKING:
    from firstread.push import Options, Sent
    from firstread.uploads.journal import Journal


def push(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders, zip archives.")],
    home: StateDirectory = None,
    url: Annotated[
        str,
        typer.Option(help="Root of the ingest service; default $FIRSTREAD_INGEST_URL, else the local run."),
    ] = "",
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token; default $FIRSTREAD_INGEST_TOKEN_FILE.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Objects sent at a time.")] = 4,
    urgent: Annotated[bool, typer.Option("--urgent", help="All of it is STAT.")] = False,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Nobody waits for it: priors, archives.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Send also what the same command has sent before it was interrupted."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per object sent; no file names.")
    ] = False,
) -> None:
    """Send DICOM files to the pipeline.

    File names may carry patients' names: they are shown on a terminal only, and never in the JSON.
    """
    from firstread.push import Options
    from firstread.uploads.journal import Journal

    with told():
        where = home_of(home)
        root, token = _ingest(where, url, token_file)
        command = [root, *(str(path.resolve()) for path in paths)]
        journal = Journal.of(where.path / "push", command, again=again)
        options = Options(jobs=jobs, urgent=urgent, backfill=backfill)
        refused = _push(paths, root, token, journal, options, as_json=as_json)
    if refused:
        raise typer.Exit(1)


def _ingest(home: Home, url: str, token_file: Path | None) -> tuple[str, Path]:
    """Return where to send to and the file with the token: as told, else by the environment, else the local run."""
    from firstread.environment import IngestClientSettings

    settings = IngestClientSettings()
    if not (url or settings.ingest_url) or not (token_file or settings.ingest_token_file):
        activate(home)
        settings = IngestClientSettings()
    root, token = url or settings.ingest_url, token_file or Path(settings.ingest_token_file)
    if not root or token == Path():
        raise LocalError("this run has no ingest service yet; bring it up to date with `firstread up`")
    return root, token


def _push(
    paths: list[Path], url: str, token_file: Path, journal: "Journal", options: "Options", *, as_json: bool
) -> int:
    from firstread.push import Push
    from firstread.uploads.client import open_client
    from firstread.uploads.contents import files

    door = Push(open_client(url, token_file), journal, options)
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    sent = refused = 0
    done: set[Path] = set()
    with Progress(*columns, console=errors, disable=as_json) as progress:
        task = progress.add_task("sending", total=sum(1 for _ in files(paths)))
        for item in door.send(paths):
            done.add(item.path)  # an archive is one path and many objects
            progress.update(task, completed=len(done))
            sent += item.receipt is not None
            refused += item.refusal is not None
            if as_json:
                typer.echo(json.dumps(_shown(item)))
            elif item.refusal:
                progress.console.print(f"refused ({item.refusal.value}): {item.path}", highlight=False)
    if not as_json:
        console.print(f"{sent} sent, {refused} refused", highlight=False)
    return refused


def _shown(item: "Sent") -> dict[str, object]:
    receipt = item.receipt.model_dump(mode="json") if item.receipt else None
    return {"number": item.number, "refusal": item.refusal, "skipped": item.skipped, "receipt": receipt}
