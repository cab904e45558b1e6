"""EventBridge Scheduler: a message at a moment, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import boto3
from botocore.exceptions import ClientError

from firstread.messages import Message
from firstread.region import making, region

_MAX_TRIES = 10
_MAX_AGE_SECONDS = 3600


class _Scheduler(Protocol):
    def create_schedule(
        self,
        *,
        Name: str,  # noqa: N803 - boto3's
        GroupName: str,  # noqa: N803
        ScheduleExpression: str,  # noqa: N803
        FlexibleTimeWindow: Mapping[str, str],  # noqa: N803
        ActionAfterCompletion: str,  # noqa: N803
        Target: Mapping[str, Any],  # noqa: N803
    ) -> Mapping[str, Any]: ...


@lru_cache(maxsize=1)
def _scheduler() -> _Scheduler:
    with making:
        client: _Scheduler = boto3.client("scheduler", region_name=region())
    return client


@dataclass(frozen=True)
class Schedules:
    """Schedules that send a message to one queue.

    Parameters
    ----------
    group
        Schedule group.
    queue_arn, dead_letters_arn
        Where messages go, and where those go that cannot be sent.
    role_arn
        Role that Scheduler takes on to send.
    """

    group: str
    queue_arn: str
    dead_letters_arn: str
    role_arn: str

    def once(self, name: str, at: datetime, message: Message) -> bool:
        """Send a message at a moment, to about a minute; the schedule deletes itself afterwards.

        Returns
        -------
        bool
            False where a schedule of that name is waiting already; it stays as it is.
        """
        try:
            _scheduler().create_schedule(
                Name=name,
                GroupName=self.group,
                ScheduleExpression=f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": self.queue_arn,
                    "RoleArn": self.role_arn,
                    "Input": message.model_dump_json(),
                    "DeadLetterConfig": {"Arn": self.dead_letters_arn},
                    "RetryPolicy": {
                        "MaximumRetryAttempts": _MAX_TRIES,
                        "MaximumEventAgeInSeconds": _MAX_AGE_SECONDS,
                    },
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            return False
        return True
