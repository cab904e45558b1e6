"""Keys, buckets and tables."""

import pytest

from tests.infra.account import Account, Json

BUCKET, TABLE, KEY = "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"
TABLES = {
    "Ledger": (
        ("object_key", "version_id"),
        {"by_attention": ("attention", "received_at"), "by_study": ("study_ref", "batch_object")},
    ),
    "Instances": (("study_uid", "sop_uid"), {}),
    "Studies": (
        ("study_uid", "item"),
        {
            "worklist": ("worklist", "rank"),
            "due": ("due_shard", "due_at"),
            "by_patient": ("patient", "studied_on"),
            "by_date": ("listed", "studied_on"),
        },
    ),
    "Results": (("study_uid", "result_id"), {}),
    "Alerts": (
        ("alert_id",),
        {
            "by_study": ("study_uid", "created_at"),
            "open": ("open", "created_at"),
            "by_day": ("created_day", "created_at"),
        },
    ),
    "Outbox": (("message_id",), {"undelivered": ("undelivered", "created_at")}),
    "Models": (("kind", "model_id"), {}),
    "Batches": (("study_ref", "item"), {}),
    "Orders": (("order_ref", "item"), {}),
    "Reviews": (("study_uid", "item"), {}),
    "Sessions": (("session_key",), {}),
    "Teaching": (("owner", "item"), {}),
    "Audit": (("subject", "event_id"), {"by_day": ("day", "at"), "by_actor": ("actor", "at")}),
    "Vault": (("lookup",), {}),
}
KEYS_ONLY = {"due"}


def _keys(schema: list[Json]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in schema)


def test_six_buckets(account: Account) -> None:
    assert len(account.properties(BUCKET)) == 6


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Incoming", "KeysIncoming"),
        ("Studies", "KeysData"),
        ("Results", "KeysData"),
        ("Models", "KeysData"),
        ("Audit", "KeysData"),
    ],
)
def test_objects_are_encrypted_under_the_right_key(account: Account, name: str, key: str) -> None:
    bucket = account.one(BUCKET, f"Buckets{name}")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert account.text(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]).startswith(key)
    assert bucket["LoggingConfiguration"]["LogFilePrefix"] == f"s3/{name.lower()}/"


def test_no_bucket_is_public_or_unversioned(account: Account) -> None:
    for name, bucket in account.properties(BUCKET).items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4, name
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}, name
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}], name
        assert bucket["BucketEncryption"], name


def test_lifecycle_tidies_but_never_expires_what_is_current(account: Account) -> None:
    for name in ("Incoming", "Studies", "Results", "Models", "Audit"):
        bucket = account.one(BUCKET, f"Buckets{name}")
        (rule,) = bucket["LifecycleConfiguration"]["Rules"]
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert "ExpirationInDays" not in rule
        assert ("NoncurrentVersionExpiration" in rule) is (name not in ("Incoming", "Audit"))


