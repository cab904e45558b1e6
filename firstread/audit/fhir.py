"""An event of the audit trail as a FHIR R4 AuditEvent, by the IHE Basic Audit Log Patterns (BALP) where one fits.

The mapping is pure: rows keep our compact body, over which the digest is taken, and the resource is made whenever
somebody asks. So a correction here breaks no chain, and whoever has a resource has the body too and can verify it.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from firstread.policy import MACHINES, Role
from firstread.records.audit import Detail, Entry

Resource = dict[str, Any]

ACTION_SYSTEM: Final = "urn:firstread:action"
ACTOR_SYSTEM: Final = "urn:firstread:actor"
ROLE_SYSTEM: Final = "urn:firstread:role"
RECORD_SYSTEM: Final = "urn:firstread:audit"
_BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_TERMS: Final = "http://terminology.hl7.org/CodeSystem/"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_REST: Final = "http://hl7.org/fhir/restful-interaction"
_UNKNOWN: Final = {
    # Not recorded: the logs of the load balancer have addresses, and no row of ours repeats where staff sit.
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "not-asked"}
    ]
}


@dataclass(frozen=True)
class _Kind:
    """What sort of event an action is.

    Parameters
    ----------
    action
        FHIR: C, R, U, D or E.
    pattern
        Name of the BALP pattern, "" for none.
    interaction
        What it would be in a RESTful interface.
    type
        Code and display of DICOM PS3.15 A.5 where no pattern fits.
    """

    action: str
    pattern: str = ""
    interaction: str = ""
    type: tuple[str, str] = ("", "")


_READ = _Kind("R", "Read", "read")
_QUERY = _Kind("E", "Query", "search")
_CREATE = _Kind("C", "Create", "create")
_UPDATE = _Kind("U", "Update", "update")
_DELETE = _Kind("D", "Delete", "delete")
_SIGN_IN = _Kind("E", type=("110114", "User Authentication"))
_AUDIT_USED = _Kind("R", type=("110101", "Audit Log Used"))
_ACTIVITY = _Kind("E", type=("110100", "Application Activity"))

_BY_ACTION: Final = {"worklist.view": _QUERY, "audit.view": _AUDIT_USED, "alert.statistics": _QUERY}
_BY_VERB: Final = {
    "view": _READ,
    "query": _QUERY,
    "create": _CREATE,
    "add": _CREATE,
    "discard": _DELETE,
    "delete": _DELETE,
}
_ABOUT_DATA: Final = frozenset({"study", "identity", "object", "alert", "model", "review"})
_PURPOSES: Final = {"treatment": "TREAT", "patient_request": "PATRQT", "operations": "HOPERAT"}


def resource(entry: Entry) -> Resource:
    """Return an event as a FHIR R4 AuditEvent.

    Parameters
    ----------
    entry
        The event as it is written down.

    Returns
    -------
    dict
        JSON (http://hl7.org/fhir/R4/auditevent.html). ``meta.profile`` names a BALP pattern only where the event keeps
        to it: a success, of a person or program, on one thing.
    """
    kind, failed = _kind(entry), _failed(entry.details)
    patient = _patient(entry)
    made: Resource = {"resourceType": "AuditEvent", "id": entry.digest}
    if kind.pattern and not failed:
        made["meta"] = {"profile": [f"{_BALP}{'Patient' if patient else ''}{kind.pattern}"]}
    made |= {
        "type": _type(kind),
        "subtype": _subtypes(entry, kind),
        "action": kind.action,
        "recorded": entry.at,
        "outcome": "8" if failed else "0",
        **_purpose(entry.details),
        "agent": _agents(entry, kind),
        "source": {
            "observer": {"display": "FirstRead"},
            "type": [_coding(f"{_TERMS}security-source-type", "4", "Application Server")],
        },
        "entity": [_thing(entry, kind), *patient, _record(entry)],
    }
    return made


def entry_of(given: Mapping[str, Any]) -> Entry:
    """Return the event that a resource was made from; whether it says what the event says is for the caller to compare.

    Raises
    ------
    ValueError
        If it was not made by `resource`.
    """
    try:
        (record,) = [each for each in given["entity"] if each["type"]["code"] == "4"]
        told = {each["type"]: each for each in record["detail"]}
        body = json.loads(base64.b64decode(told["body"]["valueBase64Binary"], validate=True))
        entry = Entry(
            subject=told["subject"]["valueString"],
            number=int(told["number"]["valueString"]),
            digest=record["what"]["identifier"]["value"],
            body=body,
            listed=(str(body["at"])[:10], str(body["actor"]), str(body["at"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError("this is no audit event of FirstRead") from None
    return entry


def _kind(entry: Entry) -> _Kind:
    about, _, _ = entry.subject.partition("#")
    known = _BY_ACTION.get(entry.action) or _BY_VERB.get(entry.action.rpartition(".")[2])
    if known is not None:
        return known
    if entry.action.startswith("session."):
        return _SIGN_IN
    # What is about a study, an object or an identity and is no look has changed it.
    return _UPDATE if about in _ABOUT_DATA else _ACTIVITY


def _failed(details: Mapping[str, Detail]) -> bool:
    return details.get("allowed") is False or details.get("succeeded") is False


def _type(kind: _Kind) -> Resource:
    if kind.pattern:
        return _coding(f"{_TERMS}audit-event-type", "rest", "Restful Operation")
    return _coding(_DCM, *kind.type)


def _subtypes(entry: Entry, kind: _Kind) -> list[Resource]:
    interaction = [_coding(_REST, kind.interaction, kind.interaction)] if kind.interaction else []
    return [*interaction, _coding(ACTION_SYSTEM, entry.action, entry.action)]


def _purpose(details: Mapping[str, Detail]) -> Resource:
    purpose = str(details.get("purpose", ""))
    if not purpose:
        return {}
    concept: Resource = {"text": purpose}
    if purpose in _PURPOSES:
        concept["coding"] = [{"system": f"{_TERMS}v3-ActReason", "code": _PURPOSES[purpose]}]
    return {"purposeOfEvent": [concept]}


def _agents(entry: Entry, kind: _Kind) -> list[Resource]:
    who = {"identifier": {"system": ACTOR_SYSTEM, "value": entry.actor}, "display": entry.actor}
    role = [{"coding": [_coding(ROLE_SYSTEM, entry.role, entry.role)]}]
    takes = kind.action in ("R", "E")
    of_user = ("IRCP", "information recipient") if takes else ("AUT", "author (originator)")
    user = {
        "type": _concept(f"{_TERMS}v3-ParticipationType", *of_user),
        "role": role,
        "who": who,
        "name": entry.actor,
        "requestor": True,
    }
    # What is read flows from the server; what is asked or written flows to it.
    source, destination = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
    client, server = (destination, source) if kind.action == "R" else (source, destination)
    is_machine = entry.role in {role.value for role in MACHINES} and entry.role != Role.SERVICE.value
    asks = {"display": "feed of the hospital" if is_machine else str(entry.details.get("door", "portal"))}
    return [
        user,
        {"type": _concept(_DCM, *client), "who": asks, "requestor": False, "network": _UNKNOWN},
        {
            "type": _concept(_DCM, *server),
            "who": {"display": "FirstRead"},
            "requestor": False,
            "network": _UNKNOWN,
        },
    ]


def _thing(entry: Entry, kind: _Kind) -> Resource:
    """Return what it was done to: a query, or a study by its pseudonymous UID, or another subject."""
    role = ("24", "Query") if kind.pattern == "Query" else ("4", "Domain Resource")
    made: Resource = {
        "type": _coding(f"{_TERMS}audit-entity-type", "2", "System Object"),
        "role": _coding(f"{_TERMS}object-role", *role),
    }
    if kind.pattern == "Query":
        asked = json.dumps(entry.details, sort_keys=True)
        return {**made, "description": entry.action, "query": base64.b64encode(asked.encode()).decode()}
    about, _, name = entry.subject.partition("#")
    if about in ("study", "identity") and not name.startswith("P"):
        identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{name}"}
    else:
        identifier = {"system": f"urn:firstread:{about}", "value": name or about}
    return {**made, "what": {"identifier": identifier}}


def _patient(entry: Entry) -> list[Resource]:
    about, _, name = entry.subject.partition("#")
    code = str(entry.details.get("patient") or (name if about == "identity" and name.startswith("P") else ""))
    if not code:
        return []
    return [
        {
            "what": {"type": "Patient", "identifier": {"system": "urn:firstread:patient", "value": code}},
            "type": _coding(f"{_TERMS}audit-entity-type", "1", "Person"),
            "role": _coding(f"{_TERMS}object-role", "1", "Patient"),
        }
    ]


def _record(entry: Entry) -> Resource:
    """Return the event's own place in its chain, with all that its digest is over and its details to be read."""
    body = base64.b64encode(json.dumps(dict(entry.body), sort_keys=True).encode()).decode()
    details = [_text(name, value) for name, value in sorted(entry.details.items())]
    return {
        "what": {"identifier": {"system": RECORD_SYSTEM, "value": entry.digest}},
        "type": _coding(f"{_TERMS}audit-entity-type", "4", "Other"),
        "role": _coding(f"{_TERMS}object-role", "13", "Security Resource"),
        "detail": [
            _text("subject", entry.subject),
            _text("number", entry.number),
            _text("previous", entry.previous),
            {"type": "body", "valueBase64Binary": body},
            *({**each, "type": f"detail.{each['type']}"} for each in details if each["valueString"]),
        ],
    }


def _text(name: str, value: Detail) -> Resource:
    return {"type": name, "valueString": str(value).lower() if isinstance(value, bool) else str(value)}


def _coding(system: str, code: str, display: str) -> Resource:
    return {"system": system, "code": code, "display": display}


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [_coding(system, code, display)]}
