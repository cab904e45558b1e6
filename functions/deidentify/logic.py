"""One arrived object -> its outcome, or the step that looks at its pixels."""

from dataclasses import dataclass

from firstread.deid.process import Looked, glance
from firstread.intake.arrived import Arrived
from firstread.intake.step import Intake
from firstread.messages import CleanPixelsRequest
from firstread.queues import Queue
from firstread.receipt import Receipt


@dataclass(frozen=True)
class Deidentify:
    """The step `deidentify`.

    Parameters
    ----------
    intake
        Takes objects to their outcome.
    pixels
        Queue of objects whose pixels somebody must look at.
    """

    intake: Intake
    pixels: Queue

    def object(self, key: str, version_id: str | None, received_at: str) -> Receipt | None:
        """Take one object to its outcome, or hand it over; see `Intake.object`."""
        return self.intake.object(key, version_id, received_at, self._work)

    def _work(self, arrived: Arrived) -> Receipt | None:
        # Somebody who has looked at the pixels vouches for them (`firstread quarantine release --inspected`).
        looked = Looked(checked=True) if arrived.receipt.inspected else glance(arrived.file)
        settled = None if looked is None else self.intake.pass_on(arrived, looked)
        if settled is not None:
            return settled
        # Nothing else is written: the receipt stays pending until the next step settles it. A message that is sent
        # twice finds it settled.
        receipt = arrived.receipt
        self.pixels.send(
            CleanPixelsRequest(
                object_key=receipt.object_key,
                version_id=receipt.version_id,
                received_at=receipt.received_at,
                correlation_id=receipt.batch,
            ),
            group=receipt.source,
        )
        return None
