"""Queues, rules, functions and how they are joined."""

import importlib
import re

import pytest

from firstread.arrival import Lane
from firstread.messages import TRIES
from firstread.storage import feed_key, incoming_key
from infra.capabilities.lambda_code import IMAGES
from infra.config import REPOSITORY
from tests.infra.account import Account, Json

QUEUE, FUNCTION, MAPPING = "AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping"
WORK = {
    "ArrivalsIngestUrgent": 1800,
    "ArrivalsIngest": 1800,
    "ArrivalsIngestBulk": 1800,
    "ArrivalsPixels": 5400,
    "FeedsMessages": 360,
    "GatheringQuietTimer": 360,
    "GatheringHints": 360,
    "DescriptionRequests": 1800,
    "DeliveryAnalyzeUrgent": 900,
    "DeliveryAnalyze": 900,
    "AlertingResults": 360,
    "AlertingDeadlinesEscalations": 360,
}
VAULT = {
    "VAULT": "dynamodb",
    "VAULT_TABLE": "TablesVault",
    "VAULT_KEY_ID": "KeysVault",
    "REFERENCE_KEY_ID": "KeysReferences",
}
INTAKE = {
    "INCOMING_BUCKET": "BucketsIncoming",
    "STUDIES_BUCKET": "BucketsStudies",
    "LEDGER_TABLE": "TablesLedger",
    "INSTANCES_TABLE": "TablesInstances",
    **VAULT,
}
GATHERING = {
    "LEDGER_TABLE": "TablesLedger",
    "INSTANCES_TABLE": "TablesInstances",
    "STUDIES_TABLE": "TablesStudies",
    "MODELS_TABLE": "TablesModels",
    "OUTBOX_TABLE": "TablesOutbox",
    "BATCHES_TABLE": "TablesBatches",
    "ORDERS_TABLE": "TablesOrders",
    "QUIET_TIMER_QUEUE_URL": "GatheringQuietTimerQueue",
    "ESCALATIONS_QUEUE_URL": "AlertingDeadlinesEscalationsQueue",
    "COMPLETENESS": '{"after_hint_seconds":1,"max_seconds":900,'
    '"quiet_seconds":{"*":120,"CR":20,"DX":20,"MG":45,"US":180},"sources":{}}',
}
NOTICES = {
    "STUDIES_TABLE": "TablesStudies",
    "ALERTS_TABLE": "TablesAlerts",
    "AUDIT_TABLE": "TablesAudit",
    "ALERT_TOPIC_ARN": "AlertingAlerts",
    "PORTAL_URL": "https://firstread.invalid",
    "ALERTING": "{}",
}
PROGRAMS = {
    "deidentify": {**INTAKE, "CLEAN_PIXELS_QUEUE_URL": "ArrivalsPixelsQueue"},
    "clean_pixels": INTAKE,
    "apply_feed": {
        "INCOMING_BUCKET": "BucketsIncoming",
        "LEDGER_TABLE": "TablesLedger",
        "ORDERS_TABLE": "TablesOrders",
        "AUDIT_TABLE": "TablesAudit",
        "QUIET_TIMER_QUEUE_URL": "GatheringQuietTimerQueue",
        "FEED_ISSUERS": "{}",
        **VAULT,
    },
    "gather": GATHERING,
    "complete_study": GATHERING,
    "end_batch": GATHERING,
    "describe_series": {
        "INSTANCES_TABLE": "TablesInstances",
        "STUDIES_BUCKET": "BucketsStudies",
        "RESULTS_BUCKET": "BucketsResults",
    },
    "deliver": {
        "OUTBOX_TABLE": "TablesOutbox",
        "ANALYZE_URGENT_QUEUE_URL": "DeliveryAnalyzeUrgentQueue",
        "ANALYZE_QUEUE_URL": "DeliveryAnalyzeQueue",
        "DESCRIBE_SERIES_QUEUE_URL": "DescriptionRequestsQueue",
        "EVENT_BUS": "DeliveryEvents",
    },
    "alert": {
        **NOTICES,
        "RESULTS_TABLE": "TablesResults",
        "INSTANCES_TABLE": "TablesInstances",
        "MODELS_TABLE": "TablesModels",
        "OUTBOX_TABLE": "TablesOutbox",
        "ESCALATION_SCHEDULE_GROUP": "AlertingDeadlinesGroup",
        "ESCALATION_SCHEDULE_ROLE_ARN": "AlertingDeadlinesRole",
        "ESCALATIONS_QUEUE_ARN": "AlertingDeadlinesEscalationsQueue",
        "ESCALATIONS_DLQ_ARN": "AlertingDeadlinesEscalationsDeadLetters",
    },
    "export_audit": {"AUDIT_TABLE": "TablesAudit", "AUDIT_BUCKET": "BucketsAudit"},
    "escalate": NOTICES,
    "sweep": {
        "INCOMING_BUCKET": "BucketsIncoming",
        "LEDGER_TABLE": "TablesLedger",
        "INSTANCES_TABLE": "TablesInstances",
        "STUDIES_TABLE": "TablesStudies",
        "OUTBOX_TABLE": "TablesOutbox",
        "EVENT_BUS": "DeliveryEvents",
        "INGEST_URGENT_QUEUE_URL": "ArrivalsIngestUrgentQueue",
        "INGEST_QUEUE_URL": "ArrivalsIngestQueue",
        "INGEST_BULK_QUEUE_URL": "ArrivalsIngestBulkQueue",
        "FEEDS_QUEUE_URL": "FeedsMessagesQueue",
        "QUIET_TIMER_QUEUE_URL": "GatheringQuietTimerQueue",
        "ANALYZE_URGENT_QUEUE_URL": "DeliveryAnalyzeUrgentQueue",
        "ANALYZE_QUEUE_URL": "DeliveryAnalyzeQueue",
        "DESCRIBE_SERIES_QUEUE_URL": "DescriptionRequestsQueue",
        "ALERTS_TABLE": "TablesAlerts",
        "ALERTING": "{}",
        "ESCALATIONS_QUEUE_URL": "AlertingDeadlinesEscalationsQueue",
    },
}


