"""A door said that a batch is over -> written down for each of its studies, and a look at those that are known."""

from dataclasses import dataclass

from firstread.gathering.step import GatherStudy
from firstread.messages import BatchEnded
from firstread.records.batches import BatchRepository, EndedBatch


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
        for study_ref, count in message.studies.items():
            ended = EndedBatch(message.batch, message.source, count, message.ended_at)
            self.batches.end(study_ref, ended)
            study_uid = self.batches.of_study(study_ref).study_uid
            if study_uid:
                self.gather.look(study_uid)