def test_nobody_deletes_an_audit_export(account: Account, public_account: Account) -> None:
    """COMPLIANCE: not even the root user; GOVERNANCE could be bypassed."""
    locked = {
        name[:-8]: bucket["ObjectLockConfiguration"]
        for name, bucket in account.properties(BUCKET).items()
        if bucket.get("ObjectLockEnabled") or "ObjectLockConfiguration" in bucket
    }
    retention = {"Mode": "COMPLIANCE", "Days": 6 * 366}
    assert locked == {
        "BucketsAudit": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}
    }
    assert account.one(BUCKET, "BucketsAudit")["ObjectLockEnabled"] is True
    policy = account.one("AWS::S3::BucketPolicy", "BucketsAudit")["PolicyDocument"]["Statement"]
    (nobody,) = [each for each in policy if each.get("Sid") == "NobodyDeletes"]
    assert (nobody["Effect"], nobody["Principal"]) == ("Deny", {"AWS": "*"})
    assert nobody["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert "Condition" not in nobody
    longer = public_account.one(BUCKET, "BucketsAudit")["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert longer == {**retention, "Days": 10 * 366}


def test_only_the_incoming_bucket_announces_its_objects(account: Account) -> None:
    loud = [
        name for name, bucket in account.properties(BUCKET).items() if "NotificationConfiguration" in bucket
    ]
    assert [name[: len("BucketsIncoming")] for name in loud] == ["BucketsIncoming"]


def test_tls_only(account: Account) -> None:
    policies = {
        account.text(policy["Bucket"]): policy["PolicyDocument"]["Statement"]
        for policy in account.properties("AWS::S3::BucketPolicy").values()
    }
    assert set(policies) == set(account.properties(BUCKET))
    for name, statements in policies.items():
        denials = [s.get("Condition") for s in statements if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in denials, name
        for statement in statements:
            if statement["Effect"] == "Allow":
                assert "Service" in statement["Principal"], name


@pytest.mark.parametrize("name", sorted(TABLES))
def test_table(account: Account, name: str) -> None:
    keys, indexes = TABLES[name]
    table = account.one(TABLE, f"Tables{name}")
    assert _keys(table["KeySchema"]) == keys
    found = table.get("GlobalSecondaryIndexes", [])
    assert {index["IndexName"]: _keys(index["KeySchema"]) for index in found} == indexes
    for index in found:
        carried = "KEYS_ONLY" if index["IndexName"] in KEYS_ONLY else "ALL"
        assert index["Projection"] == {"ProjectionType": carried}
    assert {attribute["AttributeType"] for attribute in table["AttributeDefinitions"]} == {"S"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    key = "KeysVault" if name == "Vault" else "KeysData"
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert account.text(table["SSESpecification"]["KMSMasterKeyId"]).startswith(key)
    assert ("StreamSpecification" in table) is (name in {"Instances", "Outbox"})
    assert ("TimeToLiveSpecification" in table) is (name in {"Outbox", "Batches", "Sessions"})


def test_no_other_table(account: Account) -> None:
    assert len(account.properties(TABLE)) == len(TABLES)


def test_streams_carry_the_new_image(account: Account) -> None:
    for name in ("Instances", "Outbox"):
        table = account.one(TABLE, f"Tables{name}")
        assert table["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_keys_of_data_rotate(account: Account) -> None:
    keys = {name[:-8]: key for name, key in account.properties(KEY).items()}
    assert {name for name, key in keys.items() if key.get("EnableKeyRotation")} == {
        "KeysIncoming",
        "KeysData",
        "KeysVault",
        "BackupsKey",
        "IngestSourcesKey",
        "PortalIdentityClientKey",
    }
    assert {name for name in keys if name.startswith("Keys")} == {
        "KeysIncoming",
        "KeysData",
        "KeysVault",
        "KeysReferences",
    }


def test_the_key_of_references_makes_macs_and_never_changes(account: Account) -> None:
    """Under another key no study would be found by its original UID again."""
    key = account.one(KEY, "KeysReferences")
    assert (key["KeySpec"], key["KeyUsage"]) == ("HMAC_256", "GENERATE_VERIFY_MAC")
    assert not key.get("EnableKeyRotation")


@pytest.mark.parametrize("service", ["events", "cloudwatch"])
def test_services_may_use_the_data_key_for_this_account_only(account: Account, service: str) -> None:
    """Without it AWS drops every event for an encrypted queue and every alarm; the local engine would deliver."""
    statements = account.one(KEY, "KeysData")["KeyPolicy"]["Statement"]
    of_events = [s for s in statements if s["Principal"].get("Service") == f"{service}.amazonaws.com"]
    actions = {action for s in of_events for action in s["Action"]}
    assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= actions
    for statement in of_events:
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("name", ["KeysIncoming", "KeysVault", "KeysReferences"])
def test_no_service_may_use_the_other_keys(account: Account, name: str) -> None:
    (statement,) = account.one(KEY, name)["KeyPolicy"]["Statement"]
    assert account.text(statement["Principal"]["AWS"]).endswith(":root")
