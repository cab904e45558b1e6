"""Least privilege, read off the synthesised policies."""

import re

import pytest

from tests.infra.account import Account

DEIDENTIFY, CLEAN_PIXELS = "ArrivalsDeidentifyRole", "ArrivalsCleanPixelsRole"
DESCRIBE_SERIES = "DescriptionDescribeSeriesRole"
APPLY_FEED, SWEEP = "FeedsApplyFeedRole", "UpkeepSweepRole"
INGEST, PORTAL = "IngestWebTaskTaskRole", "PortalWebTaskTaskRole"
EXPORT_AUDIT = "AuditExportExportAuditRole"
GATHERING = ("GatheringGatherRole", "GatheringCompleteStudyRole", "GatheringEndBatchRole")
SERVICE_ROLES = (
    "NetworkVpc",
    "WorkerCapacity",
    "WorkerTaskExecutionRole",
    "PortalWebTaskExecutionRole",
    "IngestWebTaskExecutionRole",
    "BackupsRole",
)


@pytest.mark.parametrize(
    ("action", "resource", "roles"),
    [
        ("s3:Get", "BucketsIncoming", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED}),
        ("s3:", "BucketsIncoming", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, INGEST}),
        ("s3:PutObject", "BucketsIncoming", {INGEST}),
        ("kms:", "KeysIncoming", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, INGEST}),
        ("kms:", "KeysVault", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, PORTAL}),
        ("kms:", "KeysReferences", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, INGEST, PORTAL}),
        ("dynamodb:", "TablesVault", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, PORTAL}),
        ("dynamodb:PutItem", "TablesVault", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED}),
        ("s3:", "BucketsAudit", {EXPORT_AUDIT}),
        ("dynamodb:PutItem", "TablesLedger", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, INGEST}),
        ("dynamodb:", "TablesLedger", {DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED, INGEST, SWEEP, *GATHERING}),
        ("dynamodb:PutItem", "TablesInstances", {DEIDENTIFY, CLEAN_PIXELS}),
        ("dynamodb:", "TablesBatches", set(GATHERING)),
        ("dynamodb:", "TablesOrders", {APPLY_FEED, PORTAL, *GATHERING}),
        ("s3:PutObject", "BucketsStudies", {DEIDENTIFY, CLEAN_PIXELS}),
        ("s3:PutObject", "BucketsModels", set()),
    ],
)
def test_only_these_roles(account: Account, action: str, resource: str, roles: set[str]) -> None:
    assert account.who_may(action, resource) == roles


def test_of_all_that_arrived_a_feed_reads_its_messages_only(account: Account) -> None:
    allowed = {(a, r.partition("/")[2]) for a, r in account.allowed(APPLY_FEED) if a.startswith("s3:")}
    assert allowed == {("s3:GetObject", "feed/*"), ("s3:GetObjectVersion", "feed/*")}


def test_the_key_of_references_only_makes_macs(account: Account) -> None:
    for role, _ in account.resources("AWS::IAM::Role"):
        actions = {a for a, r in account.allowed(role) if r.startswith("KeysReferences")}
        assert actions <= {"kms:GenerateMac"}, role


def test_what_comes_in_by_the_door_does_not_go_out_again(account: Account) -> None:
    """The ingest service writes objects, and its key opens none of them but by S3, which gives it none."""
    allowed = account.allowed(INGEST)
    objects = {(a, r.partition("/")[2]) for a, r in allowed if a.startswith("s3:")}
    actions = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject")
    assert objects == {(action, below) for action in actions for below in ("in/*", "feed/*")}
    of_key = [s for s in account.statements(INGEST) if account.text(s["Resource"]).startswith("KeysIncoming")]
    assert [(s["Action"], list(s["Condition"]["StringEquals"])) for s in of_key] == [
        (["kms:Decrypt", "kms:GenerateDataKey"], ["kms:ViaService"])
    ]
    of_tables = {(a, r[:-8]) for a, r in allowed if a.startswith("dynamodb:") and "/" not in r}
    assert of_tables == {
        (f"dynamodb:{action}", "TablesLedger") for action in ("GetItem", "PutItem", "UpdateItem")
    }
    assert {r.rpartition("/")[2] for a, r in allowed if "/index/" in r} == {"by_study"}
    assert {r[:-8] for a, r in allowed if a == "sqs:SendMessage"} == {"GatheringHintsQueue"}
    assert not {a for a, r in allowed if a.startswith(("sqs:Receive", "sns:", "events:", "secretsmanager:"))}


def test_the_sources_are_read_by_the_start_of_one_task(account: Account) -> None:
    assert account.who_may("secretsmanager:", "IngestSources") == {"IngestWebTaskExecutionRole"}
    assert account.who_may("secretsmanager:", "PortalIdentity") == {"PortalWebTaskExecutionRole"}


