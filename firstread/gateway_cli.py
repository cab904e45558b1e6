"""`firstread gateway`: the door in the hospital's network."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from firstread import terminal
from firstread.errors import FirstReadError

if TYPE_CHECKING:
    from firstread.gateway.settings import GatewaySettings

# What reads DICOM is imported where it is used: every `firstread` command loads this module.
app = typer.Typer(
    help="The door in the hospital's network: DICOM and HL7 v2 in, a spool on disk, HTTPS out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)
console = Console(highlight=False)

Configuration = Annotated[Path, typer.Option("--config", help="Configuration file (TOML).")]


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error into one line and exit code 1."""
    try:
        yield
    except FirstReadError as error:
        terminal.fail(str(error))
    except OSError as error:
        terminal.fail(f"a port or folder cannot be used: {error.strerror}")


def _load(path: Path) -> "GatewaySettings":
    try:
        from firstread.gateway.settings import load
    except ImportError:
        raise FirstReadError("the gateway needs more packages: install firstread[gateway]") from None
    return load(path)


@app.command()
def run(config: Configuration) -> None:
    """Listen, spool and forward, until SIGTERM or Ctrl-C."""
    with _told():
        settings = _load(config)
        from firstread.gateway.run import run as run_gateway
        from firstread.gateway.settings import token_from
        from firstread.uploads.client import IngestClient

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        forward = settings.forward
        run_gateway(settings, IngestClient(forward.url, token_from(forward.token_file), forward.timeout))


@app.command()
def check(config: Configuration) -> None:
    """Check the configuration, the token, certificates, the disk, and that the ingest service answers."""
    with _told():
        from firstread.gateway.status import problems_of

        problems = problems_of(_load(config))
    for problem in problems:
        terminal.complain(problem)
    if problems:
        raise typer.Exit(1)
    console.print("the configuration can be used")


@app.command()
def status(
    config: Configuration, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Say what waits and what was refused; exit code 1 if somebody has to look."""
    with _told():
        from firstread.gateway.status import gateway_status

        found = gateway_status(_load(config))
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        console.print(
            f"waiting: {found.objects} objects, {found.messages} messages, {found.waiting_bytes} bytes, "
            f"the oldest for {found.oldest_seconds:.0f} s"
        )
        if found.refused:
            table = Table("refused", "source", "reason")
            for each in found.refused:
                table.add_row(each.file, each.source, each.reason)
            console.print(table)
        table = Table("counter", "value")
        for name, value in found.counters.items():
            table.add_row(name, str(value))
        console.print(table)
        for problem in found.problems:
            terminal.complain(problem)
    if found.problems:
        raise typer.Exit(1)
