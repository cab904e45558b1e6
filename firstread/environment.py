"""The typed environment of every program: one field per setting, validated at cold start.

Each program declares the settings it needs by combining the small classes here; a program with a missing or
malformed setting fails when it starts, not at its first study. `docs/reference/settings.md` lists all of them.
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from firstread.alerting import AlertingPolicy
from firstread.gathering.completeness import CompletenessPolicy

PREFIX = "FIRSTREAD_"


class Environment(BaseSettings):
    """Base of the environment models: variables with the prefix ``FIRSTREAD_``, read once, frozen."""

    model_config = SettingsConfigDict(defer_build=True, env_prefix=PREFIX, frozen=True, extra="ignore")


def parse_json(value: Any) -> Any:  # noqa: ANN401 - whatever the environment or a test hands over
    """Return what a JSON text says; anything else as it is."""
    return json.loads(value) if isinstance(value, str) else value


class IncomingSettings(Environment):
    """The bucket with identified objects; only `deidentify` and `clean_pixels` may read it."""

    incoming_bucket: str = Field(description="Bucket of objects as they arrived.")


class StudiesBucketSettings(Environment):
    """The bucket of de-identified instances."""

    studies_bucket: str = Field(description="Bucket of de-identified instances.")


class ResultsBucketSettings(Environment):
    """The bucket of overlays and result objects."""

    results_bucket: str = Field(description="Bucket of overlays and result objects.")


class ModelsBucketSettings(Environment):
    """The bucket of bundles that came by `firstread model add`."""

    models_bucket: str = Field(description="Bucket of bundles that do not come with the program.")


class LedgerSettings(Environment):
    """The ledger table."""

    ledger_table: str = Field(description="Table with one row for every object that ever arrived.")


class InstancesSettings(Environment):
    """The instances table."""

    instances_table: str = Field(description="Table of stored and held instances.")


class StudiesSettings(Environment):
    """The studies table."""

    studies_table: str = Field(description="Table of studies and their versions.")


class ResultsSettings(Environment):
    """The results table."""

    results_table: str = Field(description="Table of what each model said about each study version.")


class AlertsSettings(Environment):
    """The alerts table."""

    alerts_table: str = Field(description="Table of alerts and their states.")


class AlertingSettings(Environment):
    """When and whom alerts call."""

    alerting: Annotated[AlertingPolicy, NoDecode, BeforeValidator(parse_json)] = Field(
        description="Whom alerts call and how long they have, by patient class and hours, as JSON."
    )


class NoticesSettings(AlertsSettings, AlertingSettings):
    """What notices of alerts are made of."""

    alert_topic_arn: str = Field(description="Topic that alert notices are published to.")
    portal_url: str = Field(description="Root of the portal that notices link to.")


class EscalationsQueueSettings(Environment):
    """Where looks at alerts are asked for."""

    escalations_queue_url: str = Field(description="Queue of alerts to be looked at.")


class SchedulesSettings(Environment):
    """What EventBridge Scheduler is told of each deadline of an alert."""

    escalation_schedule_group: str = Field(description="Schedule group of the deadlines of alerts.")
    escalation_schedule_role_arn: str = Field(description="Role under which a deadline sends its message.")
    escalations_queue_arn: str = Field(description="Queue that a deadline sends its message to.")
    escalations_dlq_arn: str = Field(description="Where a message goes that could not be sent.")


class OutboxSettings(Environment):
    """The outbox table."""

    outbox_table: str = Field(description="Table of messages written in the transaction they follow from.")


class ModelsSettings(Environment):
    """The models table."""

    models_table: str = Field(description="Table of registered models and their routing rules.")


class ReviewsSettings(Environment):
    """The reviews table."""

    reviews_table: str = Field(description="Table of reviews, drafts and feedback labels.")


class SessionsSettings(Environment):
    """The sessions table."""

    sessions_table: str = Field(description="Table of readers who are signed in.")


class TeachingSettings(Environment):
    """The teaching table."""

    teaching_table: str = Field(description="Table of teaching cases and attempts.")


class AuditSettings(Environment):
    """The audit table."""

    audit_table: str = Field(description="Append-only table of who did what.")


class AuditBucketSettings(Environment):
    """The bucket of the audit trail's daily exports."""

    audit_bucket: str = Field(description="Bucket of the audit trail's daily exports, under an object lock.")


