"""Every event is a FHIR R4 AuditEvent, and keeps to the pattern of IHE BALP that it names.

Elements, cardinalities and value sets as in http://hl7.org/fhir/R4/auditevent.html and https://profiles.ihe.net/ITI/BALP
(1.1), written out here.
"""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given

from firstread.audit.fhir import entry_of, resource
from firstread.policy import Action, Role
from firstread.records.audit import AuditEvent
from tests.unit.audit.chains import entry, event
from tests.unit.audit.test_chain import EVENTS

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
CODE = re.compile(r"[^\s]+(\s[^\s]+)*")
TERMS = "http://terminology.hl7.org/CodeSystem/"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://hl7.org/fhir/restful-interaction"
ELEMENTS = {
    *("resourceType", "id", "meta", "type", "subtype", "action", "recorded", "outcome", "purposeOfEvent"),
    *("agent", "source", "entity"),
}
AGENT = {"type", "role", "who", "name", "requestor", "network"}
ENTITY = {"what", "type", "role", "description", "query", "detail"}
DICOM_TYPES = {"110100", "110101", "110112", "110114"}
PATTERNS = {"Read": ("R", "read"), "Query": ("E", "search"), "Create": ("C", "create")}
PATTERNS |= {"Update": ("U", "update"), "Delete": ("D", "delete")}
# Of what flows from client to server the client is the source (110153); what is read flows the other way.
CLIENT = {"R": "110152", "C": "110153", "U": "110153", "D": "110153", "E": "110153"}
USER = {"R": {"IRCP"}, "E": {"IRCP"}, "C": {"AUT", "INF", "CST"}, "U": {"AUT", "INF", "CST"}}
USER["D"] = USER["C"]

STUDY_LOOK = event(patient="P0123456789ABCDEF", door="page")
EXAMPLES = [
    STUDY_LOOK,
    event(),
    event("worklist.view", "session#ann"),
    event("alert.acknowledge", before="delivered", after="acknowledged"),
    event("review.create", number=1, patient="P0123456789ABCDEF"),
    event("quarantine.discard", "object#in/abc", because="test_data"),
    event("identity.view", "identity#P0123456789ABCDEF", purpose="treatment", allowed=True),
    event("identity.view", "identity#P0123456789ABCDEF", purpose="incident", allowed=False),
    event("session.sign_in", "session#ann", succeeded=False),
    event("audit.view", "session#kim", what="search"),
    event("dlq.replay", "queue#ingest"),
    event("model.manage", "model#cxr@1.0.0", did="off"),
    *(event(action.value) for action in Action),
]


def coding(given: dict[str, Any]) -> tuple[str, str]:
    assert set(given) <= {"system", "code", "display"}
    assert given["system"].startswith(("http://", "https://", "urn:")), given
    assert CODE.fullmatch(given["code"]), given
    return given["system"], given["code"]


def check(made: dict[str, Any]) -> None:
    """Check an AuditEvent against the definition of FHIR R4, as far as we use it."""
    assert set(made) <= ELEMENTS
    assert made["resourceType"] == "AuditEvent"
    assert ID.fullmatch(made["id"])
    system, code = coding(made["type"])
    assert (system, code) == (f"{TERMS}audit-event-type", "rest") or (system == DCM and code in DICOM_TYPES)
    assert made["subtype"]
    for each in made["subtype"]:
        coding(each)
    assert made["action"] in set("CRUDE")
    assert INSTANT.fullmatch(made["recorded"])
    assert made["outcome"] in {"0", "4", "8", "12"}
    assert made["agent"]
    assert [agent["requestor"] for agent in made["agent"]].count(True) == 1
    for agent in made["agent"]:
        assert set(agent) <= AGENT
        assert isinstance(agent["requestor"], bool)
        assert agent["who"]
        for each in agent["type"]["coding"]:
            coding(each)
    assert made["source"]["observer"]
    for each in made["source"].get("type", []):
        coding(each)
    for thing in made["entity"]:
        assert set(thing) <= ENTITY
        coding(thing["type"])
        coding(thing["role"])
        assert not ("name" in thing and "query" in thing)  # sev-1
        if "query" in thing:
            base64.b64decode(thing["query"], validate=True)
        for detail in thing.get("detail", []):
            (value,) = set(detail) - {"type"}
            assert value in {"valueString", "valueBase64Binary"}
            assert detail["type"] and detail[value]
    no_empty(made)


def no_empty(value: object) -> None:
    """No element of FHIR JSON is empty (json.html: "never empty")."""
    if isinstance(value, dict | list):
        assert value
        for each in value.values() if isinstance(value, dict) else value:
            no_empty(each)
    assert value is not None and value != ""


