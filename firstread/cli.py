"""The `firstread` command."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from firstread import __version__, terminal
from firstread.convert_cli import convert
from firstread.deid_cli import deid
from firstread.errors import FirstReadError
from firstread.gateway_cli import app as gateway
from firstread.index_cli import index
from firstread.local.home import Home, LocalError, Ports, activate
from firstread.local.logs import follow
from firstread.local.run import ENGINE, saved_ports
from firstread.local.run import down as stop_everything
from firstread.local.run import up as start_everything
from firstread.local.status import Status, component_states, status
from firstread.model_cli import app as model
from firstread.ohif_cli import ohif
from firstread.operations.audit_commands import app as audit
from firstread.operations.commands import ledger, reconcile, trace
from firstread.operations.dead_letter_commands import app as dead_letters
from firstread.operations.quarantine_commands import app as quarantine
from firstread.restore_cli import restore_drill
from firstread.vault_cli import app as vault

if TYPE_CHECKING:
    from firstread.push import Options, Sent
    from firstread.uploads.journal import Journal

app = typer.Typer(
    help="The first read of every radiology study. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)
app.add_typer(vault, name="vault")
app.add_typer(gateway, name="gateway")
app.add_typer(quarantine, name="quarantine")
app.add_typer(dead_letters, name="dlq")
app.add_typer(model, name="model")
app.add_typer(audit, name="audit")
for command in (convert, deid, index, ledger, ohif, reconcile, restore_drill, trace):
    app.command()(command)
console = terminal.console()
errors = terminal.console(stderr=True)

StateDirectory = Annotated[
    Path | None,
    typer.Option("--home", help="State directory; default $FIRSTREAD_HOME, else .firstread here."),
]
EnginePort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Loopback port of the local AWS engine (4566).")
]
PortalPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Loopback port of the portal (8080).")]
IngestPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Loopback port of the ingest service (8081).")
]
IdentityPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Loopback port of the identity provider (8082).")
]


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error of ours into one line and exit code 1."""
    try:
        yield
    except FirstReadError as error:
        errors.print(f"[red]firstread:[/red] {error}", highlight=False)
        raise typer.Exit(1) from None
    except OSError as error:
        # The state directory or a program in it; its path is the user's own.
        errors.print(f"[red]firstread:[/red] {error.strerror}: {error.filename}", highlight=False)
        raise typer.Exit(1) from None
    except (BotoCoreError, ClientError, PynamoDBException) as error:
        # Their texts name endpoints and tables, which help nobody here.
        text = "the local AWS engine does not answer as it should; look at `firstread status`"
        errors.print(f"[red]firstread:[/red] {text} ({type(error).__name__})", highlight=False)
        raise typer.Exit(1) from None


def _home(path: Path | None) -> Home:
    return Home(path.resolve()) if path else Home.default()


def _ports(home: Home, **chosen: int | None) -> Ports:
    return replace(saved_ports(home), **{name: port for name, port in chosen.items() if port is not None})


def _say(text: str) -> None:
    console.print(f"[dim]-[/dim] {text}", highlight=False)


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__, highlight=False)


@app.command()
def up(
    home: StateDirectory = None,
    engine_port: EnginePort = None,
    portal_port: PortalPort = None,
    ingest_port: IngestPort = None,
    identity_port: IdentityPort = None,
) -> None:
    """Start the pipeline on this machine, or update and resume it."""
    with _told():
        where = _home(home)
        ports = _ports(
            where, engine=engine_port, portal=portal_port, ingest=ingest_port, identity=identity_port
        )
        start_everything(where, ports, _say)
        from firstread.demo.show import show_portal

        show_portal(console, where, saved_ports(where))


@app.command()
def down(home: StateDirectory = None) -> None:
    """Stop the pipeline; everything is kept and `up` resumes it."""
    with _told():
        stop_everything(_home(home), _say)


@app.command("status")
def show_status(
    home: StateDirectory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what runs, what waits and what is stuck; exit code 1 if something is wrong."""
    with _told():
        found = status(_home(home))
    if as_json:
        typer.echo(json.dumps({**found.__dict__, "problems": found.problems}))
    else:
        _print_status(found)
    if found.problems:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    table = Table("component", "state")
    colours = {"running": "green", "dead": "red", "stopped": "dim"}
    for name, state in found.components.items():
        table.add_row(name, f"[{colours[state]}]{state}[/]")
    console.print(table)
    if found.waiting:
        queues = Table("queue", "waiting", "dead letters")
        for name in sorted(found.waiting | found.dead_letters):
            dead = found.dead_letters.get(name, 0)
            queues.add_row(name, str(found.waiting.get(name, "")), f"[red]{dead}[/]" if dead else "0")
        console.print(queues)
        console.print(f"ledger: {found.pending} pending, {found.quarantined} in quarantine")
    for problem in found.problems:
        errors.print(f"[red]firstread:[/red] {problem}", highlight=False)


@app.command()
def logs(
    home: StateDirectory = None,
    once: Annotated[bool, typer.Option(help="Print what is there and end.")] = False,
) -> None:
    """Follow the logs of all components and functions."""
    with _told():
        try:
            for line in follow(_home(home), once=once):
                console.print(f"[cyan]{line.component:>12}[/cyan] ", end="")
                console.out(line.text, highlight=False)
        except KeyboardInterrupt:
            return


@app.command()
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

    with _told():
        where = _home(home)
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


@app.command()
def demo(
    home: StateDirectory = None,
    once: Annotated[bool, typer.Option(help="End by itself; exit code 0 if all is accounted for.")] = False,
    engine_port: EnginePort = None,
    portal_port: PortalPort = None,
    ingest_port: IngestPort = None,
    identity_port: IdentityPort = None,
) -> None:
    """Start the pipeline, send real sample files through it and show what happens."""
    from firstread.demo.show import run, show_portal

    where = _home(home)
    complete = False
    ran_before = component_states(where)[ENGINE] == "running"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as on Ctrl-C
    with _told():
        ports = _ports(
            where, engine=engine_port, portal=portal_port, ingest=ingest_port, identity=identity_port
        )
        try:
            start_everything(where, ports, _say)
            complete = run(console, where)
            show_portal(console, where, saved_ports(where))
            if not once:
                console.print("running until Ctrl-C")
                _wait_for_interrupt()
        except KeyboardInterrupt:
            if once:
                errors.print("[red]firstread:[/red] interrupted before the end", highlight=False)
        finally:
            if ran_before:
                _say("it ran before the demonstration and goes on running")
            else:
                stop_everything(where, _say)
    raise typer.Exit(0 if complete else 1)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return


def main() -> None:
    """Run the command."""
    app()
