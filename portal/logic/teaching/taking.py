"""A learner reads a case: start, hand in, see what others said. Nothing of it touches the clinical record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from firstread.clock import from_text, to_text
from firstread.policy import Action, Actor, can
from firstread.result import Code
from firstread.study import Study
from firstread.teaching.cases import Attempt, Case, Score, Seen, Standard
from firstread.teaching.progress import Distribution, Progress, distribution, progress
from firstread.teaching.scoring import score
from portal.errors import MissingError, NotPossibleError
from portal.logic.records import Records, resource_for
from portal.logic.study import SeriesView, series_of
from portal.logic.teaching.said import Said, checked, shapes
from portal.logic.worklist import View

STANDARD_WORDS = {
    Standard.SIGNED: "the review that a radiologist has signed",
    Standard.SIMULATED: "what was simulated",
    Standard.MODEL: "what a model said, which is no truth: nobody has signed this study",
}


@dataclass(frozen=True)
class Taking:
    """A case that somebody may take, and how far they are with it."""

    case: Case
    study: Study
    attempts: tuple[Attempt, ...]

    @property
    def current(self) -> Attempt | None:
        """Return the last attempt, or None."""
        return self.attempts[-1] if self.attempts else None

    @property
    def stage(self) -> str:
        """Return ``new``, ``reading`` or ``revealed``."""
        if self.current is None:
            return "new"
        return "revealed" if self.current.is_submitted else "reading"


class CaseRow(View):
    """A case in its collection; the score is that of the first attempt."""

    number: int
    title: str
    stage: str
    score: float | None = Field(None, ge=0, le=1)


class CollectionView(View):
    """A collection for a learner.

    Parameters
    ----------
    done
        How many of its cases they have handed in.
    next
        The first case that they have not; None where there is none.
    distribution
        How all did, for those who manage teaching; None for others.
    """

    name: str
    done: int
    next: int | None
    cases: tuple[CaseRow, ...]
    distribution: Distribution | None = None


class Reveal(View):
    """What is shown once a reading was handed in.

    Parameters
    ----------
    own, truth, model
        What the learner, the standard and the models say; None for models where nobody asked one, or where what they
        say is the standard.
    impression
        Of the signed review; "" where there is none.
    is_first
        Whether it counts: an attempt after a reveal does not.
    """

    standard: Standard
    standard_words: str
    own: tuple[Seen, ...]
    truth: tuple[Seen, ...]
    model: tuple[Seen, ...] | None
    impression: str
    points: str
    score: Score
    model_score: Score | None
    seconds: float
    is_first: bool


class CaseView(View):
    """A case on its page. Before the reveal it holds nothing of what others said.

    Parameters
    ----------
    series
        The images; empty before the clock has started.
    next
        The case after it, None where there is none.
    """

    collection: str
    number: int
    title: str
    study_uid: str
    stage: str
    attempt: int
    started_at: str
    choices: tuple[Code, ...]
    series: tuple[SeriesView, ...]
    next: int | None
    reveal: Reveal | None = None


def find(records: Records, actor: Actor, collection: str, number: int) -> Taking:
    """Return a case that somebody may take.

    Raises
    ------
    MissingError
        If there is none, or it is not for them.
    """
    case = records.teaching.case(collection, number)
    study = records.studies.get(case.study_uid) if case and not case.withdrawn_at else None
    if case is None or study is None:
        raise MissingError("no such case")
    if not can(actor, Action.TEACHING_TAKE, resource_for(records, study, actor)).allowed:
        raise MissingError("no such case")
    return Taking(case, study, records.teaching.attempts(actor.name, case.study_uid))


def start(records: Records, actor: Actor, moment: datetime, taking: Taking) -> None:
    """Start the clock, or let it run where it does; again after a reveal, for practice."""
    if taking.stage == "reading":
        return
    records.teaching.start(
        Attempt(
            learner=actor.name,
            collection=taking.case.collection,
            case=taking.case.number,
            study_uid=taking.case.study_uid,
            number=len(taking.attempts) + 1,
            started_at=to_text(moment),
        )
    )


def submit(records: Records, moment: datetime, taking: Taking, said: Sequence[Said]) -> None:
    """Hand a reading in; from then on standard and models are shown.

    Raises
    ------
    NotPossibleError
        If it was not started, or was handed in before, or a finding does not belong to the case.
    """
    attempt, case = taking.current, taking.case
    if attempt is None or attempt.is_submitted:
        raise NotPossibleError("there is no open reading of this case")
    instances = records.instances.of_study(case.study_uid)
    findings, frames = checked(said, case.choices, instances), shapes(instances)
    handed_in = attempt.model_copy(
        update={
            # It may have been started in another collection; what it is compared with is this case.
            "collection": case.collection,
            "case": case.number,
            "submitted_at": to_text(moment),
            "seconds": max(0.0, (moment - from_text(attempt.started_at)).total_seconds()),
            "findings": findings,
            "score": score(findings, case.truth, frames),
            "model_score": score(case.model, case.truth, frames) if case.model is not None else None,
        }
    )
    if not records.teaching.submit(handed_in):
        raise NotPossibleError("there is no open reading of this case")


def view(records: Records, actor: Actor, taking: Taking) -> CaseView:
    """Return a case as its page shows it."""
    case, attempt = taking.case, taking.current
    numbers = [each.number for each in records.teaching.cases(case.collection) if not each.withdrawn_at]
    opened = attempt is not None
    return CaseView(
        collection=case.collection,
        number=case.number,
        title=case.title,
        study_uid=case.study_uid,
        stage=taking.stage,
        attempt=attempt.number if attempt else 0,
        started_at=attempt.started_at if attempt else "",
        choices=case.choices,
        series=series_of(records.instances.of_study(case.study_uid)) if opened else (),
        next=next((number for number in numbers if number > case.number), None),
        reveal=_reveal(records, actor, taking, attempt) if attempt and attempt.is_submitted else None,
    )


def collections(records: Records, actor: Actor) -> tuple[CollectionView, ...]:
    """Return the collections that hold cases, with how far a learner is."""
    attempts = records.teaching.attempts(actor.name)
    found = (_collection(records, name, attempts) for name in records.teaching.collections())
    return tuple(each for each in found if each.cases)


def collection(records: Records, actor: Actor, name: str) -> CollectionView:
    """Return one collection.

    Raises
    ------
    MissingError
        If it holds no case.
    """
    found = _collection(records, name, records.teaching.attempts(actor.name))
    if not found.cases:
        raise MissingError("no such collection")
    if not can(actor, Action.TEACHING_MANAGE).allowed:
        return found
    return found.model_copy(update={"distribution": distribution(records.teaching.scores(name))})


def progress_of(records: Records, actor: Actor) -> Progress:
    """Return how a learner comes on; their own progress only."""
    return progress(records.teaching.attempts(actor.name))


def _collection(records: Records, name: str, attempts: Sequence[Attempt]) -> CollectionView:
    rows = tuple(_row(case, attempts) for case in records.teaching.cases(name) if not case.withdrawn_at)
    return CollectionView(
        name=name,
        done=sum(row.stage == "revealed" for row in rows),
        next=next((row.number for row in rows if row.stage != "revealed"), None),
        cases=rows,
    )


def _row(case: Case, attempts: Sequence[Attempt]) -> CaseRow:
    own = [each for each in attempts if each.study_uid == case.study_uid]
    done = next((each.score.value for each in own if each.counts and each.score), None)
    stage = "revealed" if any(each.is_submitted for each in own) else ("reading" if own else "new")
    return CaseRow(number=case.number, title=case.title, stage=stage, score=done)


def _reveal(records: Records, actor: Actor, taking: Taking, attempt: Attempt) -> Reveal | None:
    case = taking.case
    resource = resource_for(records, taking.study, actor)
    if attempt.score is None or not can(actor, Action.REPORT_VIEW, resource).allowed:
        return None
    reviews = records.reviews.of_study(case.study_uid) if case.review else ()
    return Reveal(
        standard=case.standard,
        standard_words=STANDARD_WORDS[case.standard],
        own=attempt.findings,
        truth=case.truth,
        model=case.model,
        impression=next((each.impression for each in reviews if each.number == case.review), ""),
        points=case.points,
        score=attempt.score,
        model_score=attempt.model_score,
        seconds=attempt.seconds or 0.0,
        is_first=attempt.counts,
    )