def _functions(account: Account) -> dict[str, tuple[str, Json]]:
    found = account.properties(FUNCTION)
    return {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: (name, function)
        for name, function in found.items()
    }


@pytest.mark.parametrize("name", sorted(WORK))
def test_work_queue(account: Account, name: str) -> None:
    queue = account.one(QUEUE, f"{name}Queue")
    assert queue["VisibilityTimeout"] == WORK[name]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == TRIES
    assert account.text(queue["RedrivePolicy"]["deadLetterTargetArn"]).startswith(f"{name}DeadLetters")


def test_queues_are_encrypted_and_never_delay_for_longer_than_sqs_can(account: Account) -> None:
    queues = account.properties(QUEUE)
    assert len(queues) == 2 * len(WORK) + 2
    for name, queue in queues.items():
        assert account.text(queue["KmsMasterKeyId"]).startswith("KeysData"), name
        assert queue.get("DelaySeconds", 0) <= 900, name
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600, name


def test_queues_and_topics_are_tls_only(account: Account) -> None:
    for kind, owners, subject in (
        ("AWS::SQS::QueuePolicy", "Queues", QUEUE),
        ("AWS::SNS::TopicPolicy", "Topics", "AWS::SNS::Topic"),
    ):
        closed = {
            account.text(owner)
            for policy in account.properties(kind).values()
            for owner in policy[owners]
            if any(
                s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                for s in policy["PolicyDocument"]["Statement"]
            )
        }
        assert closed == set(account.properties(subject))


def test_visibility_is_six_times_the_timeout(account: Account) -> None:
    for mapping in account.properties(MAPPING).values():
        function = account.properties(FUNCTION)[account.text(mapping["FunctionName"])]
        queue = account.properties(QUEUE).get(account.text(mapping["EventSourceArn"]))
        if queue is not None:
            assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


def _rules_of_events(account: Account) -> list[Json]:
    return [rule for rule in account.properties("AWS::Events::Rule").values() if "EventPattern" in rule]


