"""What handlers log and report."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from aws_lambda_powertools.utilities.batch import EventType
from botocore.exceptions import ClientError
from pydantic import ValidationError

from firstread import handling
from firstread.correlation import correlate
from firstread.errors import QuarantineError, Reason, TransientError
from firstread.handling import Event, batch, correlation_of, describe, logger
from firstread.messages import QuietTimer
from tests.support import events
from tests.support.emf import lines

SECRET = "Quimby^Theodora"


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handling, "show_again", lambda *_: None)


def caught(error: BaseException) -> BaseException:
    """Raise and catch, so that the error has a place."""
    try:
        raise error
    except BaseException as found:
        return found


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        ClientError({"Error": {"Code": "AccessDenied", "Message": SECRET}}, "PutItem"),
        QuarantineError(Reason.EMPTY),
        TransientError(SECRET),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    ],
)
def test_an_error_is_described_by_type_and_place_and_never_by_its_text(error: Exception) -> None:
    found = describe(caught(error))
    assert found["error"] == type(error).__name__
    assert found["at"].startswith("test_handling.py:")
    assert "Quimby" not in repr(found)


def test_a_validation_error_does_not_say_what_was_validated() -> None:
    with pytest.raises(ValidationError) as error:
        QuietTimer.model_validate_json(f'{{"study_uid": "{SECRET}", "name": "{SECRET}"}}')
    assert "Quimby" not in repr(describe(error.value))


def test_the_code_of_aws_is_named() -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "PutItem")
    assert describe(caught(error))["code"] == "AccessDenied"
    assert describe(ValueError())["at"] == ""


@pytest.mark.parametrize("bad", [{0}, {1}, {0, 2}, {0, 1, 2}, set()])
def test_a_record_that_fails_fails_alone(bad: set[int], caplog: pytest.LogCaptureFixture) -> None:
    event = events.sqs("0", "1", "2")
    seen: list[int] = []

    def handle(record: Event) -> None:
        number = int(record["body"])
        if number in bad:
            raise ValueError(SECRET)
        seen.append(number)

    with caplog.at_level(logging.DEBUG):
        answer = batch(EventType.SQS, handle, event, events.CONTEXT)
    failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
    assert failed == {event["Records"][number]["messageId"] for number in bad}
    assert seen == [number for number in range(3) if number not in bad]
    own = [record for record in caplog.records if record.name == logger._logger.name]
    assert len(own) == len(bad)
    assert "Quimby" not in repr([vars(record) for record in own])


OUTBOX = {"body": {"S": '{"correlation_id": "b1", "study_uid": "x"}'}, "kind": {"S": "AnalyzeRequest"}}
INSTANCE = {"instance": {"S": '{"batch": "b1"}'}, "study_uid": {"S": "x"}}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"body": '{"correlation_id": "b1"}'}, "b1"),
        ({"body": '{"detail-type": "ResultRecorded", "detail": {"correlation_id": "b1"}}'}, "b1"),
        ({"body": '{"detail": {"bucket": {}}}'}, ""),
        ({"dynamodb": {"NewImage": OUTBOX}}, "b1"),
        ({"dynamodb": {"NewImage": INSTANCE}}, "b1"),
        ({"dynamodb": {"Keys": {}}}, ""),
        ({"body": '{"detail": "b1"}'}, ""),
        ({"body": '["b1"]'}, ""),
        ({"body": "{"}, ""),
        ({}, ""),
    ],
)
def test_the_correlation_id_of_a_record(record: Event, expected: str) -> None:
    assert correlation_of(record) == expected


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the functions write to their log."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(logger.registered_formatter)
    monkeypatch.setattr(logger._logger, "level", logging.INFO)
    logger._logger.addHandler(handler)
    yield target
    logger._logger.removeHandler(handler)


def test_the_lines_of_a_record_carry_its_id_and_nobody_else_s(log: io.StringIO) -> None:
    def handle(record: Event) -> None:
        logger.info("one")
        if record["body"] == "{}":
            correlate("late")  # known only from the object itself
        logger.info("two")
        if "bad" in record["body"]:
            raise ValueError(SECRET)

    named, bad = '{"correlation_id": "b1"}', '{"correlation_id": "bad"}'
    nobody = f'{{"correlation_id": "{SECRET}"}}'
    batch(EventType.SQS, handle, events.sqs(named, "{}", bad, nobody), events.CONTEXT)
    logger.info("after")
    found = [
        (line["message"], line.get("correlation_id")) for line in map(json.loads, log.getvalue().splitlines())
    ]
    assert found == [
        ("one", "b1"),
        ("two", "b1"),
        ("one", None),
        ("two", "late"),
        ("one", "bad"),
        ("two", "bad"),
        ("record failed", "bad"),
        ("one", None),
        ("two", None),
        ("after", None),
    ]
    assert "Quimby" not in log.getvalue()


def test_a_batch_measures_its_failures_and_how_long_it_has_waited(capfd: pytest.CaptureFixture[str]) -> None:
    def handle(record: Event) -> None:
        if record.get("body") == "bad":
            raise ValueError(SECRET)

    event = events.sqs("good", "bad", "bad")
    event["Records"][1]["attributes"]["SentTimestamp"] = "1545082640000"
    batch(EventType.SQS, handle, event, events.CONTEXT)
    stream = events.stream(({}, {}))
    batch(EventType.DynamoDBStreams, handle, stream, events.CONTEXT)
    queue, table = lines(capfd.readouterr().out)
    assert queue.values["RecordsFailed"] == [1, 1]
    (waited,) = queue.values["OldestMessageSeconds"]
    (streamed,) = table.values["OldestMessageSeconds"]
    assert streamed - waited == pytest.approx(1545082640 - 1093546474, abs=5)
