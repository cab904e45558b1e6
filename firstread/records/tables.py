"""The DynamoDB tables as pynamodb models: keys, indexes and the attributes that conditions use.

Everything that no key, index or condition needs travels in one JSON attribute, so that a new fact needs no
migration. `docs/explanation/data-model.md` names the access pattern behind every key and index.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from firstread.region import region

_POOL = 50
"""Open connections that are kept: the portal asks from forty threads at once, and pynamodb keeps ten."""


class _ByAttention(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_attention"
        projection = AllProjection()

    attention = UnicodeAttribute(hash_key=True)
    received_at = UnicodeAttribute(range_key=True)


class _ByStudy(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_study"
        projection = AllProjection()

    study_ref = UnicodeAttribute(hash_key=True)
    batch_object = UnicodeAttribute(range_key=True)


class LedgerRow(Model):
    """One row per object that ever arrived."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    by_attention = _ByAttention()
    by_study = _ByStudy()
    object_key = UnicodeAttribute(hash_key=True)
    version_id = UnicodeAttribute(range_key=True)
    received_at = UnicodeAttribute()
    outcome = UnicodeAttribute()
    attention = UnicodeAttribute(null=True)
    study_ref = UnicodeAttribute(null=True)
    batch_object = UnicodeAttribute(null=True)
    door = JSONAttribute()
    settlement = JSONAttribute(null=True)


