"""Look into the audit trail: search it, verify its chains, export a day; each use is an event itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, groupby
from pathlib import Path

from firstread.audit.chain import Fault, Head, Verdict, verify
from firstread.audit.export import (
    ExportError,
    Exports,
    Manifest,
    lines_of,
    must_be_over,
    sha256_of,
    write_day,
)
from firstread.audit.fhir import entry_of, resource
from firstread.audit.search import Query, find
from firstread.clock import from_text
from firstread.operations.operator import Operator
from firstread.policy import Action
from firstread.records.audit import AuditTrail, Entry

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Auditing:
    """What an auditor may do.

    Parameters
    ----------
    operator
        Who.
    trail
        The events.
    exports
        The daily exports.
    """

    operator: Operator
    trail: AuditTrail
    exports: Exports

    def search(self, query: Query) -> Iterator[Entry]:
        """Yield the events that are looked for, newest first.

        Raises
        ------
        NothingAskedError
            If neither subject nor actor nor day is given.
        """
        found = filter(query.holds, find(self.trail, query))
        first = next(found, None)
        # What was typed may be a patient's name by mistake; what an event has is none.
        known = {"about": query.about, "by": query.actor} if first else {}
        self._used("search", query.day, known)
        return chain([first], found) if first else iter(())

    def verify_subject(self, subject: str) -> Verdict:
        """Verify the chain of a subject, also against what was exported since its last event."""
        entries = list(self.trail.entries(subject))
        self._used("verify", known={"about": subject} if entries else {})
        heads = [
            manifest.heads[subject]
            for manifest in self._since(entries[-1].at[:10] if entries else "")
            if subject in manifest.heads
        ]
        return verify(subject, entries, heads)

    def verify_day(self, day: str) -> Iterator[Verdict]:
        """Verify every chain that had an event on a day, or had one when the day was exported."""
        self._used("verify", day)
        exported = self.exports.manifest(day)
        noted = exported.heads if exported else {}
        subjects = {entry.subject for entry in self.trail.of_day(day)} | noted.keys()
        for subject in sorted(subjects):
            heads = [noted[subject]] if subject in noted else []
            yield verify(subject, self.trail.entries(subject), heads)

    def verify_export(self, events: Path) -> Iterator[Verdict]:
        """Verify an export that lies here, and its manifest where one lies beside it.

        Raises
        ------
        ExportError
            If it is no export, or not the one of the manifest.
        """
        self._used("verify")
        return _verdicts(events)

    def export(self, day: str) -> Manifest:
        """Export a day to the bucket, as the nightly export does.

        Raises
        ------
        DayNotOverError
            If events of it may still come.
        """
        self._used("export", day)
        return self.exports.export(day, self.operator.clock())

    def export_to(self, day: str, folder: Path) -> Manifest:
        """Write the export of a day to a folder.

        Raises
        ------
        DayNotOverError
            If events of it may still come.
        """
        must_be_over(day, self.operator.clock())
        self._used("export", day)
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{day}.ndjson.gz"
        with draft.open("w+b") as file:
            manifest = write_day(self.trail, day, file)
        (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
        return manifest

    def _since(self, day: str) -> Iterator[Manifest]:
        """Yield the manifests from a day on; events that were cut off behind it can be on no earlier day."""
        first = date.fromisoformat(day) if day else self.exports.first_day()
        last = from_text(self.operator.now()).date()
        while first is not None and first < last:
            manifest = self.exports.manifest(first.isoformat())
            if manifest is not None:
                yield manifest
            first += timedelta(1)

    def _used(self, what: str, day: str = "", known: Mapping[str, str] | None = None) -> None:
        """Ask the policy, and write down the use before anything is answered."""
        self.operator.must(Action.AUDIT_VIEW)
        told = {name: value for name, value in {"day": day, **(known or {})}.items() if value}
        event = self.operator.event(
            f"session#{self.operator.actor.name}", Action.AUDIT_VIEW.value, what=what, door="command", **told
        )
        self.trail.record(event)


def _verdicts(events: Path) -> Iterator[Verdict]:
    manifest = _manifest_beside(events)
    with events.open("rb") as file:
        if manifest is not None and sha256_of(file) != manifest.sha256:
            raise ExportError("the file is not the one of its manifest")
        file.seek(0)
        try:
            read = [(line, entry_of(line)) for line in lines_of(file)]
        except ValueError:
            raise ExportError("a line is no audit event of FirstRead") from None
    if manifest is not None and len(read) != manifest.events:
        raise ExportError("the file has another number of events than its manifest")
    heads = dict(manifest.heads) if manifest else {}
    read.sort(key=lambda each: (each[1].subject, each[1].number))
    for subject, members in groupby(read, key=lambda each: each[1].subject):
        yield _verdict(subject, list(members), [heads.pop(subject)] if subject in heads else [])
    for subject in heads:
        yield Verdict(subject, 0, 1, Fault.CUT_OFF)


def _verdict(subject: str, lines: list[tuple[dict[str, object], Entry]], heads: list[Head]) -> Verdict:
    found = verify(subject, (entry for _, entry in lines), heads, is_part=True)
    unlike = next((entry.number for line, entry in lines if resource(entry) != line), None)
    if found.is_whole and unlike is not None:
        return Verdict(subject, found.count, unlike, Fault.UNLIKE)
    return found


def _manifest_beside(events: Path) -> Manifest | None:
    beside = events.with_name(MANIFEST)
    return Manifest.parse(beside.read_bytes()) if beside.is_file() else None