def test_every_rule_of_events_has_a_dead_letter_queue_and_a_bound(account: Account) -> None:
    rules = _rules_of_events(account)
    assert len(rules) == 5
    for rule in rules:
        (target,) = rule["Targets"]
        assert "DeadLetters" in account.text(target["DeadLetterConfig"]["Arn"])
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_eventbridge_may_send_to_queue_and_dead_letters(account: Account) -> None:
    open_to_events = {
        account.text(resource)
        for policy in account.properties("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and statement["Principal"] == {"Service": "events.amazonaws.com"}
        for resource in [statement["Resource"]]
        if statement["Condition"]
    }
    for rule in _rules_of_events(account):
        (target,) = rule["Targets"]
        assert account.text(target["Arn"]) in open_to_events
        assert account.text(target["DeadLetterConfig"]["Arn"]) in open_to_events


@pytest.mark.parametrize(("rule", "prefix", "queue"), [
    ("ArrivalsUrgentObjectArrived", "in/urgent/", "ArrivalsIngestUrgentQueue"),
    ("ArrivalsRoutineObjectArrived", "in/routine/", "ArrivalsIngestQueue"),
    ("ArrivalsBulkObjectArrived", "in/bulk/", "ArrivalsIngestBulkQueue"),
    ("FeedsMessageArrived", "feed/", "FeedsMessagesQueue"),
])  # fmt: skip
def test_each_prefix_has_its_queue(account: Account, rule: str, prefix: str, queue: str) -> None:
    found = account.one("AWS::Events::Rule", rule)
    assert "EventBusName" not in found
    pattern = found["EventPattern"]
    assert pattern["source"] == ["aws.s3"]
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"]["object"] == {"key": [{"prefix": prefix}]}
    assert account.text(pattern["detail"]["bucket"]["name"][0]).startswith("BucketsIncoming")
    (target,) = found["Targets"]
    assert account.text(target["Arn"]).startswith(queue)


def test_a_door_writes_where_a_rule_looks(account: Account) -> None:
    rules = _rules_of_events(account)
    prefixes = [
        rule["EventPattern"]["detail"]["object"]["key"][0]["prefix"]
        for rule in rules
        if "detail" in rule["EventPattern"]
    ]
    for key in (*(incoming_key(lane) for lane in Lane), feed_key()):
        assert len([prefix for prefix in prefixes if key.startswith(prefix)]) == 1, key


def test_a_sweep_every_minute_and_never_two_at_once(account: Account) -> None:
    name, function = _functions(account)["sweep"]
    rule = account.one("AWS::Events::Rule", "UpkeepEveryMinute")
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = rule["Targets"]
    assert account.text(target["Arn"]) == name
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert function["ReservedConcurrentExecutions"] == 1


def test_recorded_results_come_over_the_own_bus(account: Account) -> None:
    rule = account.one("AWS::Events::Rule", "AlertingResultRecorded")
    assert account.text(rule["EventBusName"]).startswith("DeliveryEvents")
    assert rule["EventPattern"] == {"source": ["firstread"], "detail-type": ["ResultRecorded"]}


@pytest.mark.parametrize(("function", "queue", "batch", "at_once"), [
    ("deidentify", "ArrivalsIngestUrgentQueue", 10, 200),
    ("deidentify", "ArrivalsIngestQueue", 10, 200),
    ("deidentify", "ArrivalsIngestBulkQueue", 10, 100),
    ("clean_pixels", "ArrivalsPixelsQueue", 1, 100),
    ("describe_series", "DescriptionRequestsQueue", 1, 30),
    ("apply_feed", "FeedsMessagesQueue", 10, 5),
    ("complete_study", "GatheringQuietTimerQueue", 10, 50),
    ("end_batch", "GatheringHintsQueue", 10, 50),
    ("alert", "AlertingResultsQueue", 10, 50),
    ("escalate", "AlertingDeadlinesEscalationsQueue", 10, 10),
])  # fmt: skip
def test_queue_feeds_function(account: Account, function: str, queue: str, batch: int, at_once: int) -> None:
    name, _ = _functions(account)[function]
    (mapping,) = [
        m for m in account.properties(MAPPING).values() if account.text(m["EventSourceArn"]).startswith(queue)
    ]
    assert account.text(mapping["FunctionName"]) == name
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == batch
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": at_once}


def test_bulk_cannot_take_what_urgent_needs(account: Account) -> None:
    """An account has 1000 invocations at once; what streams feed has at most one per shard, and needs room too."""
    limits = {
        account.text(mapping["EventSourceArn"])[:-8]: mapping["ScalingConfig"]["MaximumConcurrency"]
        for mapping in account.properties(MAPPING).values()
        if "ScalingConfig" in mapping
    }
    lanes = [limits[f"ArrivalsIngest{lane}Queue"] for lane in ("Urgent", "", "Bulk")]
    assert lanes[2] < min(lanes[:2])
    assert sum(lanes) <= 500
    assert sum(limits.values()) <= 800


@pytest.mark.parametrize(("function", "table", "pattern", "dead"), [
    ("gather", "TablesInstances", '{"eventName":["INSERT","MODIFY"]}', "GatheringGatherDeadLetters"),
    ("deliver", "TablesOutbox", '{"eventName":["INSERT"]}', "DeliveryDeliverDeadLetters"),
])  # fmt: skip
def test_stream_feeds_function(account: Account, function: str, table: str, pattern: str, dead: str) -> None:
    name, _ = _functions(account)[function]
    (mapping,) = [m for m in account.properties(MAPPING).values() if account.text(m["FunctionName"]) == name]
    assert account.text(mapping["EventSourceArn"]).startswith(table)
    assert mapping["FilterCriteria"] == {"Filters": [{"Pattern": pattern}]}
    assert account.text(mapping["DestinationConfig"]["OnFailure"]["Destination"]).startswith(dead)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == 100
    assert mapping["MaximumBatchingWindowInSeconds"] == 1
    assert mapping["MaximumRetryAttempts"] == 5
    assert mapping["BisectBatchOnFunctionError"] is True


SMALL = (512, 512, 60)
SIZES = {
    "deidentify": (2048, 4096, 300),
    "clean_pixels": (3008, 4096, 900),
    "describe_series": (2048, 512, 300),
    "export_audit": (1024, 1024, 900),
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_function(account: Account, name: str) -> None:
    _, function = _functions(account)[name]
    size = function["MemorySize"], function["EphemeralStorage"]["Size"], function["Timeout"]
    assert size == SIZES.get(name, SMALL)
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert account.text(function["KmsKeyArn"]).startswith("KeysData")
    group = account.properties("AWS::Logs::LogGroup")[account.text(function["LoggingConfig"]["LogGroup"])]
    assert group["RetentionInDays"] == 90
    assert account.text(group["KmsKeyId"]).startswith("KeysData")


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - set(IMAGES)))
def test_functions_share_a_zip(account: Account, name: str) -> None:
    _, function = _functions(account)[name]
    assert function["Handler"] == f"functions.{name}.handler.handle"
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]


