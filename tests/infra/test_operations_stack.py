"""Alarms and the dashboard."""

import json

import pytest

from tests.infra.account import Account, Json

ALARM = "AWS::CloudWatch::Alarm"


def _alarms(account: Account) -> dict[str, Json]:
    return {
        name[len("Watch") : -8]: alarm
        for name, alarm in account.properties(ALARM).items()
        if name.startswith("Watch")
    }


def _dimensions(account: Account, alarm: Json) -> dict[str, str]:
    return {each["Name"]: account.text(each["Value"]) for each in alarm["Dimensions"]}


def test_every_queue_is_watched(account: Account) -> None:
    """Dead letters for being there, all others for being late."""
    watched: dict[str, set[str]] = {}
    for alarm in _alarms(account).values():
        if alarm.get("Namespace") == "AWS/SQS":
            queue = _dimensions(account, alarm)["QueueName"].partition(".")[0]
            watched.setdefault(alarm["MetricName"], set()).add(queue)
    queues = set(account.properties("AWS::SQS::Queue"))
    dead = {name for name in queues if "DeadLetters" in name}
    assert watched["ApproximateNumberOfMessagesVisible"] == dead
    assert watched["ApproximateAgeOfOldestMessage"] == queues - dead


def test_every_function_is_watched(account: Account) -> None:
    for metric in ("Errors", "Throttles"):
        watched = {
            _dimensions(account, alarm)["FunctionName"]
            for alarm in _alarms(account).values()
            if alarm.get("Namespace") == "AWS/Lambda" and alarm["MetricName"] == metric
        }
        assert watched == set(account.properties("AWS::Lambda::Function")), metric


def test_urgent_is_late_before_routine_and_routine_before_bulk(account: Account) -> None:
    late = {name: alarm["Threshold"] for name, alarm in _alarms(account).items() if name.endswith("Late")}
    assert late["IngestUrgentLate"] < late["IngestLate"] < late["IngestBulkLate"]
    assert late["AnalyzeUrgentLate"] < late["AnalyzeLate"]


@pytest.mark.parametrize(
    ("name", "metric", "threshold"),
    [
        ("LedgerImbalance", "LedgerImbalance", 0),
        ("LedgerPending", "LedgerPendingOldestSeconds", 21600),
        ("OutboxUndelivered", "OutboxUndeliveredOldestSeconds", 600),
        ("StudiesOverdue", "StudiesOverdue", 0),
    ],
)
def test_what_sweep_finds_is_an_alarm(account: Account, name: str, metric: str, threshold: int) -> None:
    alarm = _alarms(account)[name]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"]) == ("FirstRead", metric, threshold)
    assert _dimensions(account, alarm) == {"service": "sweep"}
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"


def test_silence_is_an_alarm_where_arrivals_are_expected(account: Account, public_account: Account) -> None:
    assert "NoArrivals" not in _alarms(account)
    alarm = _alarms(public_account)["NoArrivals"]
    assert alarm["MetricName"] == "ObjectsArrived"
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 3600


def test_alarms_reach_the_topic_of_operations(account: Account) -> None:
    """A topic under a customer's key needs its policy and the key's; else CloudWatch is refused silently."""
    for name, alarm in _alarms(account).items():
        for actions in (alarm["AlarmActions"], alarm["OKActions"]):
            assert [account.text(each)[:15] for each in actions] == ["WatchOperations"], name
    topic = account.one("AWS::SNS::Topic", "WatchOperations")
    assert account.text(topic["KmsMasterKeyId"]).startswith("KeysData")
    policy = account.one("AWS::SNS::TopicPolicy", "WatchOperations")["PolicyDocument"]["Statement"]
    (publish,) = [s for s in policy if s["Effect"] == "Allow"]
    assert publish["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert publish["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_somebody_may_be_told_by_mail(account: Account, public_account: Account) -> None:
    assert not account.properties("AWS::SNS::Subscription")
    (subscription,) = public_account.properties("AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "operations@hospital.example")


def test_the_dashboard_shows_what_the_programs_count(account: Account) -> None:
    (dashboard,) = account.properties("AWS::CloudWatch::Dashboard").values()
    body = json.dumps(dashboard["DashboardBody"])
    for metric in (
        "ObjectsArrived",
        "ObjectsStored",
        "ObjectsDuplicate",
        "ObjectsQuarantined",
        "LedgerPendingOldestSeconds",
        "LedgerImbalance",
        "StudiesOverdue",
        "StageSeconds",
        "ApproximateAgeOfOldestMessage",
    ):
        assert metric in body
