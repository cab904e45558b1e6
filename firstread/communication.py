"""The communication of a critical result: a reader confirmed a finding and told somebody of the care team.

It is not the alert: an alert is a model's unconfirmed word to a reader, a communication is a reader's word to whoever
looks after the patient. Who received it may be personal data; it is stored, and never logged or audited.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum

from pydantic import Field

from firstread.clock import from_text
from firstread.result import Code, Result
from firstread.review import Review, ReviewedFinding, Verdict
from firstread.value import Value


class Category(IntEnum):
    """How soon somebody has to know (ACR Practice Parameter for Communication of Diagnostic Imaging Findings)."""

    MINUTES = 1
    HOURS = 2
    DAYS = 3


class Method(StrEnum):
    """How it was communicated."""

    TELEPHONE = "telephone"
    IN_PERSON = "in person"
    VIDEO = "video call"
    SECURE_MESSAGE = "secure message"


class ChosenFinding(Value):
    """The finding that was communicated, as a coded label of the study.

    Parameters
    ----------
    finding_id
        Tracking UID of the finding; where it has none, its result and place there.
    confirmed
        Whether a reader accepted, changed or added it in a review.
    """

    finding_id: str
    code: Code
    confirmed: bool = False


class Communication(Value):
    """One critical result, communicated; written once.

    Parameters
    ----------
    number
        Counts the communications of a study; 1 first.
    version
        Study version that the reader looked at.
    alert_id
        The alert it followed from; "" for none.
    identified_at
        When the reader identified the finding (`firstread.clock` text).
    communicator
        User name of who communicated it.
    receiver_role, receiver_name
        Who was told, in the reader's words.
    received_at
        When they had it.
    read_back
        Whether they read it back.
    deadline_minutes, late
        How soon the site wants it received, and whether it was not.
    recorded_at
        When this was written down.
    """

    study_uid: str
    number: int = Field(ge=1)
    version: int
    alert_id: str = ""
    finding: ChosenFinding
    category: Category
    identified_at: str
    communicator: str
    receiver_role: str = Field(min_length=1, max_length=100, repr=False)
    receiver_name: str = Field(min_length=1, max_length=100, repr=False)
    received_at: str
    method: Method
    read_back: bool
    deadline_minutes: float
    late: bool
    recorded_at: str


def is_late(identified_at: str, received_at: str, minutes: float) -> bool:
    """Tell whether it took longer than so many minutes until somebody had it."""
    return (from_text(received_at) - from_text(identified_at)).total_seconds() > minutes * 60


def choices(results: Iterable[Result], reviews: Iterable[Review]) -> tuple[ChosenFinding, ...]:
    """Return the findings that a reader may choose from: what readers left standing, and what models say.

    Parameters
    ----------
    results
        On the current version; what is beside the worklist is left out.
    reviews
        Of the study, oldest first; the last signed word on a finding counts, and what was rejected is left out.
    """
    last: dict[str, ReviewedFinding] = {
        each.finding_id: each for review in reviews if review.signed_at for each in review.findings
    }
    found: dict[str, ChosenFinding] = {}
    for result in results:
        for place, finding in enumerate(() if result.beside else result.findings):
            finding_id = finding.tracking_uid or f"{result.result_id}/{place}"
            found[finding_id] = ChosenFinding(finding_id=finding_id, code=finding.code)
    for finding_id, each in last.items():
        if each.verdict is Verdict.REJECTED:
            found.pop(finding_id, None)
        elif each.verdict is not None:
            found[finding_id] = ChosenFinding(finding_id=finding_id, code=each.code, confirmed=True)
    return tuple(found.values())
