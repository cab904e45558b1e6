"""The whole table of roles and actions, and that the page about roles says the same."""

from pathlib import Path

import pytest

from firstread.policy import Action, Actor, Resource, Role, Teaching, can

RESOURCES = (
    REAL := Resource(study_uid="2.25.1", teaching=Teaching.NONE),
    Resource(study_uid="2.25.1", simulated=True, teaching=Teaching.NONE),
    Resource(study_uid="2.25.1", signed=True, teaching=Teaching.NONE),
    Resource(study_uid="2.25.1", teaching=Teaching.CASE),
    Resource(study_uid="2.25.1", teaching=Teaching.REVEALED),
    Resource(study_uid="2.25.1", simulated=True, teaching=Teaching.CASE),
    Resource(study_uid="2.25.1", simulated=True, teaching=Teaching.REVEALED),
    Resource(study_uid="2.25.1", simulated=True, teaching=Teaching.UNKNOWN),
)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roles.md"

# Real, simulated, signed; then a real case, the same handed in, a simulated case, the same handed in; a simulated study
# of which nobody has looked up whether it is a case.
CELL = {
    "y": "yyyyyyyy",
    "-": "--------",
    "f": "--y-----",  # signed ("final")
    "s": "-y-----y",  # simulated
    "c": "-y-yyyyy",  # simulated, and cases
    "r": "-y--y-y-",  # simulated, and cases handed in
    "h": "----y-y-",  # cases handed in
    "t": "---yyyy-",  # cases
}
WORDS = {
    "yes": "y",
    "": "-",
    "signed": "f",
    "simulated": "s",
    "simulated, case": "c",
    "simulated, case handed in": "r",
    "case handed in": "h",
    "case": "t",
}
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
    Action.IMAGE_VIEW: "yyfcyy----",
    Action.FINDING_VIEW: "yy-r-y--y-",
    Action.OVERLAY_VIEW: "yy-r-y----",
    Action.ALERT_VIEW: "yy---y----",
    Action.ALERT_ACKNOWLEDGE: "yy--------",
    Action.ALERT_STATISTICS: "y----yyy--",
    Action.COMMUNICATION_RECORD: "yy--------",
    Action.STUDY_CLAIM: "yy--------",
    Action.REVIEW_VIEW: "yy---y----",
    Action.REVIEW_WRITE: "yy--------",
    Action.REVIEW_SIGN: "y---------",
    Action.REPORT_VIEW: "yyfh-y----",
    Action.TEACHING_TAKE: "yy-t------",
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
    # A worklist belongs to no study; asking for it with one changes nothing for those who may.
    decisions = "".join("y" if can(actor, action, resource).allowed else "-" for resource in RESOURCES)
    if action is Action.WORKLIST_VIEW:
        assert can(actor, action).allowed == (cell == "y")
    else:
        assert decisions == CELL[cell]


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
    assert header == ["action", *(role.value for role in ORDER)]
    assert {row[0]: "".join(WORDS[cell] for cell in row[1:]) for row in rows} == {
        action.value: cells for action, cells in TABLE.items()
    }
