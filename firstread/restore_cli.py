"""`firstread restore-drill`: prove that the identity vault could be restored."""

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from firstread import terminal
from firstread.errors import FirstReadError

console = terminal.console()

_LOCAL = (
    "name the table of the account (output VaultTable of FirstRead-Data). On a laptop the vault is a file: "
    "its backup is `firstread vault export`, and its restore `firstread vault import`"
)


def restore_drill(
    table: Annotated[
        str,
        typer.Option("--table", envvar="FIRSTREAD_VAULT_TABLE", help="Table in the account; the vault's."),
    ] = "",
    sample: Annotated[
        int, typer.Option("--sample", min=1, max=1000, help="How many items to compare.")
    ] = 100,
) -> None:
    """Restore a table under another name, compare the two, delete the copy. Needs an administrator's credentials."""
    try:
        passed = _drill(table, sample)
    except FirstReadError as error:
        terminal.fail(str(error))
    except (BotoCoreError, ClientError) as error:
        # Their texts may quote keys of items.
        terminal.fail(f"the account refuses or does not answer ({type(error).__name__})")
    if not passed:
        raise typer.Exit(1)


def _drill(table: str, sample: int) -> bool:
    import boto3

    from firstread.records.restore import RestoreError, drill
    from firstread.region import region

    if not table:
        raise RestoreError(_LOCAL)
    console.print("restoring; minutes for a small table, hours for a large one", highlight=False)
    done = drill(boto3.client("dynamodb", region_name=region()), table, sample=sample)
    console.print(
        f"{done.restored} items restored in {done.seconds:.0f} s; the table has {done.items}\n"
        f"{done.sampled} compared: {done.changed} changed since, {done.gone} not in the table\n"
        f"the copy is deleted; the drill {'passed' if done.passed else 'FAILED'}",
        highlight=False,
    )
    return done.passed
