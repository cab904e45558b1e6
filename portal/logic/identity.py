"""Whose a study is, for those who may know: through the identity vault, each look an event before the answer."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from threading import Lock

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from firstread.deid.vault.audit import AuditSink, Guard
from firstread.deid.vault.errors import RefusedError
from firstread.deid.vault.reader import Person, VaultReader
from firstread.deid.vault.rows import Rows
from firstread.errors import FirstReadError, NotFoundError, TransientError
from firstread.handling import describe
from firstread.policy import Action, Actor, Purpose, Role, can
from firstread.study import Study
from portal.logic.person_names import PersonName
from portal.logic.records import resource_of
from portal.logic.worklist import View

_logger = logging.getLogger(__name__)
_NAME, _BIRTH_DATE = "00100010", "00100030"
_STUDY_DATE, _ACCESSION, _REFERRING = "00080020", "00080050", "00080090"
_DOWN = (FirstReadError, sqlite3.Error, OSError, ValueError, BotoCoreError, ClientError, PynamoDBException)

_ANSWERED = (
    NotFoundError,
    RefusedError,
    TransientError,
)  # the others may be of a vault that was put under another key


class Identity(View):
    """Whose a study is.

    Parameters
    ----------
    study_uid
        Pseudonymous Study Instance UID.
    available
        Whether the vault answered and knows the patient; all else is empty where not.
    simulated
        Whether FirstRead made the study up, and the patient with it.
    name
        Patient's Name, in all forms in which it was sent.
    mrn, issuer
        Patient ID and its issuer, of today; merges are followed.
    formerly
        Patient ID in the images, where the patient has been merged since.
    birth_date, study_date
        True dates as ``2004-08-26``, or as they were sent where they are no dates.
    accession, referring
        Accession Number and Referring Physician's Name.
    """

    study_uid: str
    available: bool = False
    simulated: bool = False
    name: str = ""
    mrn: str = ""
    issuer: str = ""
    formerly: str = ""
    birth_date: str = ""
    accession: str = ""
    study_date: str = ""
    referring: str = ""


class Identities:
    """Looks identities up.

    Parameters
    ----------
    open_rows
        Opens the vault; called at the first look, and again after one that failed.
    audit
        Where looks are written down.
    """

    def __init__(self, open_rows: Callable[[], Rows], audit: AuditSink) -> None:
        self._open = open_rows
        self._audit = audit
        self._lock = Lock()
        self._rows: Rows | None = None

    def shown_to(self, actor: Actor, study: Study) -> Identity | None:
        """Return whose a study is, or None where the reader sees the pseudonym only.

        Where the vault is out of reach, or the look could not be written down, it is unavailable.
        """
        if not can(actor, Action.IDENTITY_VIEW, resource_of(study)).allowed:
            return None
        gathering = study.gathering
        unknown = Identity(study_uid=study.study_uid, simulated=gathering.simulated)
        try:
            reader = VaultReader(self._vault(), Guard(actor, self._audit))
            purpose = Purpose.DATA_QUALITY if actor.role is Role.DATA_STEWARD else Purpose.TREATMENT
            person = reader.person(gathering.patient, study.study_uid, purpose)
        except _DOWN as error:
            # A page without a name is of use, an error page is not; the text of an error could name somebody.
            _logger.warning("an identity is unavailable: %s", describe(error))
            if not isinstance(error, _ANSWERED):
                self._forget()
            return unknown
        return unknown.model_copy(update={"available": True, **_read(person)})

    def _vault(self) -> Rows:
        with self._lock:
            if self._rows is None:
                self._rows = self._open()
            return self._rows

    def _forget(self) -> None:
        with self._lock:
            self._rows = None


def _read(person: Person) -> dict[str, str]:
    patient, study = person.patient_module, person.study_module
    return {
        "name": str(PersonName.of(_value(patient, _NAME))),
        "mrn": person.patient.patient_id,
        "issuer": person.patient.issuer,
        "formerly": person.formerly.patient_id if person.formerly else "",
        "birth_date": _date(_value(patient, _BIRTH_DATE)),
        "accession": str(_value(study, _ACCESSION) or ""),
        "study_date": _date(_value(study, _STUDY_DATE)),
        "referring": str(PersonName.of(_value(study, _REFERRING))),
    }


def _value(module: Mapping[str, object], tag: str) -> object:
    """Return the first value of an element of the DICOM JSON model (PS3.18 F.2.2), or None."""
    element = module.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values[0] if isinstance(values, list) and values else None


def _date(value: object) -> str:
    """Return a DA as people write it."""
    text = str(value or "")
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else text
