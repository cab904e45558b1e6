"""Which pipeline a command of operators is about, and what the commands have in common."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from pynamodb.exceptions import PynamoDBException

from firstread import terminal
from firstread.errors import FirstReadError
from firstread.local.home import activate
from firstread.local.place import home_of
from firstread.policy import Actor, Role

if TYPE_CHECKING:
    from firstread.operations.wiring import Operations

Deployed = Annotated[
    bool,
    typer.Option(
        "--deployed", help="Not the run on this machine: settings and AWS credentials of the environment."
    ),
]
As = Annotated[
    str, typer.Option("--actor", help="Who does it, for the audit trail; default: the user of this machine.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of ours into one line and exit code 1."""
    try:
        yield
    except FirstReadError as error:
        terminal.fail(str(error))
    except ValidationError as error:
        missing = sorted(f"FIRSTREAD_{str(each['loc'][0]).upper()}" for each in error.errors() if each["loc"])
        terminal.fail(f"settings are missing or wrong: {', '.join(missing)}")
    except (BotoCoreError, ClientError, PynamoDBException) as error:
        # Their texts name endpoints, tables and keys, which help nobody here.
        terminal.fail(f"AWS does not answer as it should ({type(error).__name__})")


def opened(home: Path | None, actor: str, role: Role, *, deployed: bool) -> "Operations":
    """Return the operations of the run on this machine, or of the pipeline that the environment names.

    Who has the credentials could do everything without us; the role is what the command is made for.
    """
    from firstread.operations.operator import Operator
    from firstread.operations.wiring import open_operations

    prepared(home, deployed=deployed)
    return open_operations(Operator(Actor(actor or getpass.getuser(), role)))


def prepared(home: Path | None, *, deployed: bool) -> None:
    """Let this process's environment name the pipeline that a command is about."""
    if not deployed:
        activate(home_of(home))
