"""`firstread vault`: the identity vault's way back, merges, new keys, and moving to another vault."""

import getpass
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from firstread import terminal
from firstread.errors import FirstReadError
from firstread.policy import Action, Actor, Purpose, Role

if TYPE_CHECKING:
    from firstread.deid.vault.audit import AuditSink, Guard
    from firstread.deid.vault.rows import Rows
    from firstread.deid.vault.sqlite import SqliteVaultStore
    from firstread.records.vault_store import DynamoVaultStore

# What reads DICOM or talks to AWS is imported where it is used: every `firstread` command loads this module.
app = typer.Typer(
    help="Look into the identity vault, merge patients, change its key, move it. Every use is written down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with values could show patient data
)

Link = Annotated[Path | None, typer.Option("--link", help="Link file: the vault as an SQLite file.")]
Key = Annotated[Path | None, typer.Option("--key", help="Key file of the link file.")]
Table = Annotated[str, typer.Option("--table", help="Vault table in DynamoDB, in place of a link file.")]
KmsKey = Annotated[str, typer.Option("--kms-key", help="KMS key that wraps the table's master key.")]
AuditTable = Annotated[str, typer.Option("--audit-table", help="Audit table, for a vault in DynamoDB.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Whose world.")]
As = Annotated[
    str, typer.Option("--actor", help="Who asks, for the audit trail; default: the user of this machine.")
]
Why = Annotated[Purpose, typer.Option("--purpose", help="Why, for the audit trail.")]
TransferKey = Annotated[
    Path, typer.Option("--transfer-key", help="Key file of the export; made where missing.")
]


@dataclass(frozen=True)
class _Vault:
    store: "SqliteVaultStore | DynamoVaultStore"
    rows: "Rows"
    guard: "Guard"


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error of ours into one line and exit code 1."""
    try:
        yield
    except FirstReadError as error:
        terminal.fail(str(error))
    except OSError as error:
        terminal.fail(f"{error.strerror}: {error.filename}")
    except sqlite3.Error as error:
        terminal.fail(f"the link file cannot be used now ({type(error).__name__})")
    except (BotoCoreError, ClientError) as error:
        terminal.fail(f"the vault's table or key does not answer as it should ({type(error).__name__})")


def _guard(actor: str, audit: "AuditSink") -> "Guard":
    from firstread.deid.vault.audit import Guard

    # Who holds the key could read the file without us; the role is what the commands are made for.
    return Guard(Actor(actor or getpass.getuser(), Role.DATA_STEWARD), audit)


def _existing(path: Path | None, option: str) -> Path:
    if path is None:
        raise typer.BadParameter(
            f"say which vault: --link and --key, or --table, --kms-key and --audit-table ({option})"
        )
    if not path.is_file():
        # Without this, a mistyped name would make a new, empty vault or a new key.
        raise typer.BadParameter(f"there is no such file: {option}")
    return path


@contextmanager
def _file(link: Path | None, actor: str) -> "Iterator[tuple[SqliteVaultStore, Guard]]":
    from firstread.deid.vault.audit import AuditFile
    from firstread.deid.vault.sqlite import SqliteVaultStore

    path = _existing(link, "--link")
    with SqliteVaultStore(path) as store:
        yield store, _guard(actor, AuditFile(path.with_name(f"{path.name}.audit.jsonl")))


def _remote(table: str, kms_key: str, audit_table: str, actor: str) -> "tuple[DynamoVaultStore, Guard]":
    if not (kms_key and audit_table):
        raise typer.BadParameter("a vault in DynamoDB needs --table, --kms-key and --audit-table")
    from firstread.environment import AuditSettings
    from firstread.records import tables
    from firstread.records.audit import VaultAudit
    from firstread.records.vault_store import DynamoVaultStore

    tables.bind(AuditSettings(audit_table=audit_table))
    return DynamoVaultStore(table), _guard(actor, VaultAudit())


@contextmanager
def _opened(
    link: Path | None, key: Path | None, table: str, kms_key: str, audit_table: str, tenant: str, actor: str
) -> Iterator[_Vault]:
    from firstread.deid.vault.keys import master_key_from_file
    from firstread.deid.vault.rows import Rows

    if table:
        remote, guard = _remote(table, kms_key, audit_table, actor)
        yield _Vault(remote, Rows(remote, lambda: remote.master_key(kms_key), tenant), guard)
        return
    with _file(link, actor) as (store, guard):
        rows = Rows(store, master_key_from_file(_existing(key, "--key")), tenant)
        yield _Vault(store, rows, guard)


@app.command()
def show(
    link: Link = None,
    key: Key = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    tenant: Tenant = "default",
    actor: As = "",
    purpose: Why = Purpose.OPERATIONS,
) -> None:
    """Print every surrogate with its original, one JSON object per line. This is patient data."""
    from firstread.deid.vault.reader import VaultReader

    with _told(), _opened(link, key, table, kms_key, audit_table, tenant, actor) as vault:
        for original in VaultReader(vault.rows, vault.guard).originals(vault.store, purpose):
            typer.echo(json.dumps(original.as_dict()))


@app.command()
def lookup(
    surrogate: Annotated[str, typer.Argument(help="A patient's pseudonym or a new UID.")],
    link: Link = None,
    key: Key = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    tenant: Tenant = "default",
    actor: As = "",
    purpose: Why = Purpose.OPERATIONS,
    modules: Annotated[
        bool, typer.Option("--modules", help="Also print the patient or study module, every version.")
    ] = False,
) -> None:
    """Print what one surrogate stands for, as JSON. This is patient data."""
    from firstread.deid.vault.reader import VaultReader

    with _told(), _opened(link, key, table, kms_key, audit_table, tenant, actor) as vault:
        reader = VaultReader(vault.rows, vault.guard)
        found = reader.identify(surrogate, purpose).as_dict()
        if modules:
            versions = reader.modules(surrogate, purpose)
            found["modules"] = [{"at": version.at, "module": version.module} for version in versions]
        typer.echo(json.dumps(found))


@app.command()
def merge(
    patient: Annotated[str, typer.Argument(help="Pseudonym of the patient who was merged.")],
    into: Annotated[str, typer.Argument(help="Pseudonym of the patient who stays.")],
    link: Link = None,
    key: Key = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    tenant: Tenant = "default",
    actor: As = "",
) -> None:
    """Let new studies of a patient go under another patient's pseudonym; nothing given out changes."""
    from firstread.deid.vault.steward import VaultSteward

    with _told(), _opened(link, key, table, kms_key, audit_table, tenant, actor) as vault:
        steward = VaultSteward(vault.rows, vault.guard)
        steward.merge(steward.patient(patient), steward.patient(into))


