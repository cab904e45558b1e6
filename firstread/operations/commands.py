"""`firstread ledger`, `reconcile` and `trace`."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from firstread.local.place import StateDirectory, console, errors
from firstread.operations.place import As, Deployed, Json, opened, told
from firstread.policy import Action, Role
from firstread.receipt import Outcome

if TYPE_CHECKING:
    from firstread.operations.ledger import Count
    from firstread.operations.reconcile import Report
    from firstread.operations.trace import Way
    from firstread.operations.wiring import Operations


def ledger(
    study: Annotated[
        str,
        typer.Option(
            "--study", help="Only what arrived of one study: its pseudonymous UID, or its reference."
        ),
    ] = "",
    outcome: Annotated[
        Outcome | None,
        typer.Option("--outcome", help="Print the receipts of one outcome, one JSON object per line."),
    ] = None,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Json = False,
) -> None:
    """Count what arrived and what became of it; exit code 1 if something arrived that the ledger does not know."""
    with told():
        found = opened(home, actor, Role.ADMIN, deployed=deployed)
        found.operator.must(Action.LEDGER_VIEW)
        if outcome is not None:
            for receipt in found.ledger.receipts(outcome):
                typer.echo(receipt.model_dump_json())
            return
        if study:
            count = found.ledger.count_study(_reference(found, study))
        else:
            count = found.ledger.count(found.operator.now())
    if as_json:
        typer.echo(json.dumps({**asdict(count), "balanced": count.balanced}))
    else:
        _print_count(count)
    if not count.balanced:
        raise typer.Exit(1)


def _reference(found: "Operations", study: str) -> str:
    """Return the reference of a study; only UIDs have dots."""
    return found.tracer.way(study).study_ref if "." in study else study


def _print_count(count: "Count") -> None:
    told = (count.received, count.stored, count.duplicate, count.quarantined, count.pending)
    sign = "=" if count.balanced else "[red]≠[/red]"
    console.print(
        "received {} {sign} {} stored + {} duplicate + {} quarantined + {} pending".format(*told, sign=sign)
    )
    if count.discarded:
        console.print(f"{count.discarded} of the quarantined were discarded")
    if count.without_receipt:
        errors.print(f"[red]{count.without_receipt}[/red] objects have no receipt; see `firstread reconcile`")
    if count.without_object:
        errors.print(f"[red]{count.without_object}[/red] receipts have no object; see `firstread reconcile`")


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is wrong.")] = False,
    grace: Annotated[
        int, typer.Option("--grace", min=0, help="Leave alone what is younger than so many seconds.")
    ] = 300,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Json = False,
) -> None:
    """Compare records with objects, and send again what was lost; exit code 1 if bytes are gone."""
    with told():
        found = opened(home, actor, Role.ADMIN, deployed=deployed)
        with errors.status("looking", spinner="dots") as status:
            report = found.reconcile(timedelta(seconds=grace), dry=dry_run).run(
                lambda so_far: status.update(f"{so_far.studies} studies, {so_far.objects} objects")
            )
    if as_json:
        said = {"dry_run": dry_run, "objects": report.objects, "studies": report.studies}
        typer.echo(json.dumps({**said, "troubles": report.troubles, "names": report.names}))
    else:
        print_report(report)
    if report.lost:
        raise typer.Exit(1)


def print_report(report: "Report") -> None:
    """Print what was found."""
    console.print(f"{report.objects} objects and {report.studies} studies were looked at", highlight=False)
    for trouble, number in sorted(report.troubles.items()):
        names = report.names[trouble]
        console.print(f"{number} {trouble.value}: {', '.join(names)}", highlight=False, soft_wrap=True)
    if not report.troubles:
        console.print("all is as it should be")


def trace(
    study: Annotated[str, typer.Argument(help="Pseudonymous Study Instance UID.")] = "",
    original: Annotated[
        str,
        typer.Option(
            "--original", help="The original UID in its place; patient data, which your shell may remember."
        ),
    ] = "",
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Json = False,
) -> None:
    """Print the whole way of a study with its times."""
    if bool(study) == bool(original):
        raise typer.BadParameter("say which study: its pseudonymous UID, or --original")
    with told():
        found = opened(home, actor, Role.ADMIN, deployed=deployed).tracer
        way = found.way(study or found.study_of(_reference_of(original)))
    if as_json:
        steps = [
            {**asdict(step), "seconds": seconds}
            for step, seconds in zip(way.steps, way.seconds(), strict=True)
        ]
        typer.echo(json.dumps({"study_uid": way.study_uid, "study_ref": way.study_ref, "steps": steps}))
    else:
        _print_way(way)


def _reference_of(original: str) -> str:
    from firstread.environment import ReferenceSettings
    from firstread.refs import open_references

    return open_references(ReferenceSettings()).study(original)


def _print_way(way: "Way") -> None:
    table = Table("at", "after", "what", "detail", title=f"study {way.study_uid}", title_justify="left")
    for step, seconds in zip(way.steps, way.seconds(), strict=True):
        table.add_row(step.at, f"{seconds:.3f} s", step.what, step.detail)
    console.print(table)
