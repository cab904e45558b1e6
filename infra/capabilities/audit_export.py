"""Once a day, the audit trail goes to where nobody can change it."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.capabilities.access import READ, read_objects, use_table, write_objects
from infra.capabilities.function import Function, Size
from infra.capabilities.store import Store

_PREFIX: Final = "audit/"
_SIZE: Final = Size(memory=1024, seconds=900, disk=1024)


class AuditExport(Construct):
    """`export_audit` reads events and writes files; it can neither add an event nor take a file back."""

    def __init__(self, scope: Construct, construct_id: str, *, store: Store, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        bucket, table = store.buckets.audit, store.tables.audit
        export = Function(
            self,
            "ExportAudit",
            name="export_audit",
            code=code,
            key=store.keys.data,
            size=_SIZE,
            at_once=1,
            environment={"AUDIT_TABLE": table.table_name, "AUDIT_BUCKET": bucket.bucket_name},
        )
        events.Rule(
            self,
            "EveryNight",
            description="Export the audit trail of the day before",
            schedule=events.Schedule.cron(hour="3", minute="10"),
            # A night that is missed altogether is caught up by the next: it looks seven days back.
            targets=[
                targets.LambdaFunction(export.function, retry_attempts=2, max_event_age=Duration.hours(6))
            ],
        )
        use_table(export.role, table, *READ, indexes=("by_day",))
        read_objects(export.role, bucket, below=_PREFIX)
        write_objects(export.role, bucket, below=_PREFIX)
