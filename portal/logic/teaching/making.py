"""A radiologist makes a study a teaching case, or takes it back."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, field_validator

from firstread.policy import Actor
from firstread.records.audit import AuditEvent, Detail
from firstread.records.transactions import ConditionFailedError
from firstread.result import Code
from firstread.review import Review
from firstread.study import Study
from firstread.teaching.cases import Case, Seen, Standard, of_models, of_review
from firstread.teaching.words import MAX_TITLE, CollectionName, unknown_words
from firstread.vocabulary import vocabulary
from portal.errors import NotPossibleError
from portal.logic.records import Records
from portal.logic.teaching.said import Said, checked

_TRIES = 8


class WantedCase(BaseModel):
    """What a radiologist wants a case to be.

    Parameters
    ----------
    truth
        What the simulation put into a simulated study that nobody has signed; None where the radiologist does not know.
    """

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName
    title: str = Field(min_length=3, max_length=MAX_TITLE)
    points: str = Field("", max_length=2000)
    truth: tuple[Said, ...] | None = Field(None, max_length=20)

    @field_validator("title")
    @classmethod
    def _titled(cls, title: str) -> str:
        if unknown_words(title):
            raise ValueError("not a title")
        return title.strip()


def signed_review(records: Records, study: Study) -> Review | None:
    """Return the newest signed review of a study, or None."""
    return max(
        (each for each in records.reviews.of_study(study.study_uid) if each.is_signed),
        key=lambda review: review.number,
        default=None,
    )


def may_teach(records: Records, study: Study) -> bool:
    """Return whether a study can be made a case: it is signed, or nobody's."""
    return study.version > 0 and (study.gathering.simulated or signed_review(records, study) is not None)


def make(records: Records, study: Study, actor: Actor, at: str, wanted: WantedCase) -> Case:
    """Make a study a case; the audit event of the study says so.

    Parameters
    ----------
    records, study
        Where everything is, and which study.
    actor, at
        Who does it, and when.
    wanted
        What the case is to be.

    Raises
    ------
    NotPossibleError
        If there is nothing to compare a reading with, or the study is in the collection.
    """
    for _ in range(_TRIES):
        cases = records.teaching.cases(wanted.collection)
        if any(each.study_uid == study.study_uid and not each.withdrawn_at for each in cases):
            raise NotPossibleError("the study is in this collection")
        case = _case(records, study, wanted, len(cases) + 1, actor, at)
        try:
            _record(records, case, actor, at, "teaching.add")
        except ConditionFailedError:
            continue  # somebody else took the number
        return case
    raise NotPossibleError("others keep adding to this collection; try again")


def withdraw(records: Records, case: Case, actor: Actor, at: str) -> None:
    """Take a case back: what was written about it goes, its number stays, its study is no case any more."""
    if not case.withdrawn_at:
        gone = {"withdrawn_at": at, "title": "withdrawn", "points": ""}
        _record(records, case.model_copy(update=gone), actor, at, "teaching.withdraw")


def _record(records: Records, case: Case, actor: Actor, at: str, action: str) -> None:
    details: dict[str, Detail] = {"collection": case.collection, "case": case.number}
    event = AuditEvent(f"study#{case.study_uid}", action, actor.name, actor.role.value, at, details)
    write = records.teaching.withdraw if case.withdrawn_at else records.teaching.add
    records.audit.write_with(event, lambda entry: write(case, entry))


def _case(records: Records, study: Study, wanted: WantedCase, number: int, actor: Actor, at: str) -> Case:
    review = signed_review(records, study)
    version = review.version if review else study.version
    if not may_teach(records, study):
        raise NotPossibleError("only a signed study or a simulated one can be a teaching case")
    results = records.results.of_version(study.study_uid, version)
    model, known = of_models(results), vocabulary(records.models.all())
    if review is not None:
        standard, truth = Standard.SIGNED, of_review(review, results)
    elif wanted.truth is not None:
        standard = Standard.SIMULATED
        truth = checked(wanted.truth, known.findings, records.instances.of_study(study.study_uid))
    elif model is not None:
        standard, truth, model = Standard.MODEL, model, None
    else:
        raise NotPossibleError("nobody has signed it, and no model has said anything: say what was simulated")
    return Case(
        collection=wanted.collection,
        number=number,
        study_uid=study.study_uid,
        version=version,
        standard=standard,
        review=review.number if review else 0,
        truth=truth,
        model=model,
        choices=_choices(known.findings, (*truth, *(model or ()))),
        title=wanted.title,
        points=wanted.points.strip(),
        made_by=actor.name,
        made_at=at,
    )


def _choices(known: Iterable[Code], seen: Iterable[Seen]) -> tuple[Code, ...]:
    """Return what is there among all that could be; the order tells nothing."""
    merged = {(code.scheme, code.value): code for code in (*known, *(each.code for each in seen))}
    return tuple(sorted(merged.values(), key=lambda code: (code.meaning.casefold(), code.value)))
