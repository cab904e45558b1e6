"""The whole table of roles and actions, and that the page about roles says the same."""

from pathlib import Path

import pytest

from firstread.policy import Action, Actor, Resource, Role, can

REAL = Resource(study_uid="2.25.1")
SIMULATED = Resource(study_uid="2.25.1", simulated=True)
SIGNED = Resource(study_uid="2.25.1", signed=True)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roles.md"

# y: yes; s: simulated studies only; f: signed ("final") studies only; -: no
ORDER = (
    Role.RADIOLOGIST,
    Role.RESIDENT,
    Role.REFERRING_CLINICIAN,
    Role.STUDENT,
    Role.TECHNOLOGIST,
    Role.DATA_STEWARD,
    Role.AUDITOR,
    Role.ADMIN,
    Role.SERVICE,
    Role.FEED,
)
TABLE = {
    Action.WORKLIST_VIEW: "yy-yyy-yy-",
    Action.STUDY_VIEW: "yyfsyy-yy-",
    Action.IMAGE_VIEW: "yyfsyy----",
    Action.FINDING_VIEW: "yy-s-y--y-",
    Action.OVERLAY_VIEW: "yy-s-y----",
    Action.ALERT_VIEW: "yy---y----",
    Action.ALERT_ACKNOWLEDGE: "yy--------",
    Action.ALERT_STATISTICS: "y----yyy--",
    Action.COMMUNICATION_RECORD: "yy--------",
    Action.STUDY_CLAIM: "yy--------",
    Action.REVIEW_VIEW: "yy---y----",
    Action.REVIEW_WRITE: "yy--------",
    Action.REVIEW_SIGN: "y---------",
    Action.REPORT_VIEW: "yyf--y----",
    Action.TEACHING_TAKE: "yy-s------",
    Action.TEACHING_MANAGE: "y---------",
    Action.AUDIT_VIEW: "------y---",
    Action.IDENTITY_VIEW: "yy---y----",
    Action.IDENTITY_MANAGE: "-----y----",
    Action.IDENTITY_MERGE: "-----y---y",
    Action.LEDGER_VIEW: "-----y-y--",
    Action.QUARANTINE_VIEW: "----yy-y--",
    Action.QUARANTINE_RELEASE: "-----y----",
    Action.QUARANTINE_DISCARD: "-----y----",
    Action.PIPELINE_REPAIR: "-----y-y--",
    Action.MODEL_MANAGE: "-------y--",
    Action.SESSION_END: "-------y--",
}
CELLS = [(role, action, TABLE[action][column]) for action in TABLE for column, role in enumerate(ORDER)]


def test_table_is_complete() -> None:
    assert set(TABLE) == set(Action)
    assert set(ORDER) == set(Role)
    assert len(CELLS) == len(Role) * len(Action)


@pytest.mark.parametrize(("role", "action", "cell"), CELLS)
def test_can(role: Role, action: Action, cell: str) -> None:
    actor = Actor("somebody", role)
    expected = {"y": (True, True, True), "s": (False, True, False), "f": (False, False, True)}
    # A worklist belongs to no study; asking for it with one changes nothing for those who may.
    decisions = tuple(can(actor, action, resource).allowed for resource in (REAL, SIMULATED, SIGNED))
    if action is Action.WORKLIST_VIEW:
        assert can(actor, action).allowed == (cell == "y")
    else:
        assert decisions == expected.get(cell, (False, False, False))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_every_decision_has_a_reason(role: Role, action: Action) -> None:
    assert can(Actor("somebody", role), action, REAL).reason


def test_page_has_a_heading_for_each_role() -> None:
    headings = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert headings == [f"## {role.value}" for role in ORDER]


def test_page_shows_the_same_table() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    words = {"yes": "y", "simulated": "s", "signed": "f", "": "-"}
    assert header == ["action", *(role.value for role in ORDER)]
    assert {row[0]: "".join(words[cell] for cell in row[1:]) for row in rows} == {
        action.value: cells for action, cells in TABLE.items()
    }
