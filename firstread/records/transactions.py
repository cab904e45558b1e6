"""One way to write several rows at once: all or none, tried again on conflict."""

import random
import time
from collections.abc import Callable

from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.transactions import TransactWrite

from firstread.errors import FirstReadError, TransientError
from firstread.records.tables import connection

Addition = Callable[[TransactWrite], None]
"""A write that joins a transaction; made by this package, passed on by logic, which never looks inside."""

_TRIES = 6
_CONFLICTS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ConditionFailedError(FirstReadError):
    """A row was not as the condition asked; the caller re-reads and decides."""


def is_unmet_condition(error: PynamoDBException) -> bool:
    """Tell whether a single write failed because of its condition: somebody was first, which is ordinary."""
    return error.cause_response_code == "ConditionalCheckFailedException"


def commit(build: Callable[[TransactWrite], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Write what `build` adds to a transaction.

    Parameters
    ----------
    build
        Adds the writes; called once per try.
    sleep
        Waits for a number of seconds between tries.

    Raises
    ------
    ConditionFailedError
        If a condition was not met; nothing was written.
    TransientError
        If the transaction still conflicted with others after several tries; nothing was written.
    """
    for attempt in range(_TRIES):
        try:
            with TransactWrite(connection=connection()) as transaction:
                build(transaction)
        except TransactWriteError as error:
            codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
            if "ConditionalCheckFailed" in codes:
                raise ConditionFailedError("a condition of the transaction was not met") from None
            if not codes & _CONFLICTS:
                raise
        else:
            return
        sleep(random.uniform(0.0, 0.02 * 2**attempt))  # noqa: S311 - jitter, not a secret
    raise TransientError("the transaction kept conflicting with others")
