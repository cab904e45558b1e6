"""Backups of the records, under a key of their own, that nobody can delete before their time."""

from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.capabilities.tables import Tables
from infra.guard import acknowledge

_DAILY_KEPT: Final = Duration.days(35)
_MONTHLY_KEPT: Final = Duration.days(365)


class Backups(Construct):
    """A locked vault and a plan over every table.

    Point-in-time recovery (35 days) answers most mistakes, but goes with its table and with this account's
    administrators; these copies do neither.

    Attributes
    ----------
    vault
        Keeps each copy for 35 days at least.
    """

    def __init__(self, scope: Construct, construct_id: str, *, tables: Tables) -> None:
        super().__init__(scope, construct_id)
        key = kms.Key(
            self,
            "Key",
            description="FirstRead: backups of the records",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.vault = backup.BackupVault(
            self,
            "Vault",
            encryption_key=key,
            block_recovery_point_deletion=True,
            # Without a grace time the lock can still be taken off by an administrator ("governance"). Making it
            # final is a decision of the hospital, and no template can take it back.
            lock_configuration=backup.LockConfiguration(
                min_retention=_DAILY_KEPT, max_retention=_MONTHLY_KEPT
            ),
            removal_policy=RemovalPolicy.RETAIN,
        )
        plan = backup.BackupPlan(
            self,
            "Plan",
            backup_vault=self.vault,
            backup_plan_rules=[
                backup.BackupPlanRule(
                    rule_name="daily",
                    schedule_expression=events.Schedule.cron(hour="2", minute="0"),
                    delete_after=_DAILY_KEPT,
                ),
                backup.BackupPlanRule(
                    rule_name="monthly",
                    schedule_expression=events.Schedule.cron(day="1", hour="4", minute="0"),
                    delete_after=_MONTHLY_KEPT,
                ),
            ],
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("backup.amazonaws.com"))
        plan.add_selection(
            "Records",
            resources=[backup.BackupResource.from_dynamo_db_table(table) for table in tables.all.values()],
            role=role,
        )
        acknowledge(
            role,
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup]",
            reason="AWS documents this policy for the service's own role; it moves with the service.",
        )
