"""`firstread model`: which models there are, adding one, switching one off at once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from firstread.local.place import StateDirectory, console
from firstread.operations.place import As, Deployed, Json, opened, prepared, told
from firstread.policy import Role
from firstread.routing import ModelState

if TYPE_CHECKING:
    from firstread.routing import RegisteredModel

app = typer.Typer(
    help="Add models, look at them, switch them on and off. Every change is written down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)

Name = Annotated[str, typer.Argument(help="A model as `list` prints it, name@version; or its name alone.")]


@app.command("list")
def list_command(
    home: StateDirectory = None, deployed: Deployed = False, actor: As = "", as_json: Json = False
) -> None:
    """List the registered models."""
    with told():
        found = opened(home, actor, Role.ADMIN, deployed=deployed).models.all()
    if as_json:
        for model in found:
            typer.echo(json.dumps(model.model_dump(mode="json")))
        return
    table = Table(Column("model", no_wrap=True, overflow="ignore"), "state", "role", "comes from", "title")
    for model in found:
        table.add_row(model.model_id, model.state.value, model.role.value, _origin(model), model.title)
    console.print(table)


@app.command()
def show(
    name: Name, home: StateDirectory = None, deployed: Deployed = False, actor: As = "", as_json: Json = False
) -> None:
    """Show a model: what it is for, what it is routed by, and what operators did to it."""
    with told():
        found = opened(home, actor, Role.ADMIN, deployed=deployed).models.show(name)
    for model, events in found:
        said = model.model_dump(mode="json")
        if as_json:
            typer.echo(json.dumps({**said, "audit": events}))
            continue
        table = Table(show_header=False)
        for key, value in said.items():
            table.add_row(key, value if isinstance(value, str) else json.dumps(value))
        console.print(table)
        for event in events:
            console.print(json.dumps(event), highlight=False, soft_wrap=True)


@app.command()
def on(name: Name, home: StateDirectory = None, deployed: Deployed = False, actor: As = "") -> None:
    """Use a model; any other version of it that was on goes off."""
    _switch(name, ModelState.ON, home, actor, deployed=deployed)


@app.command()
def off(name: Name, home: StateDirectory = None, deployed: Deployed = False, actor: As = "") -> None:
    """Switch a model off at once; by its name alone, all its versions."""
    _switch(name, ModelState.OFF, home, actor, deployed=deployed)


@app.command()
def shadow(name: Name, home: StateDirectory = None, deployed: Deployed = False, actor: As = "") -> None:
    """Let a model run and show its results to nobody."""
    _switch(name, ModelState.SHADOW, home, actor, deployed=deployed)


def _switch(name: str, state: ModelState, home: Path | None, actor: str, *, deployed: bool) -> None:
    with told():
        for model in opened(home, actor, Role.ADMIN, deployed=deployed).models.switch(name, state):
            console.print(f"{model.model_id}: {model.state.value}", highlight=False)


@app.command()
def add(
    source: Annotated[
        str, typer.Argument(help="Folder, zip archive, https:// or s3:// address of a bundle.")
    ],
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="firstread.yaml, in place of that of the bundle.")
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(
            "--sample", help="DICOM file, or folder of one series, for the dry run; default: made up."
        ),
    ] = None,
    in_shadow: Annotated[
        bool, typer.Option("--shadow", help="Let it run beside the others and show its results to nobody.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Validate and run it dry, and register nothing.")
    ] = False,
    home: StateDirectory = None,
    deployed: Deployed = False,
    actor: As = "",
    as_json: Json = False,
) -> None:
    """Add a MONAI bundle: validate it, run it on a sample, register it."""
    values = {"--manifest": manifest, "--sample": sample, "--actor": actor}
    options = [text for option, value in values.items() if value for text in (option, str(value))]
    flags = {"--shadow": in_shadow, "--check": check, "--json": as_json}
    options += [flag for flag, wanted in flags.items() if wanted]
    with told():
        if not check:
            prepared(home, deployed=deployed)
        program("add", *options, "--", source)


@app.command()
def evaluate(
    bundle: Annotated[str, typer.Argument(help="Folder of a bundle, or the name of a shipped one.")],
    data: Annotated[Path, typer.Option(help="Folder of cases: PNG, JPEG, TIFF, NIfTI, DICOM.")],
    report: Annotated[Path, typer.Option(help="Folder to write to; made where it is missing.")],
    labels: Annotated[Path | None, typer.Option(help="CSV of what is known of the cases.")] = None,
    positive: Annotated[
        str, typer.Option(metavar="NAME[,NAME]", help="Labels or class folders that are positive.")
    ] = "",
    save: Annotated[bool, typer.Option("--save", help="Write label maps too.")] = False,
) -> None:
    """Run a bundle on a folder of cases, and report how good it is.

    Needs no running pipeline. The report holds pictures and file names of the cases.
    """
    options = [
        *(["--labels", str(labels)] if labels else []),
        *(["--positive", positive] if positive else []),
    ]
    options += ["--save"] if save else []
    program("evaluate", "--data", str(data), "--report", str(report), *options, "--", bundle)


def program(command: str, *arguments: str) -> None:
    """Run a command of the model service, which is a program beside this library, and end as it ends."""
    # PyTorch warns of machines without a GPU and the like: nothing that the caller could act on.
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "model_service", command, *arguments], env=environment, check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)


def _origin(model: "RegisteredModel") -> str:
    return "the models bucket" if model.bundle_key else "the program"
