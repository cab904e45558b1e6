"""The command `firstread ohif`."""

from pathlib import Path
from typing import Annotated

import typer

from firstread import terminal
from firstread.local.home import Home
from firstread.ohif import PACKAGE, OhifError, fetch

_MEGABYTE = 1_000_000


def ohif(
    to: Annotated[
        Path | None, typer.Option(help="Folder to put it in; default `ohif` in the state directory.")
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="State directory; default $FIRSTREAD_HOME, else .firstread here."),
    ] = None,
) -> None:
    """Fetch OHIF, a second viewer, for the portal to serve at /ohif/."""
    target = to or (Home(home.resolve()) if home else Home.default()).ohif
    try:
        size = fetch(target)
    except OhifError as error:
        terminal.console(stderr=True).print(f"[red]firstread:[/red] {error}", highlight=False)
        raise typer.Exit(1) from None
    console = terminal.console()
    console.print(f"{PACKAGE}: {size / _MEGABYTE:.0f} MB in {target}", highlight=False)
    console.print("The portal serves it at /ohif/ from its next start.", highlight=False)
