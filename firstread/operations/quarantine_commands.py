"""`firstread quarantine`: what lies there, and deciding about it. Nothing it prints is patient data."""

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from firstread import terminal
from firstread.clock import from_text, now
from firstread.errors import FirstReadError, Reason
from firstread.local.place import StateDirectory, console
from firstread.operations.place import As, Deployed, Json, opened, told
from firstread.operations.quarantine import Because
from firstread.policy import Role

if TYPE_CHECKING:
    from firstread.operations.quarantine import Quarantine
    from firstread.receipt import Receipt

app = typer.Typer(
    help="Look at what lies in quarantine, try it again or give it up. Every decision is written down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)

Keys = Annotated[list[str] | None, typer.Argument(help="Keys of objects, as `list` prints them.")]
Key = Annotated[str, typer.Argument(help="Key of an object, as `list` prints it.")]
OfReason = Annotated[
    Reason | None, typer.Option("--reason", help="Everything that was quarantined with this reason.")
]
Why = Annotated[Because, typer.Option("--because", help="Why, for the audit trail.")]


@app.command("list")
def list_command(
    reason: Annotated[Reason | None, typer.Option("--reason", help="Only this reason.")] = None,
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, help="Only what arrived more than so many days ago.")
    ] = 0,
    discarded: Annotated[bool, typer.Option("--discarded", help="What was given up, instead.")] = False,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List what lies in quarantine, oldest first."""
    with told():
        quarantine = opened(home, actor, Role.DATA_STEWARD, deployed=deployed).quarantine
        found = quarantine.held(reason.value if reason else "", discarded=discarded)
        old_enough = (receipt for receipt in found if _age_days(receipt) >= older_than)
        if as_json:
            for receipt in old_enough:
                typer.echo(json.dumps(_said(receipt)))
            return
        # A key is made to be copied: never shortened.
        table = Table(
            Column("key", no_wrap=True, overflow="ignore"), "reason", "age", "source", "bytes", "study"
        )
        for receipt in old_enough:
            age = f"{_age_days(receipt):.1f} d"
            table.add_row(
                receipt.object_key,
                receipt.reason,
                age,
                receipt.source,
                str(receipt.size),
                receipt.study_uid,
            )
    console.print(table)


@app.command()
def show(
    key: Key, home: StateDirectory = None, deployed: Deployed = False, actor: As = "", as_json: Json = False
) -> None:
    """Show one object: its receipt, and what operators did to it."""
    with told():
        quarantine = opened(home, actor, Role.DATA_STEWARD, deployed=deployed).quarantine
        receipt, events = quarantine.show(key)
    if as_json:
        typer.echo(json.dumps({**_said(receipt), "audit": events}))
        return
    table = Table(show_header=False)
    for name, value in _said(receipt).items():
        table.add_row(name, str(value))
    console.print(table)
    for event in events:
        console.print(json.dumps(event), highlight=False, soft_wrap=True)


@app.command()
def release(
    because: Why,
    keys: Keys = None,
    reason: OfReason = None,
    inspected: Annotated[
        bool,
        typer.Option(
            "--inspected", help="You have looked at the pixels of each, and vouch that they carry no text."
        ),
    ] = False,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
) -> None:
    """Try objects again: they go through the pipeline once more."""
    if inspected and not keys:
        raise typer.BadParameter("--inspected is for objects that are named one by one")
    with told():
        quarantine = opened(home, actor, Role.DATA_STEWARD, deployed=deployed).quarantine
        failed = 0
        for key in _chosen(quarantine, keys, reason):
            failed += not _done(key, partial(quarantine.release, key, because, inspected=inspected))
    if failed:
        raise typer.Exit(1)


@app.command()
def discard(
    keys: Annotated[list[str], typer.Argument(help="Keys of objects, as `list` prints them.")],
    because: Why,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give objects up: their bytes are deleted for good, their receipts stay."""
    if not yes:
        typer.confirm(f"Delete the bytes of {len(keys)} objects for good?", abort=True, err=True)
    with told():
        quarantine = opened(home, actor, Role.DATA_STEWARD, deployed=deployed).quarantine
        failed = sum(not _done(key, partial(quarantine.discard, key, because)) for key in keys)
    if failed:
        raise typer.Exit(1)


def _chosen(quarantine: "Quarantine", keys: list[str] | None, reason: Reason | None) -> list[str]:
    if bool(keys) == (reason is not None):
        raise typer.BadParameter("say which: keys, or --reason")
    if keys:
        return keys
    # Read to the end first: what is released leaves the index that is being read.
    return [receipt.object_key for receipt in quarantine.held(reason.value if reason else "")]


def _done(key: str, decide: "Callable[[], Receipt]") -> bool:
    try:
        receipt = decide()
    except FirstReadError as error:
        terminal.complain(f"{key}: {error}")
        return False
    console.print(f"{key}: {'discarded' if receipt.discarded_at else receipt.outcome.value}", highlight=False)
    return True


def _age_days(receipt: "Receipt") -> float:
    return (now() - from_text(receipt.received_at)).total_seconds() / 86400


def _said(receipt: "Receipt") -> dict[str, object]:
    return {**receipt.model_dump(mode="json"), "age_days": round(_age_days(receipt), 3)}
