"""Once a minute: what is overdue is sent again, not each minute, and not more than a run may."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from firstread.clock import to_text
from firstread.errors import TransientError
from firstread.operations.sweep import Sweep, spans
from firstread.receipt import Outcome
from firstread.records.instances import LedgerRepository
from firstread.records.studies import StudyRepository
from functions.sweep import handler
from tests.support.cloud import Cloud
from tests.support.events import CONTEXT
from tests.support.hospital import Hospital
from tests.support.operations import file
from tests.support.records import receipt, study

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def sweep(at: datetime) -> dict[str, float]:
    return handler.handle({"time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}, CONTEXT)


def minutes(count: float, at: datetime = NOON) -> datetime:
    return at + timedelta(minutes=count)


def test_at_rest_it_asks_eleven_small_queries_and_sends_nothing(cloud: Cloud) -> None:
    cloud.wire.calls.clear()
    found = sweep(NOON)
    assert set(found.values()) == {0}
    assert [name for name, _ in cloud.wire.calls] == ["Query"] * 11


def test_a_pending_object_is_sent_again_at_growing_ages(cloud: Cloud) -> None:
    received = minutes(-1.5)
    for key in ("in/urgent/a", "in/routine/b", "in/bulk/c", "feed/d", "in/e"):
        LedgerRepository().open(receipt(key, received_at=to_text(received)))
    sent = [age for age in range(0, 200) if sweep(minutes(age))["objects"]]
    # 15, 30 and 60 minutes of age; then on the hour.
    assert sent == [14, 29, 59, 60, 120, 180]
    assert {queue: len(cloud.waiting(queue)) // len(sent) for queue in cloud.urls if "arrivals" in queue} == {
        "arrivals-urgent": 1,
        "arrivals": 2,
        "arrivals-bulk": 1,
    }
    body = json.loads(cloud.waiting("feeds")[0])
    assert body["detail"]["object"] == {"key": "feed/d", "size": 0, "version-id": "v1"}
    assert body["detail"]["bucket"] == {"name": "incoming"}


@pytest.mark.usefixtures("cloud")
def test_the_age_of_the_oldest_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    LedgerRepository().open(receipt(received_at=to_text(minutes(-10))))
    sweep(NOON)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert metrics["LedgerPendingOldestSeconds"] == [600.0]
    assert metrics["StudiesOverdue"] == [0.0]
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "FirstRead"


def test_no_more_is_sent_than_a_run_may(cloud: Cloud) -> None:
    for number in range(7):
        LedgerRepository().open(receipt(f"in/routine/{number}", received_at=to_text(minutes(-90))))
    limited = Sweep(**{**vars(handler.bootstrap()), "limit": 5})
    assert limited.run(NOON).objects == 5
    assert len(cloud.waiting("arrivals")) == 5


def test_a_study_whose_timer_was_lost_is_looked_at(cloud: Cloud) -> None:
    due = study(due_at=to_text(minutes(-1.5)))
    StudyRepository().change(due.study_uid, lambda _study: due)
    found = [sweep(minutes(age)) for age in range(0, 5)]
    assert [each["studies_overdue"] for each in found] == [1] * 5
    assert [each["looks"] for each in found] == [1, 1, 0, 1, 0]
    assert [json.loads(body) for body in cloud.waiting("quiet-timers")] == [
        {"correlation_id": "", "study_uid": due.study_uid, "last_arrival": ""}
    ] * 3


def test_a_study_that_is_not_due_yet_waits(cloud: Cloud) -> None:
    later = study(due_at=to_text(minutes(1)))
    StudyRepository().change(later.study_uid, lambda _study: later)
    assert sweep(NOON)["studies_overdue"] == 0
    assert cloud.waiting("quiet-timers") == []


def test_a_message_that_did_not_leave_is_delivered(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hospital = Hospital(cloud, monkeypatch)
    hospital.push(file(tmp_path))
    streams = hospital.streams
    hospital.streams = lambda: [each for each in streams() if each.step != "deliver"]  # type: ignore[method-assign]
    hospital.pump()
    hospital.streams = streams  # type: ignore[method-assign]
    rows = cloud.rows("outbox_table")
    assert {row["kind"]["S"] for row in rows} == {"AnalyzeRequest", "DescribeSeriesRequest"}
    assert all(row["undelivered"]["S"] == "yes" for row in rows)
    written = max(datetime.fromisoformat(row["created_at"]["S"]) for row in rows)
    sent = [sweep(written + timedelta(minutes=age))["messages"] for age in range(0, 6)]
    # the two were written within a second, and each is sent when it is two minutes old
    assert sum(sent) == 2 and sent[2] + sent[3] == 2
    assert count_undelivered(cloud) == 0
    hospital.pump()
    assert len(cloud.rows("alerts_table")) == 1
    assert count_undelivered(cloud) == 0


def count_undelivered(cloud: Cloud) -> int:
    return sum("undelivered" in row for row in cloud.rows("outbox_table"))


@pytest.mark.usefixtures("cloud")
def test_what_fails_says_so_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstread.records.sweeping.Waiting.oldest", lambda *_: 1 / 0)
    with pytest.raises(TransientError, match="the sweep failed"):
        sweep(NOON)


@pytest.mark.parametrize("grace", [1, 2, 15])
def test_every_age_up_to_an_hour_comes_once_at_each_doubling(grace: int) -> None:
    thing = to_text(minutes(-0.25))
    hits = [
        age
        for age in range(0, 60)
        if any(
            span.begin < thing <= span.end
            for span in spans(minutes(age), timedelta(minutes=grace))
            if span.begin
        )
    ]
    expected = [grace * 2**power for power in range(6) if grace * 2**power < 60]
    assert hits == expected


@pytest.mark.usefixtures("cloud")
def test_outcomes_that_are_settled_are_not_swept() -> None:
    LedgerRepository().open(receipt(received_at=to_text(minutes(-15.5))))
    LedgerRepository().settle(
        receipt(outcome=Outcome.STORED, settled_at=to_text(NOON), received_at=to_text(minutes(-15.5)))
    )
    assert sweep(NOON)["objects"] == 0
