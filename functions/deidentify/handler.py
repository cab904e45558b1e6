"""SQS batches of S3 ``Object Created`` events -> `Deidentify.object`."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.deid import IdentityVault, Profile, rules
from firstread.deid.inspected import inspected_digests
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.environment import (
    IncomingSettings,
    InstancesSettings,
    LedgerSettings,
    StudiesBucketSettings,
    VaultSettings,
)
from firstread.handling import Event, batch, logger
from firstread.messages import ObjectCreated
from firstread.records import tables
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.vault_store import DynamoVaultStore
from firstread.storage import Bucket
from functions.deidentify.logic import Deidentify


class Settings(IncomingSettings, StudiesBucketSettings, LedgerSettings, InstancesSettings, VaultSettings):
    """The environment of `deidentify`."""


def open_vault(settings: VaultSettings) -> IdentityVault:
    """Open the identity vault that the environment names."""
    if settings.vault == "sqlite":
        key = master_key_from_file(Path(settings.vault_key_file))
        return IdentityVault(SqliteVaultStore(Path(settings.vault_path)), key)
    store = DynamoVaultStore(settings.vault_table)
    return IdentityVault(store, lambda: store.master_key(settings.vault_key_id))


@lru_cache(maxsize=1)
def bootstrap() -> Deidentify:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return Deidentify(
        incoming=Bucket(settings.incoming_bucket),
        studies=Bucket(settings.studies_bucket),
        ledger=LedgerRepository(),
        instances=InstanceRepository(),
        vault=open_vault(settings),
        rules=rules(Profile.LONGITUDINAL.options),
        inspected=inspected_digests(),
    )


def handle_record(record: Event) -> None:
    """De-identify the object of one event."""
    event = ObjectCreated.model_validate_json(record["body"])
    receipt = bootstrap().object(
        key=event.detail.object.key, version_id=event.detail.object.version_id, received_at=event.time
    )
    if receipt is not None:
        logger.info("object settled", extra={"outcome": receipt.outcome.value, "reason": receipt.reason})


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