class InstanceRow(Model):
    """One row per SOP instance of a study."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    study_uid = UnicodeAttribute(hash_key=True)
    sop_uid = UnicodeAttribute(range_key=True)
    digest = UnicodeAttribute()
    object_key = UnicodeAttribute()
    state = UnicodeAttribute()
    instance = JSONAttribute()


class _Worklist(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "worklist"
        projection = AllProjection()

    worklist = UnicodeAttribute(hash_key=True)
    rank = UnicodeAttribute(range_key=True)


class _Due(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class _ByPatient(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_patient"
        projection = AllProjection()

    patient = UnicodeAttribute(hash_key=True)
    studied_on = UnicodeAttribute(range_key=True)


class _ByDate(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_date"
        projection = AllProjection()

    listed = UnicodeAttribute(hash_key=True)
    studied_on = UnicodeAttribute(range_key=True)


class StudyRow(Model):
    """The head of a study (item ``head``) and its versions (items ``version#000001``...)."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    by_worklist = _Worklist()
    by_due = _Due()
    by_patient = _ByPatient()
    by_date = _ByDate()
    study_uid = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    worklist = UnicodeAttribute(null=True)
    rank = UnicodeAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    patient = UnicodeAttribute(null=True)
    listed = UnicodeAttribute(null=True)
    studied_on = UnicodeAttribute(null=True)
    revision = NumberAttribute(default=0)
    body = JSONAttribute()


class ResultRow(Model):
    """What one model said about one study version."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    study_uid = UnicodeAttribute(hash_key=True)
    result_id = UnicodeAttribute(range_key=True)
    body = JSONAttribute()


class _AlertsByStudy(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_study"
        projection = AllProjection()

    study_uid = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)


class _OpenAlerts(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "open"
        projection = AllProjection()

    open = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)


class _AlertsByDay(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_day"
        projection = AllProjection()

    created_day = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)


class AlertRow(Model):
    """One alert."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    by_study = _AlertsByStudy()
    by_open = _OpenAlerts()
    by_day = _AlertsByDay()
    alert_id = UnicodeAttribute(hash_key=True)
    study_uid = UnicodeAttribute()
    created_at = UnicodeAttribute()
    created_day = UnicodeAttribute(null=True)
    open = UnicodeAttribute(null=True)
    state = UnicodeAttribute()
    revision = NumberAttribute(default=0)
    body = JSONAttribute()


class _Undelivered(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "undelivered"
        projection = AllProjection()

    undelivered = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)


class OutboxRow(Model):
    """A message that leaves because of the transaction it was written in."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    by_undelivered = _Undelivered()
    message_id = UnicodeAttribute(hash_key=True)
    undelivered = UnicodeAttribute(null=True)
    kind = UnicodeAttribute()
    body = UnicodeAttribute()
    created_at = UnicodeAttribute()
    delivered_at = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)


class ModelRow(Model):
    """A registered model."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    kind = UnicodeAttribute(hash_key=True)
    model_id = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute(null=True)
    body = JSONAttribute()


class BatchRow(Model):
    """What doors said of a study before anybody knew its pseudonym: ended batches, and the study itself once known."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    study_ref = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    body = JSONAttribute()
    expires_at = NumberAttribute(null=True)


class OrderRow(Model):
    """What the hospital's feeds said of an order (item ``order``), and its studies (items ``study#<uid>``).

    Rows whose key begins with ``message#`` are of feed messages that have come before.
    """

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    order_ref = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    revision = NumberAttribute(default=0)
    body = JSONAttribute()


class ReviewRow(Model):
    """The reviews of a study (items ``review#000001``...) and what belongs to them, such as feedback labels."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    study_uid = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    revision = NumberAttribute(default=0)
    body = JSONAttribute()


class SessionRow(Model):
    """A reader who signed in, by digest of the id in the cookie."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    session_key = UnicodeAttribute(hash_key=True)
    body = JSONAttribute()
    expires_at = NumberAttribute(null=True)


class TeachingRow(Model):
    """Teaching cases by collection, which studies are cases, and the attempts of each learner."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    owner = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute(range_key=True)
    revision = NumberAttribute(default=0)
    body = JSONAttribute()


class _AuditByDay(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_day"
        projection = AllProjection()

    day = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)


class _AuditByActor(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_actor"
        projection = AllProjection()

    actor = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)


class AuditRow(Model):
    """Who did what to which subject; written once, in the transaction of the change, and chained by its digest."""

    class Meta:
        table_name = "unbound"
        region = "us-east-1"

    subject = UnicodeAttribute(hash_key=True)
    event_id = UnicodeAttribute(range_key=True)
    by_day = _AuditByDay()
    by_actor = _AuditByActor()
    day = UnicodeAttribute(null=True)
    actor = UnicodeAttribute(null=True)
    at = UnicodeAttribute(null=True)
    digest = UnicodeAttribute(null=True)
    body = JSONAttribute()


TABLES: Mapping[str, type[Model]] = {
    "ledger_table": LedgerRow,
    "instances_table": InstanceRow,
    "studies_table": StudyRow,
    "results_table": ResultRow,
    "alerts_table": AlertRow,
    "outbox_table": OutboxRow,
    "models_table": ModelRow,
    "batches_table": BatchRow,
    "orders_table": OrderRow,
    "audit_table": AuditRow,
    "reviews_table": ReviewRow,
    "sessions_table": SessionRow,
    "teaching_table": TeachingRow,
}
"""Setting name -> table model. The vault's table belongs to `firstread.deid.vault`."""


def bind(settings: object) -> None:
    """Give the table models the names and region of this process.

    Parameters
    ----------
    settings
        An environment model; each of its ``*_table`` fields binds one table. Tables it does not name stay
        unbound, so that a program cannot use a table it did not declare.
    """
    connection.cache_clear()
    for name, table in TABLES.items():
        table_name = getattr(settings, name, None)
        if table_name is None:
            continue
        meta: Any = table.Meta
        meta.table_name = table_name
        meta.region = region()
        table._connection = None
        # Of its own accord pynamodb makes a session and a client for each table: most of a cold start.
        table._get_connection().connection._client = connection().client


@lru_cache(maxsize=1)
def connection() -> Connection:
    """Return the process's DynamoDB connection, whose client all tables share; making one costs a fifth of a second."""
    return Connection(region=region(), max_pool_connections=_POOL)
