"""Where commands print: as wide as the terminal, and wide enough for whole keys where there is none."""

from rich.console import Console

_NO_TERMINAL = 200


def console(*, stderr: bool = False) -> Console:
    """Return a console; into a pipe or a file, tables are not folded to the width of a terminal that is not there."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=_NO_TERMINAL)