@pytest.mark.parametrize("name", IMAGES)
def test_what_decodes_pixels_is_an_image_whose_command_is_its_handler(account: Account, name: str) -> None:
    _, function = _functions(account)[name]
    assert function["PackageType"] == "Image"
    assert function["ImageConfig"] == {"Command": [f"functions.{name}.handler.handle"]}
    assert function["Architectures"] == ["x86_64"]
    assert not {"Handler", "Runtime"} & function.keys()
    lines = (REPOSITORY / "functions" / "Dockerfile").read_text().splitlines()
    assert "FROM public.ecr.aws/lambda/python:3.13" in lines


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_function_is_told_exactly_what_it_needs(account: Account, name: str) -> None:
    _, function = _functions(account)[name]
    told = {key: account.text(value) for key, value in function["Environment"]["Variables"].items()}
    assert told.pop("POWERTOOLS_SERVICE_NAME") == name
    assert told.pop("POWERTOOLS_LOG_LEVEL") == "INFO"
    wanted = {f"FIRSTREAD_{key}": value for key, value in PROGRAMS[name].items()}
    assert set(told) == set(wanted)
    for key, value in wanted.items():
        assert told[key].startswith(value), key


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_handler_accepts_what_it_is_told(
    account: Account, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that a handler wants and the template does not give would fail at its first event."""
    handler = pytest.importorskip(f"functions.{name}.handler", exc_type=ModuleNotFoundError)
    _, function = _functions(account)[name]
    for key, value in function["Environment"]["Variables"].items():
        monkeypatch.setenv(key, account.text(value))
    assert importlib.import_module(handler.__name__).Settings()


def test_a_deadline_may_do_nothing_but_ask_for_a_look(account: Account) -> None:
    actions = {(a, r) for a, r in account.allowed("AlertingDeadlinesRole") if not a.startswith("kms:")}
    assert {(action, name[:-8]) for action, name in actions} == {
        ("sqs:SendMessage", "AlertingDeadlinesEscalationsQueue"),
        ("sqs:SendMessage", "AlertingDeadlinesEscalationsDeadLetters"),
    }
    trust = account.one("AWS::IAM::Role", "AlertingDeadlinesRole")["AssumeRolePolicyDocument"]["Statement"]
    (statement,) = trust
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    asked_by = statement["Condition"]["StringEquals"]
    assert account.text(asked_by["aws:SourceArn"]).rpartition("/")[2].startswith("AlertingDeadlinesGroup")
    assert account.text(asked_by["aws:SourceAccount"]) == "AWS::AccountId"


def test_only_alert_makes_schedules_and_only_in_their_group(account: Account) -> None:
    assert account.who_may("scheduler:", "") == {"AlertingAlertRole"}
    (resource,) = {r for a, r in account.allowed("AlertingAlertRole") if a.startswith("scheduler:")}
    assert re.search(r":schedule/AlertingDeadlinesGroup[0-9A-F]*/\*$", resource)
    (passing,) = [s for s in account.statements("AlertingAlertRole") if s["Action"] == "iam:PassRole"]
    assert account.text(passing["Resource"]).startswith("AlertingDeadlinesRole")
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