def test_what_sweep_may_do(account: Account) -> None:
    """It sends again and marks as delivered; it reads no object and writes no other record."""
    allowed = account.allowed(SWEEP)
    writes = {(a, r[:-8]) for a, r in allowed if a in {"dynamodb:PutItem", "dynamodb:UpdateItem"}}
    assert writes == {("dynamodb:UpdateItem", "TablesOutbox")}
    sends = {r[:-8] for a, r in allowed if a == "sqs:SendMessage"}
    assert sends == {
        "ArrivalsIngestUrgentQueue",
        "ArrivalsIngestQueue",
        "ArrivalsIngestBulkQueue",
        "FeedsMessagesQueue",
        "GatheringQuietTimerQueue",
        "DescriptionRequestsQueue",
        "DeliveryAnalyzeUrgentQueue",
        "DeliveryAnalyzeQueue",
        "AlertingDeadlinesEscalationsQueue",
    }
    assert {r.rpartition("/")[2] for a, r in allowed if "/index/" in r} == {
        "by_attention",
        "due",
        "open",
        "undelivered",
    }


def test_the_portal_looks_up_in_the_vault_and_nothing_else(account: Account) -> None:
    allowed = account.allowed(PORTAL)
    assert {a for a, r in allowed if r.startswith("TablesVault")} == {"dynamodb:BatchGetItem"}
    assert {a for a, r in allowed if r.startswith("KeysVault")} == {"kms:Decrypt"}