def check_pattern(made: dict[str, Any], name: str) -> None:
    """Check what the BALP pattern asks for beyond FHIR."""
    patient, pattern = name.startswith("Patient"), name.removeprefix("Patient")
    action, interaction = PATTERNS[pattern]
    assert coding(made["type"]) == (f"{TERMS}audit-event-type", "rest")
    assert made["action"] == action
    assert made["outcome"] == "0"
    assert (REST, interaction) in {coding(each) for each in made["subtype"]}
    agents = {coding(agent["type"]["coding"][0]): agent for agent in made["agent"]}
    assert len(agents) == len(made["agent"]) == 3
    server = {"110152": "110153", "110153": "110152"}[CLIENT[action]]
    assert (DCM, CLIENT[action]) in agents and (DCM, server) in agents
    for code in ("110152", "110153"):
        assert agents[DCM, code]["network"]
        assert not {"role", "name"} & agents[DCM, code].keys()
    (user,) = [code for system, code in agents if system != DCM]
    assert user in USER[action]
    assert "network" not in agents[f"{TERMS}v3-ParticipationType", user]
    of_type = [coding(thing["type"])[1] for thing in made["entity"]]
    assert of_type.count("2") == 1
    thing = made["entity"][of_type.index("2")]
    if pattern == "Query":
        assert coding(thing["role"])[1] == "24" and thing["query"] and "what" not in thing
    else:
        assert coding(thing["role"])[1] in {"3", "4", "20"} and thing["what"]
        assert not {"detail", "query"} & thing.keys()
    assert of_type.count("1") == patient
    if patient:
        person = made["entity"][of_type.index("1")]
        assert coding(person["role"])[1] == "1" and person["what"]["type"] == "Patient"
        assert not {"detail", "query"} & person.keys()


@pytest.mark.parametrize("said", EXAMPLES, ids=lambda said: said.action)
def test_every_kind_of_event_is_an_audit_event(said: AuditEvent) -> None:
    made = resource(entry(said))
    check(made)
    for profile in made.get("meta", {}).get("profile", []):
        head, _, name = profile.rpartition("IHE.BasicAudit.")
        assert head == "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
        check_pattern(made, name)


@given(EVENTS)
def test_any_event_can_be_had_back_from_its_resource(said: AuditEvent) -> None:
    kept = entry(said)
    made = json.loads(json.dumps(resource(kept)))
    assert entry_of(made) == kept
    assert resource(entry_of(made)) == made


@pytest.mark.parametrize(
    ("said", "action", "profile"),
    [
        (STUDY_LOOK, "R", "PatientRead"),
        (event("worklist.view", "session#ann"), "E", "Query"),
        (event("review.sign", patient="P1"), "U", "PatientUpdate"),
        (event("review.create"), "C", "Create"),
        (event("quarantine.discard", "object#x"), "D", "Delete"),
        (event("session.sign_in", "session#ann"), "E", ""),
        (event("dlq.replay", "queue#x"), "E", ""),
        (event("audit.view", "session#kim"), "R", ""),
    ],
)
def test_actions_and_patterns(said: AuditEvent, action: str, profile: str) -> None:
    made = resource(entry(said))
    assert made["action"] == action
    told = [each.rpartition(".")[2] for each in made.get("meta", {}).get("profile", [])]
    assert told == ([profile] if profile else [])


def test_who_did_what_to_whom() -> None:
    made = resource(entry(STUDY_LOOK))
    user, client, _ = made["agent"]
    assert user["who"]["identifier"] == {"system": "urn:firstread:actor", "value": "ann"}
    assert user["role"][0]["coding"][0]["code"] == Role.RADIOLOGIST.value
    assert client["who"] == {"display": "page"}
    study, patient, record = made["entity"]
    assert study["what"]["identifier"] == {"system": "urn:dicom:uid", "value": "urn:oid:2.25.4711"}
    assert patient["what"]["identifier"]["value"] == "P0123456789ABCDEF"
    assert {"type": "detail.door", "valueString": "page"} in record["detail"]


def test_a_refusal_is_a_failure_and_follows_no_pattern_of_success() -> None:
    made = resource(entry(event("identity.view", "identity#P1", allowed=False)))
    assert made["outcome"] == "8" and "meta" not in made


@pytest.mark.parametrize("given", [{}, {"entity": []}, {"entity": [{"type": {"code": "4"}, "detail": []}]}])
def test_what_is_no_event_of_ours_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no audit event of FirstRead"):
        entry_of(given)
