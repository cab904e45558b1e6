"""Who may do what: `can(actor, action, resource)` says yes or no, and why. Pure; every door asks it.

`docs/reference/roles.md` describes each role; `tests/unit/test_policy.py` holds the whole table. What no rule
allows is refused.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is here as. `MACHINES` are no persons."""

    RADIOLOGIST = "radiologist"
    RESIDENT = "resident"
    REFERRING_CLINICIAN = "referring clinician"
    STUDENT = "student"
    TECHNOLOGIST = "technologist"
    DATA_STEWARD = "data steward"
    AUDITOR = "auditor"
    ADMIN = "admin"
    SERVICE = "service"
    FEED = "feed"


MACHINES = frozenset({Role.SERVICE, Role.FEED})


def group_of(role: Role) -> str:
    """Return the group of an identity provider whose members have a role; names of groups hold no space."""
    return role.value.replace(" ", "-")


class Action(StrEnum):
    """What can be done."""

    WORKLIST_VIEW = "worklist.view"
    STUDY_VIEW = "study.view"
    IMAGE_VIEW = "image.view"
    FINDING_VIEW = "finding.view"
    OVERLAY_VIEW = "overlay.view"
    ALERT_VIEW = "alert.view"
    ALERT_ACKNOWLEDGE = "alert.acknowledge"
    ALERT_STATISTICS = "alert.statistics"
    COMMUNICATION_RECORD = "communication.record"
    STUDY_CLAIM = "study.claim"
    REVIEW_VIEW = "review.view"
    REVIEW_WRITE = "review.write"
    REVIEW_SIGN = "review.sign"
    REPORT_VIEW = "report.view"
    TEACHING_TAKE = "teaching.take"
    TEACHING_MANAGE = "teaching.manage"
    AUDIT_VIEW = "audit.view"
    IDENTITY_VIEW = "identity.view"
    IDENTITY_MANAGE = "identity.manage"
    IDENTITY_MERGE = "identity.merge"
    LEDGER_VIEW = "ledger.view"
    QUARANTINE_VIEW = "quarantine.view"
    QUARANTINE_RELEASE = "quarantine.release"
    QUARANTINE_DISCARD = "quarantine.discard"
    PIPELINE_REPAIR = "pipeline.repair"
    MODEL_MANAGE = "model.manage"
    SESSION_END = "session.end"


class Purpose(StrEnum):
    """Why somebody asks the identity vault, as the audit trail records it.

    A choice and no free text, which could name a patient.
    """

    TREATMENT = "treatment"
    RETURN = "return"
    PATIENT_REQUEST = "patient_request"
    DATA_QUALITY = "data_quality"
    INCIDENT = "incident"
    OPERATIONS = "operations"


class Teaching(StrEnum):
    """What a study is to a learner who asks.

    `UNKNOWN`: nobody has looked it up, so nothing that could give a case away is shown. `CASE`: a teaching case that
    the learner has not handed in. `REVEALED`: one that they have.
    """

    UNKNOWN = "unknown"
    NONE = "none"
    CASE = "case"
    REVEALED = "revealed"


@dataclass(frozen=True)
class Actor:
    """Somebody who signed in.

    Parameters
    ----------
    name
        User name, as the audit trail records it.
    role
        The one role of this session.
    """

    name: str
    role: Role


@dataclass(frozen=True)
class Resource:
    """What the action is done to, as far as rules ask.

    Parameters
    ----------
    study_uid
        Pseudonymous Study Instance UID; "" for what belongs to no study, such as the worklist.
    simulated
        Whether the study was made by FirstRead and is nobody's.
    signed
        Whether a radiologist has signed the study.
    teaching
        What it is to the learner who asks; of no meaning for other roles.
    """

    study_uid: str = ""
    simulated: bool = False
    signed: bool = False
    teaching: Teaching = Teaching.UNKNOWN


@dataclass(frozen=True)
class Decision:
    """Whether an action is allowed, and why; the reason may be shown to the actor."""

    allowed: bool
    reason: str


NOTHING_IN_PARTICULAR = Resource()

