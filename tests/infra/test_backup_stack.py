"""Backups of the records."""

from tests.infra.account import Account


def test_every_table_is_in_the_plan(account: Account) -> None:
    (selection,) = account.properties("AWS::Backup::BackupSelection").values()
    chosen = {account.text(arn) for arn in selection["BackupSelection"]["Resources"]}
    assert {name.rpartition("/")[2] for name in chosen} == set(account.properties("AWS::DynamoDB::Table"))


def test_copies_are_kept_under_a_key_of_their_own_and_cannot_be_deleted_early(account: Account) -> None:
    (vault,) = account.properties("AWS::Backup::BackupVault").values()
    assert account.text(vault["EncryptionKeyArn"]).startswith("BackupsKey")
    assert (
        vault["LockConfiguration"]["MinRetentionDays"],
        vault["LockConfiguration"]["MaxRetentionDays"],
    ) == (
        35,
        365,
    )
    (statement,) = vault["AccessPolicy"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert "backup:DeleteRecoveryPoint" in statement["Action"]


def test_the_plan_keeps_to_the_lock(account: Account) -> None:
    (plan,) = account.properties("AWS::Backup::BackupPlan").values()
    kept = {
        rule["RuleName"]: rule["Lifecycle"]["DeleteAfterDays"]
        for rule in plan["BackupPlan"]["BackupPlanRule"]
    }
    assert kept == {"daily": 35, "monthly": 365}


def test_vault_and_stack_stay(account: Account) -> None:
    ((_, vault),) = account.resources("AWS::Backup::BackupVault")
    assert vault["DeletionPolicy"] == "Retain"