class VaultSettings(Environment):
    """Where the identity vault is."""

    vault: Literal["dynamodb", "sqlite"] = Field(description="Which store holds the identity vault.")
    vault_table: str = Field("", description="Vault table, where the store is `dynamodb`.")
    vault_key_id: str = Field("", description="KMS key that wraps the vault's master key (`dynamodb`).")
    vault_path: str = Field("", description="SQLite file, where the store is `sqlite`.")
    vault_key_file: str = Field("", description="Key file of 32 random bytes (`sqlite`).")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"dynamodb": ("vault_table", "vault_key_id"), "sqlite": ("vault_path", "vault_key_file")}
        missing = [name for name in needed[self.vault] if not getattr(self, name)]
        if missing:
            raise ValueError(f"the vault in {self.vault} needs {' and '.join(missing)}")
        return self


class ReferenceSettings(Environment):
    """The key of references to original identifiers."""

    reference_key_id: str = Field("", description="KMS key (HMAC_256) that references are made under.")
    reference_key_file: str = Field("", description="Key file of 32 random bytes in its place, locally.")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if bool(self.reference_key_id) == bool(self.reference_key_file):
            raise ValueError("references need reference_key_id or reference_key_file, and not both")
        return self


class SourcesSettings(Environment):
    """Who may send."""

    sources: str = Field("", repr=False, description="The configured sources, as JSON.")
    sources_file: str = Field("", description="File with that JSON in its place, locally.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.sources) == bool(self.sources_file):
            raise ValueError("sources come from sources or sources_file, and not from both")
        return self


class IngestClientSettings(Environment):
    """Where a sender sends to."""

    ingest_url: str = Field("", description="Root of the ingest service.")
    ingest_token_file: str = Field("", description="File with the bearer token of the source.")


class BatchesSettings(Environment):
    """The batches table."""

    batches_table: str = Field(description="Table of what doors said of the batches of a study.")


class OrdersSettings(Environment):
    """The orders table."""

    orders_table: str = Field(description="Table of what the hospital's feeds said of orders.")


class FeedSettings(Environment):
    """How messages of the hospital's feeds are applied."""

    quiet_timer_queue_url: str = Field(description="Queue of studies to be looked at again.")
    feed_issuers: Annotated[dict[str, str], NoDecode, BeforeValidator(parse_json)] = Field(
        {},
        description='Assigning authority -> Issuer of Patient ID (0010,0021), as JSON; "*" is every other one.',
    )


class HintsQueueSettings(Environment):
    """Where doors say that a batch has ended."""

    hints_queue_url: str = Field(description="Queue of ended batches.")


class IngestQueuesSettings(Environment):
    """Where events of arrived objects wait, for whoever has to send one again."""

    ingest_urgent_queue_url: str = Field(description="Queue of objects in the urgent lane.")
    ingest_queue_url: str = Field(description="Queue of objects in the routine lane.")
    ingest_bulk_queue_url: str = Field(description="Queue of objects in the bulk lane.")
    feeds_queue_url: str = Field(description="Queue of messages of the hospital's feeds.")


class AnalyzeQueuesSettings(Environment):
    """The queues of the model service."""

    analyze_urgent_queue_url: str = Field(description="Queue of urgent analyses, polled first.")
    analyze_queue_url: str = Field(description="Queue of routine analyses.")


class DescribeSeriesQueueSettings(Environment):
    """Where the metadata of series is asked for."""

    describe_series_queue_url: str = Field(description="Queue of study versions to be described.")


class InferenceSettings(Environment):
    """How the model service computes; each has a default that fits most machines."""

    inference_engine: Literal["auto", "onnxruntime", "openvino", "torch-cpu", "torch-cuda"] = Field(
        "auto", description="Engine; auto measures which is fastest."
    )
    inference_precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="Precision; auto takes bf16 where the device has it and it is faster."
    )
    inference_threads: int = Field(
        0, ge=0, description="Threads of a CPU engine; 0 is the share of this process."
    )
    inference_compile: bool = Field(False, description="Whether torch compiles networks.")
    engine_cache_dir: str = Field("", description="Folder that remembers which engine was fastest.")


class QuietTimerSettings(Environment):
    """Where looks at studies that wait are asked for."""

    quiet_timer_queue_url: str = Field(description="Queue of delayed quiet-time checks.")


class EventBusSettings(Environment):
    """FirstRead's own events."""

    event_bus: str = Field(description="Name of the bus for FirstRead's own events.")


class CleanPixelsQueueSettings(Environment):
    """Where objects go whose pixels must be looked at."""

    clean_pixels_queue_url: str = Field(description="Queue of objects that may carry burned-in text.")


class CompletenessSettings(Environment):
    """When a study counts as complete."""

    quiet_timer_queue_url: str = Field(description="Queue of delayed looks at studies that wait.")
    completeness: Annotated[CompletenessPolicy, NoDecode, BeforeValidator(parse_json)] = Field(
        description="Quiet times per modality and source, and their bounds, as JSON."
    )
