"""Several readers at one study, in any order: what is signed never changes, and every step is written down."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from firstread.clock import to_text
from firstread.policy import Actor, Role
from firstread.records.audit import AuditEvent
from firstread.records.reviews import Step
from firstread.result import Code
from firstread.review import Review, ReviewedFinding, Verdict
from firstread.study import ReviewStatus, Study, StudyGathering
from portal.errors import ConflictError
from portal.logic.review import steps
from portal.logic.review.desk import Desk
from portal.logic.review.steps import Draft

START = datetime(2026, 3, 2, tzinfo=UTC)
ANN, BOB = Actor("ann", Role.RADIOLOGIST), Actor("bob", Role.RADIOLOGIST)
RAE, ROB = Actor("rae", Role.RESIDENT), Actor("rob", Role.RESIDENT)
ACTORS = st.sampled_from([ANN, BOB, RAE, ROB])
CODE = Code(value="128309002", scheme="SCT", meaning="Opacity")


def study(**values: object) -> Study:
    gathering = StudyGathering(
        study_uid="2.25.1",
        patient="FR-1",
        stored_count=1,
        held_count=0,
        first_arrival=to_text(START),
        last_arrival=to_text(START),
        modalities=("CR",),
        body_parts=(),
        description="",
        age_years=None,
        sex="",
        is_recent=True,
        simulated=False,
    )
    return Study(gathering=gathering, version=1).model_copy(update=values)


class Store:
    """A study and its reviews, changed as `ReviewRepository.act` changes them."""

    def __init__(self) -> None:
        self.study = study()
        self.reviews: dict[int, Review] = {}
        self.events: list[AuditEvent] = []
        self.signed: dict[int, Review] = {}
        self.moment = START
        self.before_write: Callable[[], None] | None = None

    def desk(self, actor: Actor) -> Desk:
        return Desk(self.study, tuple(self.reviews.values()), actor, self.moment)

    def act(self, actor: Actor, decide: Callable[[Desk], Step | None]) -> Step | None:
        """Decide, and write that; where somebody else wrote in between, decide anew."""
        step = decide(self.desk(actor))
        if self.before_write is not None:
            faster, self.before_write = self.before_write, None
            seen = self.study, dict(self.reviews), len(self.events)
            faster()
            if seen != (self.study, self.reviews, len(self.events)):
                step = decide(self.desk(actor))
        if step is not None:
            self._write(step)
        return step

    def _write(self, step: Step) -> None:
        changed = step.study.model_copy(update={"claimed_until": "", "claimed_at": "", "reader": ""})
        before = self.study.model_copy(update={"claimed_until": "", "claimed_at": "", "reader": ""})
        assert step.event is not None or (changed == before and step.review is None)
        if step.review is not None:
            there = self.reviews.get(step.review.number)
            assert step.review.revision == (there.revision if there else 0)
            assert there is None or not there.is_signed
            written = step.review.model_copy(update={"revision": step.review.revision + 1})
            self.reviews[written.number] = written
            if written.is_signed:
                self.signed[written.number] = written
        if step.event is not None:
            self.events.append(step.event)
        self.study = step.study


def sign(desk: Desk, number: int, revision: int) -> Step | None:
    """Sign as `SignOff` does, without objects."""
    review = steps.signable(desk, number, revision, ["a"])
    if review.is_signed:
        return None
    signed = review.model_copy(
        update={"status": ReviewStatus.SIGNED, "signed_by": desk.actor.name, "signed_at": desk.at}
    )
    head = {"review": ReviewStatus.SIGNED, "signed_version": review.version, "claimed_until": ""}
    return Step(desk.study.model_copy(update=head), desk.event("review.sign", number=number), signed)


def said(verdict: Verdict | None = Verdict.ACCEPTED) -> tuple[ReviewedFinding, ...]:
    return (ReviewedFinding(finding_id="a", verdict=verdict, code=CODE),)


class Readers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store()

    def attempt(self, actor: Actor, decide: Callable[[Desk], Step | None]) -> None:
        events, before = len(self.store.events), (self.store.study, dict(self.store.reviews))
        try:
            self.store.act(actor, decide)
        except ConflictError as error:
            assert error.members["reason"]
            if self.store.before_write is None and len(self.store.events) == events:
                assert (self.store.study, self.store.reviews) == before
        self.store.before_write = None

    def known(self, actor: Actor, pick: int) -> tuple[int, int]:
        """Return a review as a reader may have it on their screen: number and revision."""
        desk = self.store.desk(actor)
        shown = [each for each in (desk.mine, desk.handed_in, *self.store.reviews.values()) if each]
        return (shown[pick % len(shown)].number, shown[pick % len(shown)].revision) if shown else (1, 1)

    @rule(actor=ACTORS, take_over=st.booleans())
    def claim(self, actor: Actor, take_over: bool) -> None:
        self.attempt(actor, lambda desk: steps.claim(desk, take_over=take_over))
        if take_over:
            assert self.store.desk(actor).holder == actor.name

    @rule(actor=ACTORS)
    def release(self, actor: Actor) -> None:
        self.attempt(actor, steps.release)
        assert self.store.desk(actor).holder != actor.name

    @rule(
        actor=ACTORS,
        text=st.sampled_from(["one", "two"]),
        verdict=st.sampled_from([Verdict.ACCEPTED, None]),
        knows=st.booleans(),
    )
    def save(self, actor: Actor, text: str, verdict: Verdict | None, knows: bool) -> None:
        desk = self.store.desk(actor)
        shown = desk.mine or (desk.handed_in if desk.signs else None)
        number, revision = (shown.number, shown.revision) if shown and shown in desk.open else (0, 0)
        amends = desk.amends if knows else 0
        draft = Draft(number, revision, self.store.study.version, amends, said(verdict), (), text)
        self.attempt(actor, lambda desk: steps.save(desk, draft))

    @rule(actor=ACTORS, pick=st.integers(0, 5))
    def submit(self, actor: Actor, pick: int) -> None:
        which = self.known(actor, pick)
        self.attempt(actor, lambda desk: steps.submit(desk, *which, ["a"]))

    @rule(actor=ACTORS, pick=st.integers(0, 5))
    def recall(self, actor: Actor, pick: int) -> None:
        which = self.known(actor, pick)
        self.attempt(actor, lambda desk: steps.recall(desk, *which))

    @rule(actor=ACTORS, pick=st.integers(0, 5))
    def discard(self, actor: Actor, pick: int) -> None:
        which = self.known(actor, pick)
        self.attempt(actor, lambda desk: steps.discard(desk, *which))

    @rule(actor=st.sampled_from([ANN, BOB]), pick=st.integers(0, 5))
    def signs(self, actor: Actor, pick: int) -> None:
        which = self.known(actor, pick)
        self.attempt(actor, lambda desk: sign(desk, *which))

    @rule(actor=st.sampled_from([ANN, BOB]), other=st.sampled_from([ANN, BOB]), pick=st.integers(0, 5))
    def two_sign_at_once(self, actor: Actor, other: Actor, pick: int) -> None:
        which = self.known(actor, pick)
        self.store.before_write = lambda: self.attempt(other, lambda desk: sign(desk, *which))
        self.attempt(actor, lambda desk: sign(desk, *which))

    @rule()
    def images_come(self) -> None:
        head = self.store.study
        review = ReviewStatus.UNREAD if head.review is ReviewStatus.SIGNED else head.review
        self.store.study = head.model_copy(update={"version": head.version + 1, "review": review})

    @rule(minutes=st.sampled_from([1, 16]))
    def time_goes_by(self, minutes: int) -> None:
        self.store.moment += timedelta(minutes=minutes)

    @invariant()
    def what_is_signed_stays(self) -> None:
        for number, review in self.store.signed.items():
            assert self.store.reviews[number] == review
            assert review.signed_by in ("ann", "bob")
            assert all(each.verdict for each in review.findings)

    @invariant()
    def one_signed_review_per_version_and_addenda_in_a_row(self) -> None:
        signed = sorted(self.store.signed.values(), key=lambda each: each.number)
        assert len([each for each in signed if not each.amends]) <= 1
        assert [each.amends for each in signed] == [0, *(each.number for each in signed)][: len(signed)]

    @invariant()
    def every_signature_and_draft_is_written_down(self) -> None:
        acts = [each.action for each in self.store.events]
        assert acts.count("review.sign") == len(self.store.signed)
        given_up = [each for each in self.store.reviews.values() if each.discarded_at]
        assert acts.count("review.discard") == len(given_up)
        assert acts.count("review.save") >= len(self.store.reviews)


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def saved(store: Store, actor: Actor, **values: object) -> Review:
    usual = Draft(number=0, revision=0, version=1, amends=0, findings=said(), measurements=(), impression="x")
    draft = replace(usual, **values)  # type: ignore[arg-type]
    step = store.act(actor, lambda desk: steps.save(desk, draft))
    assert step is not None and step.review is not None
    return store.reviews[step.review.number]


def test_a_review_is_signed_by_an_attending_only_when_all_is_judged() -> None:
    store = Store()
    review = saved(store, ANN, findings=())
    with pytest.raises(ConflictError) as raised:
        store.act(ANN, lambda desk: sign(desk, review.number, review.revision))
    assert raised.value.members["undecided"] == ["a"]


def test_nothing_to_sign() -> None:
    store = Store()
    review = saved(store, ANN, findings=(), impression=" ")
    with pytest.raises(ConflictError) as raised:
        steps.signable(store.desk(ANN), review.number, review.revision, [])
    assert raised.value.members["reason"] == "empty"


def test_a_draft_of_another_is_not_signed() -> None:
    store = Store()
    review = saved(store, RAE)
    store.act(ANN, lambda desk: steps.claim(desk, take_over=True))
    with pytest.raises(ConflictError) as raised:
        store.act(ANN, lambda desk: sign(desk, review.number, review.revision))
    assert raised.value.members == {"reason": "not yours", "holder": "rae", "since": review.started_at}


def test_a_study_that_is_not_complete_is_not_reviewed() -> None:
    store = Store()
    store.study = study(version=0)
    with pytest.raises(ConflictError) as raised:
        saved(store, ANN, version=0)
    assert raised.value.members["reason"] == "incomplete"


def test_whoever_gives_up_a_draft_leaves_the_claim_of_another() -> None:
    store = Store()
    review = saved(store, RAE)
    store.act(ANN, lambda desk: steps.claim(desk, take_over=True))
    store.act(RAE, lambda desk: steps.discard(desk, review.number, review.revision))
    assert store.desk(ANN).holder == "ann"
    assert store.study.review is ReviewStatus.UNREAD
