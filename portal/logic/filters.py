"""What a reader wants to see of a list; none of it is applied unless the reader asks."""

from datetime import datetime
from enum import StrEnum
from itertools import product
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from firstread.order import Priority
from firstread.policy import Action, Actor, can
from firstread.records.studies import band_of
from firstread.study import AnalysisStatus, ReviewStatus, Risk, Study
from portal.errors import NotAllowedError
from portal.logic.display import assignee


class Assignee(StrEnum):
    """Who holds a study for reading."""

    MINE = "mine"
    NOBODY = "nobody"
    SOMEBODY = "somebody else"


def _given(value: object) -> object:
    # A form sends its empty fields, too.
    return [each for each in value if each != ""] if isinstance(value, list) else value


_CodeString = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9 _]{1,16}$", to_upper=True)
]  # PS3.5 6.2, CS


def _or_nothing(schema: dict[str, Any]) -> None:
    """Let the OpenAPI document say that an empty item is none."""
    schema["items"] = {"anyOf": [schema["items"], {"const": "", "type": "string"}]}


_Empty = BeforeValidator(_given)
_Described = Field(json_schema_extra=_or_nothing)


class Filters(BaseModel):
    """Each field lists what is wanted; an empty one wants everything.

    Parameters
    ----------
    modality, body_part
        Studies with at least one of these (0008,0060), (0018,0015).
    risk, priority, ai, review, assignee
        Studies with one of these.
    """

    model_config = ConfigDict(extra="forbid")

    modality: Annotated[list[_CodeString], _Empty, _Described] = []
    body_part: Annotated[list[_CodeString], _Empty, _Described] = []
    risk: Annotated[list[Risk], _Empty, _Described] = []
    priority: Annotated[list[Priority], _Empty, _Described] = []
    ai: Annotated[list[AnalysisStatus], _Empty, _Described] = []
    review: Annotated[list[ReviewStatus], _Empty, _Described] = []
    assignee: Annotated[list[Assignee], _Empty, _Described] = []

    @property
    def wanted(self) -> dict[str, list[str]]:
        """Return the fields that ask for something, in words of the query string."""
        fields = {name: getattr(self, name) for name in Filters.model_fields}
        return {name: [str(each) for each in values] for name, values in fields.items() if values}

    def bands(self) -> list[str]:
        """Return the bands of the index in which there may be such studies."""
        return sorted({band_of(*each) for each in product(self.risk or Risk, self.priority or Priority)})

    def matches(self, study: Study, actor: Actor, moment: datetime) -> bool:
        """Return whether a reader who asks for this wants to see a study."""
        gathering = study.gathering
        several = ((self.modality, gathering.modalities), (self.body_part, gathering.body_parts))
        if any(wanted and not set(wanted) & set(there) for wanted, there in several):
            return False
        one: tuple[tuple[list[str], str], ...] = (
            (list(self.risk), study.risk),
            (list(self.priority), study.priority),
            (list(self.ai), study.status),
            (list(self.review), study.review),
            (list(self.assignee), _held_by(study, actor, moment)),
        )
        return all(not wanted or there in wanted for wanted, there in one)

    def check(self, actor: Actor) -> None:
        """Raise `NotAllowedError` where the answer would tell a reader what their role does not see."""
        if self.risk and not can(actor, Action.FINDING_VIEW).allowed:
            raise NotAllowedError("your role does not see the risk")

    def query(self, **more: str | int) -> str:
        """Return the query string that asks for this."""
        pairs = [(name, value) for name, values in self.wanted.items() for value in values]
        return urlencode([*pairs, *((name, str(value)) for name, value in more.items() if value)])


def _held_by(study: Study, actor: Actor, moment: datetime) -> Assignee:
    holder = assignee(study, moment)
    if not holder:
        return Assignee.NOBODY
    return Assignee.MINE if holder == actor.name else Assignee.SOMEBODY
