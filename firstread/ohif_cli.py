"""The command `firstread ohif`."""

from pathlib import Path
from typing import Annotated

import typer

from firstread import terminal
from firstread.local.place import StateDirectory, home_of
from firstread.ohif import PACKAGE, OhifError, fetch

_MEGABYTE = 1_000_000


def ohif(
    to: Annotated[
        Path | None, typer.Option(help="Folder to put it in; default `ohif` in the state directory.")
    ] = None,
    home: StateDirectory = None,
) -> None:
    """Fetch OHIF, a second viewer, for the portal to serve at /ohif/."""
    target = to or home_of(home).ohif
    try:
        size = fetch(target)
    except OhifError as error:
        terminal.fail(str(error))
    console = terminal.console()
    console.print(f"{PACKAGE}: {size / _MEGABYTE:.0f} MB in {target}", highlight=False)
    console.print("The portal serves it at /ohif/ from its next start.", highlight=False)
