"""Repositories on DynamoDB: conditions, races, and writing twice."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from firstread.alert import AlertState, Call, Closing
from firstread.errors import NotFoundError, TransientError
from firstread.messages import AnalyzeRequest, QuietTimer
from firstread.policy import Actor, Role
from firstread.receipt import Outcome, Receipt
from firstread.records import outbox
from firstread.records.alerts import AlertRepository, new_alert
from firstread.records.audit import AuditTrail
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.outbox import OutboxRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository, new_version
from firstread.records.tables import LedgerRow, OutboxRow
from firstread.records.transactions import ConditionFailedError, commit
from firstread.study import InstanceState, Risk, Study, StudyVersion
from tests.support.cloud import Cloud
from tests.support.records import (
    MODEL,
    STUDY,
    T1,
    T2,
    alert,
    handed_in,
    instance,
    receipt,
    result,
    settled,
    study,
)

CALL = Call(level=0, group="on-call", at=T2)
READER, SYSTEM = Actor("reader", Role.RADIOLOGIST), Actor("alert", Role.SERVICE)
pytestmark = pytest.mark.usefixtures("cloud")
LEDGER, INSTANCES, STUDIES = LedgerRepository(), InstanceRepository(), StudyRepository()


def test_a_receipt_is_opened_once() -> None:
    assert LEDGER.open(receipt()) == receipt()
    assert LEDGER.open(receipt(source="other")) == receipt()
    assert LEDGER.get("in/a", "v1") == receipt()
    assert LEDGER.get("in/a", "v2") is None


@pytest.mark.parametrize("order", list(itertools.permutations(["open", "hand in", "settle"])))
def test_every_order_of_door_and_event_leaves_the_same_row(order: tuple[str, ...]) -> None:
    seen: dict[str, Receipt] = {}

    def settle() -> None:
        known = seen.get("open") or LEDGER.open(receipt())
        LEDGER.settle(
            known.model_copy(update={"outcome": Outcome.STORED, "settled_at": T2, "study_uid": STUDY})
        )

    steps: dict[str, Callable[[], object]] = {
        "open": lambda: seen.setdefault("open", LEDGER.open(receipt())),
        "hand in": lambda: LEDGER.hand_in(handed_in()),
        "settle": settle,
    }
    for step in order:
        steps[step]()
    expected = handed_in().model_copy(
        update={"outcome": Outcome.STORED, "settled_at": T2, "study_uid": STUDY}
    )
    assert LEDGER.get("in/a", "v1") == expected
    assert LEDGER.needing_attention(Outcome.PENDING) == []


def test_handing_in_twice_changes_nothing() -> None:
    assert LEDGER.hand_in(handed_in()) == handed_in()
    assert LEDGER.hand_in(handed_in()) == handed_in()
    assert LEDGER.get("in/a", "v1") == handed_in()


def test_the_first_settlement_stays() -> None:
    LEDGER.open(receipt())
    assert LEDGER.settle(settled())
    assert not LEDGER.settle(settled(outcome=Outcome.QUARANTINED, reason="conflict"))
    found = LEDGER.get("in/a", "v1")
    assert found is not None and found.outcome is Outcome.STORED


def test_only_what_somebody_must_act_on_needs_attention() -> None:
    for name, outcome in (
        ("a", None),
        ("b", Outcome.STORED),
        ("c", Outcome.QUARANTINED),
        ("d", Outcome.DUPLICATE),
    ):
        LEDGER.open(receipt(name))
        if outcome:
            LEDGER.settle(settled(name, outcome=outcome))
    assert [row.object_key for row in LEDGER.needing_attention(Outcome.PENDING)] == ["a"]
    assert [row.object_key for row in LEDGER.needing_attention(Outcome.QUARANTINED)] == ["c"]


def test_many_receipts_are_found_at_once() -> None:
    keys = [f"in/{number}" for number in range(130)]
    for key in keys:
        LEDGER.open(receipt(key))
    found = LEDGER.get_many([(key, "v1") for key in [*keys, "in/none"]])
    assert {row.object_key for row in found} == set(keys)


def test_an_instance_and_its_receipt_are_written_together_or_not_at_all() -> None:
    LEDGER.open(receipt())
    assert INSTANCES.add(instance(), settled())
    assert INSTANCES.get(STUDY, "2.25.9") == instance()
    assert not INSTANCES.add(instance(digest="other"), settled())
    LEDGER.open(receipt("in/b"))
    assert not INSTANCES.add(instance(digest="other"), settled("in/b"))
    pending = LEDGER.get("in/b", "v1")
    assert pending is not None and pending.outcome is Outcome.PENDING
    assert not INSTANCES.add(instance("2.25.10"), settled())
    assert INSTANCES.of_study(STUDY) == [instance()]


def test_instances_of_a_study_are_listed_held_ones_too() -> None:
    for number in (3, 1, 2):
        LEDGER.open(receipt(f"in/{number}"))
        state = InstanceState.HELD if number == 2 else InstanceState.STORED
        INSTANCES.add(instance(f"2.25.{number}", state=state), settled(f"in/{number}"))
    assert [each.sop_uid for each in INSTANCES.of_study(STUDY)] == ["2.25.1", "2.25.2", "2.25.3"]
    assert INSTANCES.of_study("2.25.404") == []
    assert INSTANCES.get(STUDY, "2.25.404") is None


def described(text: str) -> Study:
    """Return the study with another description."""
    return study().model_copy(
        update={"gathering": study().gathering.model_copy(update={"description": text})}
    )


def test_a_study_changes_only_from_what_it_is() -> None:
    assert STUDIES.get(STUDY) is None
    assert STUDIES.change(STUDY, lambda _study: None) is None
    assert STUDIES.get(STUDY) is None
    assert STUDIES.change(STUDY, lambda _study: described("one")) == described("one")
    assert STUDIES.get(STUDY) == described("one")


@pytest.mark.parametrize("exists", [False, True])
def test_whoever_is_overtaken_decides_again_on_what_is_there_now(exists: bool) -> None:
    if exists:
        STUDIES.change(STUDY, lambda _study: described("zero"))
    seen: list[str] = []

    def decide(found: Study | None) -> Study:
        seen.append(found.gathering.description if found else "")
        if len(seen) == 1:  # somebody else is faster
            STUDIES.change(STUDY, lambda _study: described("theirs"))
        return described(f"mine after {seen[-1]}")

    STUDIES.change(STUDY, decide)
    assert seen == ["zero" if exists else "", "theirs"]
    found = STUDIES.get(STUDY)
    assert found is not None and found.gathering.description == "mine after theirs"


def test_whoever_is_always_overtaken_gives_up_for_now() -> None:
    count = itertools.count()

    def decide(_found: Study | None) -> Study:
        STUDIES.change(STUDY, lambda _study: described(f"theirs {next(count)}"))
        return described("mine")

    with pytest.raises(TransientError):
        STUDIES.change(STUDY, decide)


def version(number: int = 1) -> StudyVersion:
    return StudyVersion(
        study_uid=STUDY, version=number, completed_at=T2, instance_count=1, held_count=0, models=(MODEL,)
    )


REQUEST = AnalyzeRequest(study_uid=STUDY, version=1, model_id=MODEL)


def test_a_version_its_messages_and_the_head_are_written_together(cloud: Cloud) -> None:
    STUDIES.change(
        STUDY, lambda _study: study(version=1), lambda _study: [new_version(version(), {"m": REQUEST})]
    )
    assert STUDIES.version(STUDY, 1) == version()
    assert STUDIES.version(STUDY, 2) is None
    (row,) = cloud.rows("outbox_table")
    assert outbox.parse(row["kind"]["S"], row["body"]["S"]) == REQUEST
    with pytest.raises(ConditionFailedError):
        STUDIES.change(STUDY, lambda _study: study(version=2), lambda _study: [new_version(version(), {})])
    head = STUDIES.get(STUDY)
    assert head is not None and head.version == 1


def test_a_message_that_no_outbox_carries_is_refused() -> None:
    with pytest.raises(KeyError):
        outbox.parse(QuietTimer.__name__, "{}")


def test_a_delivery_is_noted_once_and_never_of_what_is_not_there() -> None:
    commit(lambda transaction: outbox.put(transaction, "m", REQUEST))
    OutboxRepository().mark_delivered("m")
    first = OutboxRow.get("m").delivered_at
    OutboxRepository().mark_delivered("m")
    OutboxRepository().mark_delivered("none")
    assert OutboxRow.get("m").delivered_at == first
    assert OutboxRow.get("m").expires_at
    assert OutboxRow.count() == 1


def test_the_worklist_is_by_risk_and_then_by_waiting_time() -> None:
    for number, risk, arrival in (
        (1, Risk.NOT_FLAGGED, T1),
        (2, Risk.UNKNOWN, T2),
        (3, Risk.UNKNOWN, T1),
        (4, Risk.HIGH, T2),
    ):
        seen = study().gathering.model_copy(update={"study_uid": f"2.25.{number}", "first_arrival": arrival})
        made = study(gathering=seen, risk=risk)
        STUDIES.change(made.study_uid, lambda _study, made=made: made)  # type: ignore[misc]
    assert [each.study_uid for each in STUDIES.worklist()] == ["2.25.4", "2.25.3", "2.25.2", "2.25.1"]


def test_a_result_is_recorded_once_with_its_event(cloud: Cloud) -> None:
    results = ResultRepository()
    assert results.record(result())
    assert not results.record(result(risk=Risk.NOT_FLAGGED))
    assert results.get(STUDY, result().result_id) == result()
    assert results.get(STUDY, "none") is None
    assert results.record(result(version=11))
    assert results.of_version(STUDY, 1) == [result()]
    assert len(cloud.rows("outbox_table")) == 2


def test_an_alert_is_delivered_and_acknowledged_once_with_an_audit_event() -> None:
    alerts = AlertRepository()
    commit(new_alert(alert()))
    with pytest.raises(ConditionFailedError):
        commit(new_alert(alert()))
    sent = alerts.deliver("a1", CALL, T2, SYSTEM)
    assert (sent.state, sent.delivered_at, sent.calls) == (AlertState.DELIVERED, T2, (CALL,))
    assert alerts.get("a1") == sent
    assert alerts.open_alerts() == alerts.of_study(STUDY) == alerts.of_day(T1[:10]) == [sent]
    done = alerts.acknowledge("a1", READER, T2)
    other = Actor("other", Role.RADIOLOGIST)
    assert alerts.acknowledge("a1", other, T2) == done == alerts.get("a1")
    assert done.acknowledged_by == "reader"
    assert alerts.open_alerts() == []
    assert (alerts.taken_by("reader"), alerts.taken_by("other")) == ([done], [])
    assert alerts.deliver("a1", CALL, T1, SYSTEM) == done
    assert alerts.escalate("a1", CALL.model_copy(update={"level": 1}), SYSTEM) == done
    sending, event = AuditTrail().of(f"study#{STUDY}")
    assert (sending["action"], sending["actor"], sending["role"]) == ("alert.deliver", "alert", "service")
    assert (event["actor"], event["before"], event["after"]) == ("reader", "delivered", "acknowledged")
    with pytest.raises(NotFoundError):
        alerts.acknowledge("none", READER, T2)


def test_an_alert_of_before_there_were_revisions_can_be_acknowledged(cloud: Cloud) -> None:
    commit(new_alert(alert()))
    key = {"alert_id": {"S": "a1"}}
    cloud.dynamodb.update_item(TableName="alerts_table", Key=key, UpdateExpression="REMOVE revision")
    assert AlertRepository().acknowledge("a1", READER, T2).acknowledged_by == "reader"
    assert AlertRepository().close("a1", Closing.SIGNED, READER, T2).state is AlertState.CLOSED
    assert AlertRepository().taken_by("reader") == []


def test_an_alert_that_is_delivered_while_somebody_acknowledges_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alerts = AlertRepository()
    commit(new_alert(alert()))
    original = alerts._read
    raced: list[bool] = []

    def read_then_delivered(alert_id: str) -> Any:  # noqa: ANN401 - the alert
        found = original(alert_id)
        if not raced:
            raced.append(True)
            alerts.deliver("a1", CALL, T2, SYSTEM)
        return found

    monkeypatch.setattr(alerts, "_read", read_then_delivered)
    done = alerts.acknowledge("a1", READER, T2)
    assert (done.state, done.delivered_at) == (AlertState.ACKNOWLEDGED, T2)


def cancelled(*codes: str) -> ClientError:
    """Return the error of a transaction that DynamoDB cancelled."""
    return ClientError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
            "CancellationReasons": [{"Code": code} for code in codes],
        },
        "TransactWriteItems",
    )


def failing(cloud: Cloud, times: int, error: ClientError) -> list[int]:
    """Let the next transactions fail; return a list that grows with each of them."""
    tries: list[int] = []

    def before(operation: str, _parameters: dict[str, Any]) -> None:
        if operation == "TransactWriteItems":
            tries.append(1)
            if len(tries) <= times:
                raise error

    cloud.wire.before = before
    return tries


def one_row(transaction: TransactWrite) -> None:
    outbox.put(transaction, "m", REQUEST)


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_a_conflict_with_others_is_tried_again(cloud: Cloud, code: str) -> None:
    tries = failing(cloud, 3, cancelled("None", code))
    waits: list[float] = []
    commit(one_row, sleep=waits.append)
    assert len(tries) == 4 and len(waits) == 3
    assert OutboxRow.count() == 1


def test_a_conflict_that_lasts_is_transient(cloud: Cloud) -> None:
    failing(cloud, 100, cancelled("TransactionConflict"))
    with pytest.raises(TransientError):
        commit(one_row, sleep=lambda _seconds: None)
    assert OutboxRow.count() == 0


def test_a_condition_that_failed_beside_a_conflict_is_a_failed_condition(cloud: Cloud) -> None:
    tries = failing(cloud, 100, cancelled("TransactionConflict", "ConditionalCheckFailed"))
    with pytest.raises(ConditionFailedError):
        commit(one_row)
    assert len(tries) == 1


def test_another_error_of_a_transaction_is_not_hidden(cloud: Cloud) -> None:
    tries = failing(cloud, 100, cancelled("ValidationError"))
    with pytest.raises(TransactWriteError):
        commit(one_row)
    assert len(tries) == 1


def test_an_outage_of_the_table_is_not_taken_for_a_condition(cloud: Cloud) -> None:
    def before(operation: str, _parameters: dict[str, Any]) -> None:
        if operation in {"PutItem", "UpdateItem"}:
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, operation)

    cloud.wire.before = before
    for write in (
        lambda: LEDGER.open(receipt()),
        lambda: OutboxRepository().mark_delivered("m"),
    ):
        with pytest.raises(Exception, match=r"InternalServerError|Failed to"):
            write()
    cloud.wire.before = lambda _operation, _parameters: None
    assert LedgerRow.count() == 0
