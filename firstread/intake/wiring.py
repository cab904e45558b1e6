"""Wire an `Intake` to its environment."""

from pathlib import Path

from firstread.deid import IdentityVault, Profile, rules
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.environment import (
    IncomingSettings,
    InstancesSettings,
    LedgerSettings,
    ReferenceSettings,
    StudiesBucketSettings,
    VaultSettings,
)
from firstread.intake.arrived import SamePixels
from firstread.intake.step import Intake
from firstread.records import tables
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.vault_store import DynamoVaultStore
from firstread.refs import open_references
from firstread.storage import Bucket


class IntakeSettings(
    IncomingSettings,
    StudiesBucketSettings,
    LedgerSettings,
    InstancesSettings,
    VaultSettings,
    ReferenceSettings,
):
    """What an `Intake` is made of."""


def open_intake(settings: IntakeSettings, same_pixels: SamePixels | None = None) -> Intake:
    """Wire an `Intake` to its environment; `same_pixels` where there are codecs."""
    tables.bind(settings)
    return Intake(
        incoming=Bucket(settings.incoming_bucket),
        studies=Bucket(settings.studies_bucket),
        ledger=LedgerRepository(),
        instances=InstanceRepository(),
        vault=_open_vault(settings),
        rules=rules(Profile.LONGITUDINAL.options),
        references=open_references(settings),
        same_pixels=same_pixels,
    )


def _open_vault(settings: VaultSettings) -> IdentityVault:
    if settings.vault == "sqlite":
        key = master_key_from_file(Path(settings.vault_key_file))
        return IdentityVault(SqliteVaultStore(Path(settings.vault_path)), key)
    store = DynamoVaultStore(settings.vault_table)
    return IdentityVault(store, lambda: store.master_key(settings.vault_key_id))
