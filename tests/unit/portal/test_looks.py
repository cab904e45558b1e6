"""Looks are written once per reader, action and study for some minutes, and never lost."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from firstread.errors import TransientError
from firstread.policy import Action, Actor, Role
from firstread.records.audit import AuditEvent, AuditTrail
from portal.logic.looks import AGAIN_AFTER, POLLED_FOR, Looks

ANN, BOB = Actor("ann", Role.RADIOLOGIST), Actor("bob", Role.RESIDENT)


class Trail(AuditTrail):
    """A trail in memory that can be out of reach."""

    def __init__(self) -> None:
        self.written: list[AuditEvent] = []
        self.down = False

    def record(self, event: AuditEvent) -> None:
        if self.down:
            raise TransientError("out of reach")
        self.written.append(event)


@dataclass
class World:
    trail: Trail = field(default_factory=Trail)
    moment: datetime = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)

    def looks(self, most: int = 100) -> Looks:
        return Looks(self.trail, lambda: self.moment, most)


def test_scrolling_through_a_study_is_one_look_and_minutes_later_another() -> None:
    world = World()
    looks = world.looks()
    for _ in range(300):
        looks.write(ANN, Action.IMAGE_VIEW, "study#1", door="dicomweb")
    assert [(e.subject, e.action, e.actor, e.role) for e in world.trail.written] == [
        ("study#1", "image.view", "ann", "radiologist")
    ]
    assert world.trail.written[0].details == {"door": "dicomweb"}
    world.moment += AGAIN_AFTER
    looks.write(ANN, Action.IMAGE_VIEW, "study#1", door="dicomweb")
    assert len(world.trail.written) == 2
    looks.write(ANN, Action.IMAGE_VIEW, "study#1", door="page")
    assert len(world.trail.written) == 3


def test_another_reader_action_or_study_is_another_look() -> None:
    world = World()
    looks = world.looks()
    looks.write(ANN, Action.IMAGE_VIEW, "study#1")
    looks.write(BOB, Action.IMAGE_VIEW, "study#1")
    looks.write(ANN, Action.OVERLAY_VIEW, "study#1")
    looks.write(ANN, Action.IMAGE_VIEW, "study#2")
    assert len(world.trail.written) == 4


def test_a_page_that_polls_belongs_to_its_load_and_nobody_hides_behind_polling() -> None:
    world = World()
    looks = world.looks()
    looks.write(ANN, Action.WORKLIST_VIEW, "session#ann", polled=True)
    assert len(world.trail.written) == 1, "no load before it"
    world.moment += POLLED_FOR - timedelta(seconds=1)
    looks.write(ANN, Action.WORKLIST_VIEW, "session#ann", polled=True)
    assert len(world.trail.written) == 1
    looks.write(ANN, Action.WORKLIST_VIEW, "session#ann")
    assert len(world.trail.written) == 2


def test_a_look_that_could_not_be_written_is_not_answered_and_not_remembered() -> None:
    world = World()
    looks = world.looks()
    world.trail.down = True
    with pytest.raises(TransientError):
        looks.write(ANN, Action.STUDY_VIEW, "study#1")
    world.trail.down = False
    looks.write(ANN, Action.STUDY_VIEW, "study#1")
    assert len(world.trail.written) == 1


def test_what_is_remembered_is_bounded() -> None:
    world = World()
    looks = world.looks(most=10)
    for number in range(11):
        looks.write(ANN, Action.STUDY_VIEW, f"study#{number}")
    looks.write(ANN, Action.STUDY_VIEW, "study#10")
    assert len(world.trail.written) == 11
    looks.write(ANN, Action.STUDY_VIEW, "study#0")
    assert len(world.trail.written) == 12
