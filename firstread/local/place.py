"""What the commands of the local run have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from firstread import terminal
from firstread.errors import FirstReadError
from firstread.local.home import Home

console = terminal.console()
errors = terminal.console(stderr=True)

StateDirectory = Annotated[
    Path | None,
    typer.Option("--home", help="State directory; default $FIRSTREAD_HOME, else .firstread here."),
]


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of ours into one line and exit code 1."""
    # Not above: commands that ask AWS for nothing use this module, too.
    from botocore.exceptions import BotoCoreError, ClientError
    from pynamodb.exceptions import PynamoDBException

    try:
        yield
    except FirstReadError as error:
        terminal.fail(str(error))
    except OSError as error:
        # The state directory or a program in it; its path is the user's own.
        terminal.fail(f"{error.strerror}: {error.filename}")
    except (BotoCoreError, ClientError, PynamoDBException) as error:
        # Their texts name endpoints and tables, which help nobody here.
        name = type(error).__name__
        terminal.fail(
            f"the local AWS engine does not answer as it should; look at `firstread status` ({name})"
        )


def home_of(path: Path | None) -> Home:
    """Return the state directory that is asked for, or the default."""
    return Home(path.resolve()) if path else Home.default()
