"""Chains of audit events as the table would hold them."""

from collections.abc import Mapping, Sequence

from firstread.records.audit import FIRST, AuditEvent, Detail, Entry, digest_of

STUDY = "study#2.25.4711"


def event(action: str = "study.view", subject: str = STUDY, **details: Detail) -> AuditEvent:
    return AuditEvent(subject, action, "ann", "radiologist", "2026-03-02T08:30:00.000000Z", details)


def entry(said: AuditEvent, number: int = 1, previous: str = FIRST) -> Entry:
    body: Mapping[str, Detail] = {**said.body(), "number": number, "previous": previous}
    digest = digest_of(said.subject, number, previous, body)
    return Entry(said.subject, number, digest, body, (said.at[:10], said.actor, said.at))


def chain(events: Sequence[AuditEvent]) -> list[Entry]:
    made: list[Entry] = []
    for number, each in enumerate(events, start=1):
        made.append(entry(each, number, made[-1].digest if made else FIRST))
    return made
