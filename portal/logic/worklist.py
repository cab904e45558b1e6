"""The worklist: every open study that the reader may see, the most urgent first, then the longest wait."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from firstread.alert import Alert, AlertState
from firstread.clock import to_text
from firstread.order import Priority
from firstread.policy import Action, Actor, Resource, can
from firstread.records.studies import CLOSED, OPEN, SIGNED
from firstread.study import AnalysisStatus, ReviewStatus, Risk, Study
from portal.logic.display import (
    ALERT_WORDS,
    PRIORITY_WORDS,
    REVIEW_WORDS,
    STATUS_WORDS,
    assignee,
    risk_words,
    waiting,
    when,
)
from portal.logic.filters import Filters
from portal.logic.limits import WaitLimits
from portal.logic.order import Cursor, Reading, in_order, parse_cursor, place_of
from portal.logic.records import Records, resources_for

PAGE_ROWS = 50
MAX_ROWS = 500
MOST_READ = 500
"""Studies that one request looks at, however few of them a filter wants; the next page goes on from there."""
_LEAST_READ = 25


class View(BaseModel):
    """Base of what pages and the API show; never a stored record itself."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_serialization_defaults_required=True,  # nothing is left out of an answer
    )


class WorklistRow(View):
    """One study on the worklist.

    Parameters
    ----------
    priority_words
        "STAT" or "Urgent" where the order, the source or a header asks for haste, else "".
    risk, risk_words, probability, alert, alert_words
        None or "" where the reader's role sees no findings.
    urgent
        Whether it is STAT or at high risk, as far as the reader's role sees that.
    overdue
        Whether it has waited longer than its priority allows.
    is_reopened
        Whether something came after it was signed, so that it needs an addendum.
    assignee
        Who holds it for reading now; "" for nobody.
    done
        When it was signed or read elsewhere; "" while it is open.
    why
        Reasons behind the status, such as why no model applies.
    fingerprint
        Changes whenever anything shown in this row changes, except the waiting time.
    """

    study_uid: str
    risk: Risk | None
    risk_words: str
    probability: float | None
    priority_words: str
    urgent: bool
    overdue: bool
    waiting_since: str
    waiting: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    description: str
    patient: str
    stored_count: int
    held_count: int
    status: AnalysisStatus
    status_words: str
    why: tuple[str, ...]
    review: ReviewStatus
    review_words: str
    is_reopened: bool
    assignee: str
    may_claim: bool
    done: str
    alert: AlertState | None
    alert_words: str
    simulated: bool
    fingerprint: str


class ListKind(StrEnum):
    """The lists that a study can be on; it is on exactly one."""

    OPEN = OPEN
    READ_ELSEWHERE = CLOSED
    SIGNED = SIGNED


class Asked(Filters):
    """What a reader asks of a list; anything else is refused, for an ignored filter would answer with too much.

    Parameters
    ----------
    limit
        How many studies to show at most.
    cursor
        Where to go on, from the page before; "" for the beginning.
    """

    limit: int = Field(PAGE_ROWS, ge=1, le=MAX_ROWS)
    cursor: str = Field("", max_length=200)


class Worklist(View):
    """A page of a list at one moment.

    Parameters
    ----------
    at
        When it was read.
    shows_findings
        Whether the reader's role sees risk and probability.
    next
        The cursor of the next page; "" where there is none. Nothing is left out silently.
    looked_at, shown
        How many studies were looked at and shown, on this page and those before it. The difference was filtered out.
    """

    at: str
    kind: ListKind
    shows_findings: bool
    next: str
    looked_at: int
    shown: int
    rows: tuple[WorklistRow, ...]


