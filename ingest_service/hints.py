"""Says that a batch is over: the hint by which a study is complete before its quiet time."""

from collections.abc import Mapping

from firstread.clock import to_text
from firstread.messages import BatchEnded
from ingest_service.services import Services

_IN_A_MESSAGE = 100  # whoever takes ten messages at a time writes to a table for each study of each


def tell(services: Services, source: str, batch: str, studies: Mapping[str, int]) -> None:
    """Say it, in several messages where there are many studies.

    Parameters
    ----------
    services
        Of the application.
    source, batch
        As in `firstread.arrival.Arrival`.
    studies
        Reference of each study -> number of different SOP instances.

    Raises
    ------
    BotoCoreError, ClientError
        If the queue does not take it; some of it may have been said, and saying it again changes nothing.
    """
    ended_at, counts = to_text(services.door.clock()), list(studies.items())
    for start in range(0, len(counts), _IN_A_MESSAGE):
        some = dict(counts[start : start + _IN_A_MESSAGE])
        services.hints.send(
            BatchEnded(correlation_id=batch, source=source, batch=batch, studies=some, ended_at=ended_at)
        )
