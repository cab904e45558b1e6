"""`firstread dlq`: what steps gave up, and sending it again."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from firstread.local.place import StateDirectory, console
from firstread.operations.place import As, Deployed, Json, opened, told
from firstread.policy import Role

app = typer.Typer(
    help="Look at dead letters, and send them again once the cause is gone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)


@app.command("list")
def list_command(
    queue: Annotated[str, typer.Option("--queue", help="Only this queue.")] = "",
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List dead letters; no bodies are shown."""
    with told():
        office = opened(home, actor, Role.ADMIN, deployed=deployed).dead_letters(os.environ)
        table = Table("queue", "type", "first sent", "received", "message id")
        for each in office.lying(queue):
            sent_at = datetime.fromtimestamp(each.sent_at, UTC).isoformat(timespec="seconds")
            if as_json:
                typer.echo(json.dumps({**asdict(each), "sent_at": sent_at}))
            table.add_row(each.queue, each.kind, sent_at, str(each.received), each.message_id)
    if not as_json:
        console.print(table)


@app.command()
def replay(
    queue: Annotated[str, typer.Option("--queue", help="Only this queue.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every queue.")] = False,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Json = False,
) -> None:
    """Send dead letters to where they came from; exit code 1 if some are of no use to their step."""
    if bool(queue) == everything:
        raise typer.BadParameter("say which: --queue, or --all")
    left = 0
    with told():
        office = opened(home, actor, Role.ADMIN, deployed=deployed).dead_letters(os.environ)
        for each in office.replay(queue):
            left += each.left
            if as_json:
                typer.echo(json.dumps(asdict(each)))
            else:
                console.print(f"{each.queue}: {each.sent} sent again, {each.left} left", highlight=False)
    if left:
        raise typer.Exit(1)
