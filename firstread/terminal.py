"""Where commands print: as wide as the terminal, and wide enough for whole keys where there is none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_NO_TERMINAL = 200


def console(*, stderr: bool = False) -> Console:
    """Return a console; into a pipe or a file, tables are not folded to the width of a terminal that is not there."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=_NO_TERMINAL)


def complain(text: str) -> None:
    """Say on stderr what is wrong."""
    console(stderr=True).print(f"[red]firstread:[/red] {escape(text)}", highlight=False, soft_wrap=True)


def fail(text: str, code: int = 1) -> NoReturn:
    """Say on stderr what is wrong, and end the command with an exit code."""
    complain(text)
    raise typer.Exit(code)


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], object]]:
    """Show a bar on stderr, where that is a terminal; gives what is told how many are done, and of how many."""
    errors = console(stderr=True)
    if not errors.is_terminal:
        yield lambda _done, _of: None
        return
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
