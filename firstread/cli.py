"""The `firstread` command: each of its commands is imported when it is asked for, and only then."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from firstread import __version__

_COMMANDS = {
    "up": "firstread.local_cli:up",
    "down": "firstread.local_cli:down",
    "status": "firstread.local_cli:show_status",
    "logs": "firstread.local_cli:logs",
    "demo": "firstread.local_cli:demo",
    "push": "firstread.push_cli:push",
    "gateway": "firstread.gateway_cli:app",
    "ledger": "firstread.operations.commands:ledger",
    "quarantine": "firstread.operations.quarantine_commands:app",
    "dlq": "firstread.operations.dead_letter_commands:app",
    "reconcile": "firstread.operations.commands:reconcile",
    "trace": "firstread.operations.commands:trace",
    "audit": "firstread.operations.audit_commands:app",
    "vault": "firstread.vault_cli:app",
    "restore-drill": "firstread.restore_cli:restore_drill",
    "model": "firstread.model_cli:app",
    "deid": "firstread.deid_cli:deid",
    "index": "firstread.index_cli:index",
    "convert": "firstread.convert_cli:convert",
    "view": "firstread.view_cli:view",
    "ohif": "firstread.ohif_cli:ohif",
    "version": "firstread.cli:version",
}
"""Where each is: a function, or the `typer.Typer` of several."""


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer keeps the type to itself
        """Return all names, in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - typer keeps the types to itself
        """Return a command; None where there is no such name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            group = get_group(found)
            group.name = cmd_name
            return group
        one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        one.command(cmd_name)(found)
        return get_command(one)


app = typer.Typer(
    cls=_Commands,
    help="The first read of every radiology study. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)


@app.callback()
def firstread() -> None:
    """Stand for all commands: without it typer would take the only one it knows."""


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command."""
    app()
