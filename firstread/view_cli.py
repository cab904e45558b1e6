"""`firstread view`: a folder of DICOM files and volumes in the portal's viewer."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def view(
    path: Annotated[
        Path, typer.Argument(help="Folder of DICOM files and volumes, or one; nothing in it is changed.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Loopback port; 0 for any that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Look at a folder: its series, their geometry, masks and planes, in the browser of this machine.

    Needs no running pipeline. Nothing is written, and nothing leaves this machine. Ctrl-C ends it.
    """
    options = ["--port", str(port), *([] if browser else ["--no-browser"])]
    # The portal is a program beside this library.
    command = [sys.executable, "-m", "portal.folder", *options, "--", str(path)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as on Ctrl-C
    with subprocess.Popen(command) as program:  # noqa: S603 - our own program, no shell
        try:
            code = program.wait()
        except KeyboardInterrupt:
            program.terminate()  # where the terminal has not told it already
            code = program.wait()
            code = 0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else code
    if code:
        raise typer.Exit(code)
