"""`docs/reference/account.md` says what each program may do, and the synthesised policies say the same."""

import re

import pytest

from infra.config import REPOSITORY
from tests.infra.account import Account
from tests.unit.docs import pages

PAGE = REPOSITORY / "docs" / "reference" / "account.md"
PROGRAMS = {
    "deidentify": "ArrivalsDeidentifyRole",
    "clean_pixels": "ArrivalsCleanPixelsRole",
    "apply_feed": "FeedsApplyFeedRole",
    "gather": "GatheringGatherRole",
    "complete_study": "GatheringCompleteStudyRole",
    "end_batch": "GatheringEndBatchRole",
    "describe_series": "DescriptionDescribeSeriesRole",
    "deliver": "DeliveryDeliverRole",
    "alert": "AlertingAlertRole",
    "escalate": "AlertingEscalateRole",
    "sweep": "UpkeepSweepRole",
    "export_audit": "AuditExportExportAuditRole",
    "model worker": "WorkerTaskTaskRole",
    "portal": "PortalWebTaskTaskRole",
    "ingest service": "IngestWebTaskTaskRole",
}
READS = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
# What the event source of a function needs is its wiring, not what the program does.
_HASH = re.compile(r"[0-9A-F]{8}$")


def _names(account: Account, role: str, actions: set[str], kind: str) -> set[str]:
    found = {r.partition("/")[0] for a, r in account.allowed(role) if a in actions and r.startswith(kind)}
    return {_HASH.sub("", name).removeprefix(kind) for name in found}


def _objects(account: Account, role: str) -> set[str]:
    said = set()
    for action, resource in account.allowed(role):
        verb = {"s3:GetObject": "read", "s3:PutObject": "write"}.get(action)
        if verb and resource.startswith("Buckets"):
            bucket, _, below = resource.partition("/")
            place = below.removesuffix("*")
            said.add(
                f"{verb} {_HASH.sub('', bucket).removeprefix('Buckets')}" + (f" {place}" if place else "")
            )
    return said


def may(account: Account, role: str) -> list[set[str]]:
    """What stands in the cells of a role's row: objects, tables read, tables written, queues, keys."""
    return [
        _objects(account, role),
        _names(account, role, READS, "Tables"),
        _names(account, role, WRITES, "Tables"),
        {
            _HASH.sub("", r).removesuffix("Queue")
            for a, r in account.allowed(role)
            if a == "sqs:SendMessage" and "DeadLetters" not in r
        },
        {_HASH.sub("", r).removeprefix("Keys") for a, r in account.allowed(role) if r.startswith("Keys")},
    ]


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_the_page_says_what_the_policies_say(account: Account, program: str) -> None:
    rows = {row[0].strip("`"): row[1:] for row in pages.rows(PAGE.read_text(encoding="utf-8"))}
    told = [{each.strip() for each in cell.split(",") if each.strip()} for cell in rows[program]]
    assert told == may(account, PROGRAMS[program])


def test_the_page_knows_every_program(account: Account) -> None:
    rows = {row[0].strip("`") for row in pages.rows(PAGE.read_text(encoding="utf-8"))}
    assert rows == set(PROGRAMS)
    functions = {
        f["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for f in account.properties("AWS::Lambda::Function").values()
    }
    assert functions == {name for name in PROGRAMS if " " not in name and name != "portal"}


def test_no_wildcard_resource_without_a_reason(account: Account) -> None:
    """Every policy with a wildcard has its acknowledgement, with a reason, in the template's metadata."""
    for name, resource in account.resources("AWS::IAM::Policy"):
        statements = resource["Properties"]["PolicyDocument"]["Statement"]
        wild = {
            account.text(each)
            for statement in statements
            for each in (
                statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            )
            if account.text(each).endswith("*")
        }
        reasons = list(resource.get("Metadata", {}).get("cdk_nag", {}).get("rules_to_suppress", []))
        if wild:
            assert any(rule["id"].startswith("AwsSolutions-IAM5") for rule in reasons), name
        assert all(len(rule["reason"]) >= 30 for rule in reasons), name
