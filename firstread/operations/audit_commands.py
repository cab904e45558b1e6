"""`firstread audit`: verify chains, search events, export a day."""

import json
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from firstread.local.place import StateDirectory, console, errors
from firstread.operations.place import As, Deployed, Json, opened, told
from firstread.policy import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstread.audit.chain import Verdict
    from firstread.operations.auditing import Auditing
    from firstread.records.audit import Entry

app = typer.Typer(
    help="Verify, search and export the audit trail. Every use is an event in it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise typer.BadParameter("a day is written as 2026-03-02") from None


Day = Annotated[str, typer.Option("--day", callback=_day, help="Day in UTC, as 2026-03-02.")]
Subject = Annotated[
    str,
    typer.Option("--subject", help="Pseudonymous Study Instance UID, or another subject as it is listed."),
]


def _auditing(home: Path | None, actor: str, *, deployed: bool) -> "Auditing":
    return opened(home, actor, Role.AUDITOR, deployed=deployed).auditing


@app.command()
def verify(
    subject: Subject = "",
    day: Day = "",
    export: Annotated[
        Path | None,
        typer.Option(
            "--all-of-export", exists=True, dir_okay=False, help="Every chain of an export that lies here."
        ),
    ] = None,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
) -> None:
    """Compute chains anew; exit code 1 if one is broken, and its first wrong event is named."""
    if [bool(subject), bool(day), export is not None].count(True) != 1:
        raise typer.BadParameter("say what: --subject, --day or --all-of-export")
    with told():
        auditing = _auditing(home, actor, deployed=deployed)
        broken = _print_verdicts(_verdicts(auditing, subject, day, export))
    if broken:
        raise typer.Exit(1)


def _verdicts(auditing: "Auditing", subject: str, day: str, export: Path | None) -> "Iterable[Verdict]":
    from firstread.audit.search import Query

    if export is not None:
        return auditing.verify_export(export)
    if day:
        return auditing.verify_day(day)
    return [auditing.verify_subject(Query(subject=subject).about)]


def _print_verdicts(verdicts: "Iterable[Verdict]") -> int:
    whole = events = broken = 0
    for verdict in verdicts:
        events += verdict.count
        if verdict.fault is None:
            whole += 1
            continue
        broken += 1
        errors.print(
            f"[red]broken:[/red] {verdict.subject}, event {verdict.broken_at}: {verdict.fault.value}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"{whole} chains are whole, {broken} broken; {events} events", highlight=False)
    return broken


@app.command()
def search(
    subject: Subject = "",
    by: Annotated[str, typer.Option("--by", help="User name of who did it.")] = "",
    day: Day = "",
    action: Annotated[
        str, typer.Option("--action", help="Action, such as study.view, or the first part of several.")
    ] = "",
    most: Annotated[int, typer.Option("--most", min=1, help="How many events at most.")] = 100,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print FHIR AuditEvents, one JSON object per line.")
    ] = False,
) -> None:
    """List events, newest first."""
    with told():
        from firstread.audit.fhir import resource
        from firstread.audit.search import Query

        auditing = _auditing(home, actor, deployed=deployed)
        found = islice(auditing.search(Query(day, by, subject, action)), most)
        if as_json:
            for entry in found:
                typer.echo(json.dumps(resource(entry)))
        else:
            _print_events(found)


def _print_events(entries: "Iterable[Entry]") -> None:
    table = Table("at", "who", "as", "action", "subject", "details")
    for entry in entries:
        details = ", ".join(f"{name} {value}" for name, value in sorted(entry.details.items()))
        table.add_row(entry.at, entry.actor, entry.role, entry.action, entry.subject, details)
    console.print(table)


@app.command()
def export(
    day: Day,
    output: Annotated[
        Path | None,
        typer.Option("--output", file_okay=False, help="Folder here, in place of the audit bucket."),
    ] = None,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Json = False,
) -> None:
    """Export the events of a day that is over, with the head of each chain."""
    if not day:
        raise typer.BadParameter("say which day")
    with told():
        auditing = _auditing(home, actor, deployed=deployed)
        manifest = auditing.export_to(day, output) if output else auditing.export(day)
    if as_json:
        typer.echo(manifest.text())
    else:
        console.print(
            f"{manifest.events} events of {len(manifest.heads)} chains, SHA-256 {manifest.sha256}",
            highlight=False,
        )
    if manifest.gaps:
        errors.print(f"[red]{len(manifest.gaps)}[/red] chains have gaps; see `firstread audit verify`")
        raise typer.Exit(1)
