"""Communications of critical results: what a reader may choose from, recording one, and showing them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from firstread.clock import to_text
from firstread.communication import Category, ChosenFinding, Communication, Method, choices, is_late
from firstread.policy import Actor
from firstread.study import Study
from portal.errors import NotUnderstoodError
from portal.logic.display import when
from portal.logic.records import Records
from portal.logic.worklist import View

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(minutes=1)
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class CommunicationEntry(BaseModel):
    """What a reader says of a communication; who says it is known from the session.

    Parameters
    ----------
    finding_id
        One of the findings of the study (`ChosenFinding`).
    identified_at, received_at
        With an offset from UTC.
    alert_id
        The alert that it followed from; "" for none.
    """

    model_config = ConfigDict(extra="forbid")

    finding_id: str = Field(max_length=200)
    category: Category
    identified_at: AwareDatetime
    received_at: AwareDatetime
    receiver_role: _Words
    receiver_name: _Words
    method: Method
    read_back: bool = False
    alert_id: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,64}$")


def _as_utc(value: Any) -> Any:  # noqa: ANN401 - whatever the form holds
    # <input type="datetime-local"> has no offset; the form says that it asks for UTC.
    return f"{value}Z" if isinstance(value, str) and not value.endswith("Z") else value


class CommunicationForm(CommunicationEntry):
    """The same from the page, which names times in UTC; category and the tick box arrive as text."""

    category: Annotated[Category, BeforeValidator(lambda value: int(value))]
    identified_at: Annotated[AwareDatetime, BeforeValidator(_as_utc)]
    received_at: Annotated[AwareDatetime, BeforeValidator(_as_utc)]


class CommunicationView(View):
    """A recorded communication."""

    number: int
    alert_id: str
    finding: str
    category: int
    identified: str
    communicator: str
    receiver_role: str
    receiver_name: str
    received: str
    method: str
    read_back: bool
    late: bool


class ChoiceView(View):
    """A finding to choose from."""

    finding_id: str
    words: str


def read_communications(records: Records, study: Study) -> tuple[CommunicationView, ...]:
    """Return what was communicated of a study, oldest first; for those who may record such."""
    return tuple(communication_view(each) for each in records.communications.of_study(study.study_uid))


def communication_view(said: Communication) -> CommunicationView:
    """Return a communication as it is shown."""
    return CommunicationView(
        number=said.number,
        alert_id=said.alert_id,
        finding=said.finding.code.meaning,
        category=int(said.category),
        identified=when(said.identified_at),
        communicator=said.communicator,
        receiver_role=said.receiver_role,
        receiver_name=said.receiver_name,
        received=when(said.received_at),
        method=said.method.value,
        read_back=said.read_back,
        late=said.late,
    )


def findings_of(records: Records, study: Study) -> tuple[ChosenFinding, ...]:
    """Return the findings of the current version that a reader may choose from."""
    results = records.results.of_version(study.study_uid, study.version)
    return choices(results, records.reviews.of_study(study.study_uid))


def read_choices(records: Records, study: Study) -> tuple[ChoiceView, ...]:
    """Return the findings to choose from, in words."""
    return tuple(
        ChoiceView(
            finding_id=each.finding_id,
            words=f"{each.code.meaning} ({'signed' if each.confirmed else 'by a model'})",
        )
        for each in findings_of(records, study)
    )


def record(
    records: Records,
    study: Study,
    actor: Actor,
    entry: CommunicationEntry,
    minutes: Mapping[Category, float],
    moment: datetime,
) -> Communication:
    """Write a communication down.

    Parameters
    ----------
    records, study, actor
        Where, of which study, by whom.
    entry
        What the reader says.
    minutes
        How soon the site wants each category received.
    moment
        The present.

    Raises
    ------
    NotUnderstoodError
        If the finding or the alert is not of the study, or the times are not in order or yet to come.
    """
    finding = next(
        (each for each in findings_of(records, study) if each.finding_id == entry.finding_id), None
    )
    if finding is None:
        raise NotUnderstoodError("the study has no such finding")
    if entry.alert_id and entry.alert_id not in {
        each.alert_id for each in records.alerts.of_study(study.study_uid)
    }:
        raise NotUnderstoodError("the study has no such alert")
    # What is centuries away cannot be told in UTC, and is a slip in any case.
    if not _EARLIEST <= entry.identified_at <= entry.received_at <= moment + _CLOCKS_DIFFER:
        raise NotUnderstoodError("received is after identified, and neither is yet to come or long ago")
    identified, received = to_text(entry.identified_at), to_text(entry.received_at)
    return records.communications.add(
        Communication(
            study_uid=study.study_uid,
            number=1,
            version=study.version,
            alert_id=entry.alert_id,
            finding=finding,
            category=entry.category,
            identified_at=identified,
            communicator=actor.name,
            receiver_role=entry.receiver_role,
            receiver_name=entry.receiver_name,
            received_at=received,
            method=entry.method,
            read_back=entry.read_back,
            deadline_minutes=minutes[entry.category],
            late=is_late(identified, received, minutes[entry.category]),
            recorded_at=to_text(moment),
        ),
        actor.role.value,
    )