_STUDY = frozenset({Action.STUDY_VIEW, Action.IMAGE_VIEW})
_ANALYSIS = frozenset({Action.FINDING_VIEW, Action.OVERLAY_VIEW})
_UPKEEP = frozenset({Action.LEDGER_VIEW, Action.QUARANTINE_VIEW, Action.PIPELINE_REPAIR})
_READER = (
    _STUDY
    | _ANALYSIS
    | frozenset(
        {
            Action.WORKLIST_VIEW,
            Action.ALERT_VIEW,
            Action.ALERT_ACKNOWLEDGE,
            Action.COMMUNICATION_RECORD,
            Action.STUDY_CLAIM,
            Action.REVIEW_VIEW,
            Action.REVIEW_WRITE,
            Action.REPORT_VIEW,
            Action.IDENTITY_VIEW,
            Action.TEACHING_TAKE,
        }
    )
)

_ALLOWED: dict[Role, frozenset[Action]] = {
    Role.RADIOLOGIST: _READER | {Action.REVIEW_SIGN, Action.ALERT_STATISTICS, Action.TEACHING_MANAGE},
    # Drafts and hands in; an attending signs.
    Role.RESIDENT: _READER,
    # Unconfirmed findings of a model are for those who read the images; this role waits for the report.
    Role.REFERRING_CLINICIAN: _STUDY | {Action.REPORT_VIEW},
    Role.STUDENT: _STUDY | _ANALYSIS | {Action.WORKLIST_VIEW, Action.TEACHING_TAKE, Action.REPORT_VIEW},
    Role.TECHNOLOGIST: _STUDY | {Action.WORKLIST_VIEW, Action.QUARANTINE_VIEW},
    Role.DATA_STEWARD: (
        _STUDY
        | _ANALYSIS
        | _UPKEEP
        | {Action.QUARANTINE_RELEASE, Action.QUARANTINE_DISCARD}
        | {Action.WORKLIST_VIEW, Action.ALERT_VIEW, Action.ALERT_STATISTICS, Action.IDENTITY_VIEW}
        | {Action.REVIEW_VIEW, Action.REPORT_VIEW}
        | {Action.IDENTITY_MANAGE, Action.IDENTITY_MERGE}
    ),
    Role.AUDITOR: frozenset({Action.AUDIT_VIEW, Action.ALERT_STATISTICS}),
    Role.ADMIN: _UPKEEP
    | {Action.ALERT_STATISTICS, Action.WORKLIST_VIEW, Action.STUDY_VIEW, Action.MODEL_MANAGE}
    | {Action.SESSION_END},
    Role.SERVICE: frozenset({Action.WORKLIST_VIEW, Action.STUDY_VIEW, Action.FINDING_VIEW}),
    Role.FEED: frozenset({Action.IDENTITY_MERGE}),
}


def can(actor: Actor, action: Action, resource: Resource = NOTHING_IN_PARTICULAR) -> Decision:
    """Decide whether somebody may do something.

    Parameters
    ----------
    actor
        Who asks.
    action
        What they want to do.
    resource
        What they want to do it to.

    Returns
    -------
    Decision
        With a reason in words, whether allowed or not.

    Examples
    --------
    >>> can(Actor("ann", Role.RADIOLOGIST), Action.ALERT_ACKNOWLEDGE).allowed
    True
    """
    if action not in _ALLOWED[actor.role]:
        return Decision(False, f"{action.value} is not for the role {actor.role.value}")
    if resource.study_uid:
        if actor.role is Role.REFERRING_CLINICIAN and not resource.signed:
            return Decision(False, "the study has not been signed")
        if actor.role is Role.STUDENT:
            return _for_a_student(action, resource)
    return Decision(True, f"{action.value} is for the role {actor.role.value}")


def _for_a_student(action: Action, resource: Resource) -> Decision:
    """Decide on a study: simulated ones are open to students; of a teaching case, the images until it was handed in."""
    is_case = resource.teaching in (Teaching.CASE, Teaching.REVEALED)
    if action is Action.TEACHING_TAKE:
        return Decision(is_case, "students take teaching cases")
    if action is Action.REPORT_VIEW or action in _ANALYSIS:
        if resource.teaching is Teaching.REVEALED:
            return Decision(True, "the case has been handed in")
        shown = resource.simulated and resource.teaching is Teaching.NONE and action in _ANALYSIS
        return Decision(
            shown, "students see the analysis of simulated studies, and of cases they have handed in"
        )
    if action is Action.IMAGE_VIEW and is_case:
        return Decision(True, "students see the images of teaching cases")
    if is_case:
        return Decision(False, "a teaching case has its own page")
    return Decision(resource.simulated, "students see simulated studies")
