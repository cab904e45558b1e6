"""A door said that a batch is over -> written down for each of its studies, and a look at those that are known."""

from dataclasses import dataclass

from firstread.gathering.step import GatherStudy
from firstread.messages import BatchEnded, QuietTimer
from firstread.records.batches import BatchRepository, EndedBatch

_LOOKED_AT_HERE = 10
"""More studies than these are looked at by `complete_study`, each in its own time."""


@dataclass(frozen=True)
class EndBatch:
    """The step `end_batch`.

    Parameters
    ----------
    batches
        Where ended batches are written down.
    gather
        The look at a study.
    """

    batches: BatchRepository
    gather: GatherStudy

    def batch(self, message: BatchEnded) -> None:
        """Write down the end of a batch; a study of which nothing is recorded yet finds it with its first look."""
        known: list[str] = []
        for study_ref, count in message.studies.items():
            ended = EndedBatch(message.batch, message.source, count, message.ended_at)
            self.batches.end(study_ref, ended)
            if study_uid := self.batches.of_study(study_ref).study_uid:
                known.append(study_uid)
        if len(known) > _LOOKED_AT_HERE:
            correlation_id = message.correlation_id
            self.gather.timers.send_all(
                [QuietTimer(study_uid=each, last_arrival="", correlation_id=correlation_id) for each in known]
            )
            return
        for study_uid in known:
            self.gather.look(study_uid)