def test_the_export_of_the_audit_trail_reads_events_and_adds_files(account: Account) -> None:
    allowed = account.allowed(EXPORT_AUDIT)
    of_table = {a for a, r in allowed if a.startswith("dynamodb:")}
    assert of_table == {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
    assert {r.rpartition("/")[2] for a, r in allowed if "/index/" in r} == {"by_day"}
    objects = {(a, r.partition("/")[2]) for a, r in allowed if a.startswith("s3:")}
    actions = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject")
    assert objects == {("s3:ListBucket", ""), *((action, "audit/*") for action in actions)}


def test_only_deidentify_hands_over_and_only_clean_pixels_takes(account: Account) -> None:
    assert account.who_may("sqs:SendMessage", "ArrivalsPixelsQueue") == {DEIDENTIFY}
    assert account.who_may("sqs:ReceiveMessage", "ArrivalsPixelsQueue") == {CLEAN_PIXELS}
    assert not {r for a, r in account.allowed(CLEAN_PIXELS) if a == "sqs:SendMessage"}


def test_what_describes_series_reads_images_and_writes_metadata_only(account: Account) -> None:
    allowed = account.allowed(DESCRIBE_SERIES)
    objects = {(a, re.sub(r"[0-9A-F]{8}(?=/|$)", "", r)) for a, r in allowed if a.startswith("s3:")}
    assert objects == {
        ("s3:GetObject", "BucketsStudies/*"),
        ("s3:GetObjectVersion", "BucketsStudies/*"),
        ("s3:ListBucket", "BucketsResults"),
        *(
            (f"s3:{action}", "BucketsResults/metadata/*")
            for action in ("AbortMultipartUpload", "GetObject", "GetObjectVersion", "PutObject")
        ),
    }
    of_tables = {(a, r[:-8]) for a, r in allowed if a.startswith("dynamodb:")}
    assert of_tables == {
        (f"dynamodb:{action}", "TablesInstances") for action in ("BatchGetItem", "GetItem", "Query")
    }
    assert not {a for a, _ in allowed if a.startswith(("sqs:Send", "sns:", "events:", "secretsmanager:"))}
    assert account.who_may("sqs:ReceiveMessage", "DescriptionRequestsQueue") == {DESCRIBE_SERIES}


def test_nobody_but_the_door_writes_and_nobody_deletes_what_arrived(account: Account) -> None:
    assert account.who_may("s3:Put", "BucketsIncoming") == {INGEST}  # writes, and overwrites no version
    assert not account.who_may("s3:Delete", "Buckets")
    assert account.who_may("dynamodb:Delete", "Tables") == {PORTAL}
    assert account.who_may("dynamodb:Delete", "TablesSessions") == {PORTAL}


@pytest.mark.parametrize("role", [DEIDENTIFY, CLEAN_PIXELS, APPLY_FEED])
def test_the_incoming_key_only_decrypts(account: Account, role: str) -> None:
    actions = {a for a, r in account.allowed(role) if r.startswith("KeysIncoming")}
    assert actions == {"kms:Decrypt", "kms:DescribeKey"}


def test_nothing_scans(account: Account) -> None:
    assert not account.who_may("dynamodb:Scan", "")


def test_the_worker(account: Account) -> None:
    role = "WorkerTaskTaskRole"
    buckets = {(a, re.sub(r"[0-9A-F]{8}.*", "", r)) for a, r in account.allowed(role) if a.startswith("s3:")}
    assert buckets == {
        ("s3:GetObject", "BucketsStudies"),
        ("s3:GetObjectVersion", "BucketsStudies"),
        ("s3:ListBucket", "BucketsStudies"),
        ("s3:GetObject", "BucketsModels"),
        ("s3:GetObjectVersion", "BucketsModels"),
        ("s3:ListBucket", "BucketsModels"),
        ("s3:PutObject", "BucketsResults"),
        ("s3:AbortMultipartUpload", "BucketsResults"),
    }
    writes = {r for a, r in account.allowed(role) if a == "dynamodb:PutItem"}
    assert {re.sub(r"[0-9A-F]{8}$", "", table) for table in writes} == {"TablesResults", "TablesOutbox"}
    assert {r for a, r in account.allowed(role) if a.startswith("sqs:")} == {
        name
        for name in account.properties("AWS::SQS::Queue")
        if name.startswith(("DeliveryAnalyzeQueue", "DeliveryAnalyzeUrgentQueue"))
    }


def test_the_portal(account: Account) -> None:
    allowed = account.allowed(PORTAL)
    # Of a bucket it writes nothing but the objects of signed reviews, and the metadata of series; and no result.
    put = {re.sub(r"[0-9A-F]{8}", "", r) for a, r in allowed if a.startswith("s3:Put")}
    assert put == {"BucketsResults/reviews/*", "BucketsResults/metadata/*"}
    writes = {
        re.sub(r"[0-9A-F]{8}$", "", r) for a, r in allowed if a in {"dynamodb:PutItem", "dynamodb:UpdateItem"}
    }
    assert writes == {
        "TablesAlerts",
        "TablesAudit",
        "TablesReviews",
        "TablesSessions",
        "TablesStudies",
        "TablesTeaching",
    }
    assert not {r for a, r in allowed if a == "dynamodb:UpdateItem" and r.startswith("TablesAudit")}
    assert {r.rpartition("/")[2] for a, r in allowed if "/index/" in r} == {
        *("worklist", "by_patient", "by_date"),
        *("by_study", "open", "by_day", "by_actor"),
    }


@pytest.mark.parametrize(
    ("role", "tables"),
    [
        (DEIDENTIFY, {"Ledger", "Instances", "Vault"}),
        (CLEAN_PIXELS, {"Ledger", "Instances", "Vault"}),
        (APPLY_FEED, {"Ledger", "Orders", "Vault"}),
        *((role, {"Studies", "Outbox", "Batches", "Orders"}) for role in GATHERING),
        ("AlertingAlertRole", {"Studies", "Alerts", "Outbox"}),
        ("AlertingEscalateRole", {"Alerts"}),
        ("WorkerTaskTaskRole", {"Results", "Outbox"}),
    ],
)
def test_transactions_may_do_each_of_their_parts(account: Account, role: str, tables: set[str]) -> None:
    allowed = account.allowed(role)
    for part in ("ConditionCheckItem", "PutItem", "UpdateItem"):
        found = {re.sub(r"[0-9A-F]{8}$", "", r) for a, r in allowed if a == f"dynamodb:{part}"}
        found -= {"TablesAudit"}  # appended to only
        assert found == {f"Tables{table}" for table in tables}, part


def test_only_alert_and_escalate_publish_and_only_deliver_and_sweep_put_events(account: Account) -> None:
    assert account.who_may("sns:Publish", "") == {"AlertingAlertRole", "AlertingEscalateRole"}
    assert account.who_may("events:PutEvents", "") == {"DeliveryDeliverRole", SWEEP}


def test_no_wildcard_action(account: Account) -> None:
    accepted = {"kms:GenerateDataKey*", "kms:ReEncrypt*"}  # CDK's grant for a stream's dead letters
    for role, _ in account.resources("AWS::IAM::Role"):
        for action, _ in account.allowed(role):
            assert "*" not in action or action in accepted, f"{role}: {action}"


def test_wildcard_resources_are_the_known_ones(account: Account) -> None:
    known = {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "dynamodb:ListStreams",
        "ecr:GetAuthorizationToken",
        "ecs:GetTaskProtection",
        "ecs:UpdateTaskProtection",
    }
    for role, _ in account.resources("AWS::IAM::Role"):
        wild = {action for action, resource in account.allowed(role) if resource == "*"}
        assert wild <= known, role


def test_no_managed_policies_but_those_of_services_own_roles(account: Account) -> None:
    found = [
        account.text(policy).rpartition("/")[2]
        for role in account.properties("AWS::IAM::Role").values()
        for policy in role.get("ManagedPolicyArns", [])
    ]
    assert sorted(found) == [
        "AWSBackupServiceRolePolicyForBackup",
        "AmazonECSInfrastructureRolePolicyForManagedInstances",
    ]


def test_every_program_may_use_the_data_key(account: Account) -> None:
    users = account.who_may("kms:Decrypt", "KeysData")
    assert len(users) == 16
    assert not {role for role in users if role.startswith(SERVICE_ROLES)}