def read_worklist(
    records: Records,
    actor: Actor,
    moment: datetime,
    asked: Asked | None = None,
    kind: ListKind = ListKind.OPEN,
    limits: WaitLimits | None = None,
) -> Worklist:
    """Return a page of a list for a reader.

    Parameters
    ----------
    records
        Where studies and alerts are.
    actor
        The reader; studies that are not for them are left out.
    moment
        The present.
    asked
        What they want to see, and from where on.
    kind
        Which list.
    limits
        When a study is overdue.

    Raises
    ------
    NotAllowedError
        If a filter would tell what the role does not see.
    NotUnderstoodError
        If the cursor is none.
    """
    asked, limits = asked or Asked(), limits or WaitLimits()
    asked.check(actor)
    start = parse_cursor(asked.cursor) if asked.cursor else Cursor(moment)
    shows_findings = can(actor, Action.FINDING_VIEW).allowed
    reading = Reading(
        which=kind.value,
        size=max(_LEAST_READ, asked.limit // 2 + 1),
        limits=limits,
        by_risk=shows_findings,
        bands=asked.bands(),
    )
    resource = resources_for(records, actor)

    def is_wanted(study: Study) -> tuple[bool, bool]:
        visible = can(actor, Action.STUDY_VIEW, resource(study)).allowed
        return visible, visible and asked.matches(study, actor, moment)

    found, end, more = _collect(in_order(records.studies, reading, start), asked, is_wanted, start)
    alerts = records.alerts.some(study.alert_id for study in found if study.alert_id)
    rows = tuple(
        make_row(
            study,
            alerts.get(study.alert_id),
            actor,
            moment,
            resource(study),
            overdue=limits.is_overdue(study, start.at),
        )
        for study in found
    )
    return Worklist(
        at=to_text(moment),
        kind=kind,
        shows_findings=shows_findings,
        next=str(end) if more else "",
        looked_at=end.looked_at,
        shown=end.shown,
        rows=rows,
    )


def _collect(
    studies: Iterator[tuple[int, Study]],
    asked: Asked,
    is_wanted: Callable[[Study], tuple[bool, bool]],
    start: Cursor,
) -> tuple[list[Study], Cursor, bool]:
    """Return the studies of a page, the cursor behind the last one looked at, and whether there are more.

    `is_wanted` says of a study whether the reader may see it, and whether they want to.
    """
    found: list[Study] = []
    most = max(asked.limit, MOST_READ)
    end = start
    for read, (level, study) in enumerate(studies):
        if len(found) == asked.limit or read == most:
            return found, end, True
        visible, wanted = is_wanted(study)
        if wanted:
            found.append(study)
        end = replace(
            end,
            level=level,
            position=place_of(study),
            looked_at=end.looked_at + visible,
            shown=start.shown + len(found),
        )
    return found, end, False


def make_row(
    study: Study,
    alert: Alert | None,
    actor: Actor,
    moment: datetime,
    resource: Resource,
    *,
    overdue: bool = False,
) -> WorklistRow:
    """Return a study, of which the policy is asked as `resource`, as one row of the worklist."""
    gathering = study.gathering
    shows = can(actor, Action.FINDING_VIEW, resource).allowed
    shows_alert = alert is not None and (shows or can(actor, Action.ALERT_VIEW, resource).allowed)
    row = WorklistRow(
        study_uid=study.study_uid,
        risk=study.risk if shows else None,
        risk_words=risk_words(study) if shows else "",
        probability=study.probability if shows else None,
        priority_words=PRIORITY_WORDS[study.priority],
        urgent=study.priority is Priority.STAT or (shows and study.risk is Risk.HIGH),
        overdue=overdue,
        waiting_since=gathering.first_arrival,
        waiting=waiting(gathering.first_arrival, moment),
        modalities=gathering.modalities,
        body_parts=gathering.body_parts,
        description=gathering.description,
        patient=gathering.patient,
        stored_count=gathering.stored_count,
        held_count=gathering.held_count,
        status=study.status,
        status_words=STATUS_WORDS[study.status],
        why=tuple(f"{model}: {reason}" for model, reason in sorted(study.not_applicable.items())),
        review=study.review,
        review_words=REVIEW_WORDS[study.review],
        is_reopened=study.is_reopened,
        assignee=assignee(study, moment),
        may_claim=can(actor, Action.STUDY_CLAIM, resource).allowed,
        done=when(study.signed_at if study.is_signed else study.read_elsewhere_at if study.is_closed else ""),
        alert=alert.state if alert is not None and shows_alert else None,
        alert_words=ALERT_WORDS[alert.state] if alert is not None and shows_alert else "",
        simulated=gathering.simulated,
        fingerprint="",
    )
    return row.model_copy(update={"fingerprint": _fingerprint(row)})


def _fingerprint(row: WorklistRow) -> str:
    shown = row.model_dump_json(exclude={"waiting", "fingerprint"})
    return hashlib.sha256(shown.encode()).hexdigest()[:16]
