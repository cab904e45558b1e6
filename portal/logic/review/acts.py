"""What readers do, each act one transaction with its audit event."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from firstread.policy import Actor
from firstread.records.reviews import Step
from firstread.review import Review
from firstread.study import Study
from firstread.vocabulary import Vocabulary, vocabulary
from portal.errors import ConflictError
from portal.logic.records import Records
from portal.logic.review import steps
from portal.logic.review.desk import Desk
from portal.logic.review.entries import Checker, Entries
from portal.logic.review.findings import proposed
from portal.logic.review.images import StudyImages
from portal.logic.review.measuring import Frames, Measurer
from portal.logic.review.overlay import OverlayPolicy, keeps_back
from portal.logic.review.refusals import require_version
from portal.logic.review.steps import Draft
from portal.logic.review.view import undecided


@dataclass(frozen=True)
class Reading:
    """A reader at a study.

    Parameters
    ----------
    records
        Where everything is.
    study_uid, actor
        The study and its reader.
    frames
        The images of studies.
    clock
        Says what time it is.
    policy
        When findings of models are shown.
    """

    records: Records
    study_uid: str
    actor: Actor
    frames: Frames
    clock: Callable[[], datetime]
    policy: OverlayPolicy = OverlayPolicy.HIDDEN

    def desk(self, study: Study, reviews: tuple[Review, ...] | None = None) -> Desk:
        """Return a study as it lies before the reader."""
        found = self.records.reviews.of_study(self.study_uid) if reviews is None else reviews
        return Desk(study, found, self.actor, self.clock())

    def act(self, decide: Callable[[Desk], Step | None]) -> Step | None:
        """Do what `decide` says of the study as it is then; again, where somebody else was faster."""
        return self.records.reviews.act(
            self.study_uid, lambda study, reviews: decide(self.desk(study, reviews))
        )

    def claim(self, *, take_over: bool) -> None:
        """Hold the study."""
        self.act(lambda desk: steps.claim(desk, take_over=take_over))

    def release(self) -> None:
        """Let others have the study."""
        self.act(steps.release)

    def save(self, entries: Entries) -> None:
        """Save what the reader says."""
        words = self.vocabulary()
        images = StudyImages(lambda uid: self.records.instances.get(self.study_uid, uid))

        def decide(desk: Desk) -> Step:
            known = proposed(self.records.results, desk.study)
            # What another version had is no finding of this one: that it has changed is to be said first.
            require_version(desk, entries.version)
            checker = Checker(known, words, images)
            # The images of a version do not change, and reading their pixels takes its time.
            earlier = {
                one.measurement_id: one
                for each in desk.reviews
                if each.version == entries.version
                for one in each.measurements
            }
            draft = Draft(
                number=entries.number,
                revision=entries.revision,
                version=entries.version,
                amends=entries.amends,
                findings=checker.checked(entries.findings),
                measurements=Measurer(images, self.frames, earlier).measured(entries.measurements),
                impression=entries.impression,
            )
            return steps.save(desk, draft)

        self.act(decide)

    def first_read(self, number: int, revision: int) -> None:
        """Record what the reader has found before findings of models are shown."""

        def decide(desk: Desk) -> Step:
            if not keeps_back(self.policy, desk.study, desk.actor, desk.reviews):
                raise ConflictError("results of models are shown already", reason="shown")
            return steps.first_read(desk, number, revision)

        self.act(decide)

    def discard(self, number: int, revision: int) -> None:
        """Give up a draft."""
        self.act(lambda desk: steps.discard(desk, number, revision))

    def submit(self, number: int, revision: int) -> None:
        """Hand in a draft."""
        self.act(lambda desk: steps.submit(desk, number, revision, self.missing(desk, number)))

    def recall(self, number: int, revision: int) -> None:
        """Take back, or hand back, what was handed in."""
        self.act(lambda desk: steps.recall(desk, number, revision))

    def missing(self, desk: Desk, number: int) -> tuple[str, ...]:
        """Return the findings that need a verdict and have none in a review."""
        review = next((each for each in desk.reviews if each.number == number), None)
        return undecided(proposed(self.records.results, desk.study), review)

    def vocabulary(self) -> Vocabulary:
        """Return what readers may choose from."""
        return vocabulary(self.records.models.all())

    def overlay(self, study: Study, *, shown: bool, model_id: str) -> None:
        """Write down that the reader has switched what a model says on or off; all models for "".

        Raises
        ------
        ConflictError
            If it is kept from the reader for now.
        """
        desk = self.desk(study)
        if shown and keeps_back(self.policy, study, self.actor, desk.reviews):
            raise ConflictError("say first what you see", reason="kept back")
        event = desk.event("overlay.show" if shown else "overlay.hide", version=study.version, model=model_id)
        self.records.audit.record(event)
