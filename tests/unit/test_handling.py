"""What handlers log and report."""

import logging

import pytest
from aws_lambda_powertools.utilities.batch import EventType
from botocore.exceptions import ClientError
from pydantic import ValidationError

from firstread.errors import QuarantineError, Reason, TransientError
from firstread.handling import Event, batch, describe, logger
from firstread.messages import QuietTimer
from tests.support import events

SECRET = "Quimby^Theodora"


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
