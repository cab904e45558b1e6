"""How long a study may wait, by its priority."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from firstread.clock import to_text
from firstread.order import Priority
from firstread.study import Study

_YEAR = 365 * 24 * 60


class WaitLimits(BaseModel):
    """Minutes from the first image of a study until it is overdue.

    Parameters
    ----------
    stat, urgent, routine
        For studies of that priority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stat: int = Field(60, gt=0, le=_YEAR)
    urgent: int = Field(240, gt=0, le=_YEAR)
    routine: int = Field(1440, gt=0, le=_YEAR)

    def __str__(self) -> str:
        return self.model_dump_json()

    def cutoff(self, priority: Priority, moment: datetime) -> str:
        """Return when studies of a priority arrived that become overdue at `moment` (`firstread.clock` text)."""
        minutes: int = getattr(self, priority.value)
        return to_text(moment - timedelta(minutes=minutes))

    def is_overdue(self, study: Study, moment: datetime) -> bool:
        """Return whether a study has waited longer than it may; one that is done with waits no more."""
        if study.is_signed or study.is_closed:
            return False
        return study.gathering.first_arrival < self.cutoff(study.priority, moment)