@app.command()
def unmerge(
    patient: Annotated[str, typer.Argument(help="Pseudonym of the patient who was merged.")],
    link: Link = None,
    key: Key = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    tenant: Tenant = "default",
    actor: As = "",
) -> None:
    """Take a merge back: new studies of the patient go under their own pseudonym again."""
    from firstread.deid.vault.steward import VaultSteward

    with _told(), _opened(link, key, table, kms_key, audit_table, tenant, actor) as vault:
        steward = VaultSteward(vault.rows, vault.guard)
        steward.unmerge(steward.patient(patient))


@app.command()
def rotate(
    link: Link = None,
    key: Key = None,
    new_key: Annotated[
        Path | None, typer.Option("--new-key", help="New key file; made where missing.")
    ] = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    actor: As = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Add no new key; go on with rows that are under older ones.")
    ] = False,
) -> None:
    """Put the vault under a new key; every surrogate stays as it is.

    A link file is rewritten in one step. A table gets a new key generation, and its rows are sealed anew while
    the pipeline runs.
    """
    with _told():
        if table:
            count = _rotate_table(table, kms_key, audit_table, actor, resume=resume)
        else:
            count = _rotate_file(link, key, new_key, actor)
    typer.echo(f"{count} rows were put under the new key")


def _rotate_file(link: Path | None, key: Path | None, new_key: Path | None, actor: str) -> int:
    from firstread.deid.vault.keys import master_key_from_file
    from firstread.deid.vault.rotation import rotate_file

    with _file(link, actor) as (store, guard):
        old = master_key_from_file(_existing(key, "--key"))
        if new_key is None:
            raise typer.BadParameter("say where the new key is, or shall be: --new-key")
        guard.allow(Action.IDENTITY_MANAGE, "rotate", "", Purpose.OPERATIONS)
        return rotate_file(store, old, master_key_from_file(new_key))


def _rotate_table(table: str, kms_key: str, audit_table: str, actor: str, *, resume: bool) -> int:
    from firstread.deid.vault.rotation import reseal
    from firstread.deid.vault.rows import Rows

    store, guard = _remote(table, kms_key, audit_table, actor)
    guard.allow(Action.IDENTITY_MANAGE, "rotate", "", Purpose.OPERATIONS)
    if not resume:
        store.add_generation(kms_key)
    return reseal(Rows(store, store.master_key(kms_key)), store)


@app.command("export")
def export_command(
    target: Annotated[Path, typer.Argument(help="New file.")],
    transfer_key: TransferKey,
    link: Link = None,
    key: Key = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    actor: As = "",
) -> None:
    """Write the whole vault, all tenants, to a file that only its key opens."""
    from firstread.deid.vault.keys import master_key_from_file
    from firstread.deid.vault.transfer import export_rows

    with _told(), _opened(link, key, table, kms_key, audit_table, "default", actor) as vault:
        vault.guard.allow(Action.IDENTITY_MANAGE, "export", "", Purpose.OPERATIONS)
        count = export_rows(vault.rows, vault.store, target, master_key_from_file(transfer_key))
    typer.echo(f"{count} rows written")


@app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(help="What `firstread vault export` wrote.")],
    transfer_key: TransferKey,
    link: Link = None,
    key: Key = None,
    table: Table = "",
    kms_key: KmsKey = "",
    audit_table: AuditTable = "",
    actor: As = "",
) -> None:
    """Add an export to a vault; what is there stays. Exit code 1 if something there is different."""
    from firstread.deid.vault.keys import master_key_from_file
    from firstread.deid.vault.sqlite import SqliteVaultStore
    from firstread.deid.vault.transfer import import_rows

    with _told():
        _existing(source, "SOURCE")
        transfer = master_key_from_file(_existing(transfer_key, "--transfer-key"))
        if link and key and not link.exists():
            # An export may become a new link file; its key is made with it.
            SqliteVaultStore(link).close()
            master_key_from_file(key)
        with _opened(link, key, table, kms_key, audit_table, "default", actor) as vault:
            vault.guard.allow(Action.IDENTITY_MANAGE, "import", "", Purpose.OPERATIONS)
            told = import_rows(vault.rows, source, transfer)
    typer.echo(json.dumps({"added": told.added, "present": told.present, "conflicting": told.conflicting}))
    if told.conflicting:
        raise typer.Exit(1)
