"""Compare records with objects, name what is missing, and send through the pipeline once more what can be.

Three passes, each in pages: the studies bucket against instances and heads, the incoming bucket against the ledger, and
the receipts that need attention against the incoming bucket. Every repair is a conditional write or a message that may
come twice; so reconciling may run beside the pipeline, be interrupted, and be run again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from hashlib import blake2b
from itertools import groupby

from firstread.clock import to_text
from firstread.errors import Reason
from firstread.gathering.summary import gathering
from firstread.messages import QuietTimer
from firstread.operations.arrivals import Arrived, Lanes
from firstread.operations.ledger import Ledger, Page, attention_of
from firstread.operations.operator import Operator
from firstread.operations.quarantine import subject
from firstread.policy import Action
from firstread.queues import Queue
from firstread.receipt import Outcome, Receipt
from firstread.records.audit import AuditTrail, audited
from firstread.records.instances import InstanceRepository
from firstread.records.quarantine import QuarantineRepository
from firstread.records.studies import StudyRepository
from firstread.storage import STUDIES_PREFIX, Inventory, Listed
from firstread.study import Instance, InstanceState, Study

_NAMED = 20
_SETTLED = (Outcome.STORED, Outcome.DUPLICATE)


class Trouble(StrEnum):
    """What can be wrong, and what is done about it.

    ``without_receipt``, ``pending``: the object's event is sent again. ``without_instance``, ``without_study_object``:
    the receipt goes back to pending, and the event is sent again. ``stale_study``: a look at it is asked for.
    ``discarded_object``: its bytes are deleted. ``lost_object``, ``lost_study_object``: the bytes it would be made from
    are gone; named. ``orphan``: an object that no instance names; named.
    """

    WITHOUT_RECEIPT = "without_receipt"
    PENDING = "pending"
    WITHOUT_INSTANCE = "without_instance"
    WITHOUT_STUDY_OBJECT = "without_study_object"
    STALE_STUDY = "stale_study"
    DISCARDED_OBJECT = "discarded_object"
    LOST_OBJECT = "lost_object"
    LOST_STUDY_OBJECT = "lost_study_object"
    ORPHAN = "orphan"


class Names:
    """A set of names, as 64 bits of a digest each: a million of them take about 70 MB."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def add(self, name: str) -> bool:
        """Add a name; False where it is in already."""
        if name in self:
            return False
        self._digests.add(_digest(name))
        return True

    def __contains__(self, name: str) -> bool:
        return _digest(name) in self._digests

    def new(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the names that are not in yet, and add them."""
        return (name for name in names if name and self.add(name))


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


@dataclass
class Report:
    """What was found.

    Parameters
    ----------
    objects, studies
        How many were looked at.
    troubles
        How many of each kind.
    names
        Keys or study UIDs of the first of each kind.
    reopened
        Keys of objects that were sent again already.
    """

    objects: int = 0
    studies: int = 0
    troubles: Counter[Trouble] = field(default_factory=Counter)
    names: dict[Trouble, list[str]] = field(default_factory=dict)
    reopened: Names = field(default_factory=Names)

    def note(self, trouble: Trouble, name: str) -> None:
        """Count a trouble."""
        self.troubles[trouble] += 1
        named = self.names.setdefault(trouble, [])
        if len(named) < _NAMED:
            named.append(name)

    @property
    def lost(self) -> int:
        """Return how much is missing that nothing here can bring back."""
        return self.troubles[Trouble.LOST_OBJECT] + self.troubles[Trouble.LOST_STUDY_OBJECT]


@dataclass(frozen=True)
class Reconcile:
    """One run.

    Parameters
    ----------
    operator
        Who.
    ledger, receipts, instances, heads, trail
        The records.
    studies
        The studies bucket.
    lanes, timers
        Queues of arrived objects, and of looks at studies.
    grace
        What is younger than this may still be on its way, and is left alone.
    dry
        Only look.
    """

    operator: Operator
    ledger: Ledger
    receipts: QuarantineRepository
    instances: InstanceRepository
    heads: StudyRepository
    trail: AuditTrail
    studies: Inventory
    lanes: Lanes
    timers: Queue
    grace: timedelta = timedelta(minutes=5)
    dry: bool = False

    def run(self, progress: Callable[[Report], None] = lambda _report: None) -> Report:
        """Look at everything, repair what can be, and return what was found.

        Parameters
        ----------
        progress
            Is told how far it is, now and then.
        """
        self.operator.must(Action.PIPELINE_REPAIR)
        if not self.dry:
            self.trail.record(self.operator.event("pipeline", "pipeline.reconcile"))
        started = self.operator.now()
        before = to_text(self.operator.clock() - self.grace)
        report, seen = Report(), Names()
        for study_uid, objects in self._studies():
            seen.add(study_uid)
            self._study(study_uid, objects, before, report)
            progress(report)
        attention: Counter[str] = Counter()
        for page in self.ledger.pages():
            report.objects += len(page)
            attention.update(attention_of((receipt for _, receipt in page if receipt), started))
            self._page(page, before, report)
            self._studies_without_objects(page, seen, before, report)
            progress(report)
        for receipt in self.ledger.without_object(attention, before):
            report.note(Trouble.LOST_OBJECT, receipt.object_key)
        return report

    def studies_again(self) -> Report:
        """Ask for a look at every study whose head is not as its instances say; repairs nothing else."""
        report, seen = Report(), Names()
        before = self.operator.now()
        for study_uid, _ in self._studies():
            seen.add(study_uid)
            self._head(study_uid, self.instances.of_study(study_uid), before, report)
        for page in self.ledger.pages():
            for study_uid in seen.new(receipt.study_uid for _, receipt in page if receipt):
                self._head(study_uid, self.instances.of_study(study_uid), before, report)
        return report

    def _studies(self) -> Iterator[tuple[str, list[Listed]]]:
        """Yield the studies of the studies bucket with their objects; keys of a study follow each other."""
        listed = (each for page in self.studies.pages(STUDIES_PREFIX) for each in page if each.latest)
        for study_uid, objects in groupby(listed, lambda each: each.key.split("/")[1]):
            yield study_uid, list(objects)

    def _study(self, study_uid: str, objects: list[Listed], before: str, report: Report) -> None:
        report.studies += 1
        found = self.instances.of_study(study_uid)
        there = {each.key for each in objects}
        stored = {each.studies_key: each for each in found if each.state is InstanceState.STORED}
        for each in objects:
            if each.key not in stored and each.modified <= before:
                report.note(Trouble.ORPHAN, each.key)
        for key in sorted(stored.keys() - there):
            self._object_gone(stored[key], report)
        self._head(study_uid, found, before, report)

    def _object_gone(self, instance: Instance, report: Report) -> None:
        # The listing may be older than the instance.
        if self.studies.has(instance.studies_key):
            return
        if not self.ledger.incoming.has(instance.object_key, instance.object_version):
            report.note(Trouble.LOST_STUDY_OBJECT, instance.studies_key)
            return
        report.note(Trouble.WITHOUT_STUDY_OBJECT, instance.studies_key)
        receipt = self.receipts.get(instance.object_key)
        if receipt is not None:
            report.reopened.add(receipt.object_key)
            self._reopen(receipt, instance, Trouble.WITHOUT_STUDY_OBJECT)
            self._again([Arrived.of(receipt)])

    def _head(self, study_uid: str, found: list[Instance], before: str, report: Report) -> None:
        if not found or max(each.stored_at for each in found) > before:
            return
        if is_stale(self.heads.get(study_uid), found):
            report.note(Trouble.STALE_STUDY, study_uid)
            if not self.dry:
                self.timers.send(QuietTimer(study_uid=study_uid))

    def _page(self, page: Page, before: str, report: Report) -> None:
        wanted = {
            (receipt.study_uid, receipt.sop_uid)
            for _, receipt in page
            if receipt and receipt.outcome in _SETTLED and receipt.sop_uid
        }
        gone = wanted - self.ledger.arrivals.instances(wanted).keys()
        again = []
        for listed, receipt in page:
            trouble = _trouble(listed, receipt, before, gone)
            if trouble is None or listed.key in report.reopened:
                continue
            report.note(trouble, listed.key)
            if trouble is Trouble.DISCARDED_OBJECT:
                self._delete(listed)
                continue
            if trouble is Trouble.WITHOUT_INSTANCE and receipt is not None:
                self._reopen(receipt, None, trouble)
            at = receipt.received_at if receipt else listed.modified
            again.append(Arrived(listed.key, listed.version_id, listed.size, at))
        self._again(again)

    def _studies_without_objects(self, page: Page, seen: Names, before: str, report: Report) -> None:
        """Look at studies that only receipts name: nothing but held instances, or all objects gone."""
        for study_uid in seen.new(receipt.study_uid for _, receipt in page if receipt):
            self._study(study_uid, [], before, report)

    def _reopen(self, receipt: Receipt, instance: Instance | None, trouble: Trouble) -> None:
        if self.dry:
            return
        event = self.operator.event(subject(receipt.object_key), "pipeline.reopen", because=trouble.value)
        # Where somebody was first, theirs counts, and the event that follows finds it.
        self.receipts.reopen(receipt, instance, Reason.OBJECT_LOST.value, audited(event))

    def _again(self, objects: list[Arrived]) -> None:
        if not self.dry:
            self.lanes.again(objects)

    def _delete(self, listed: Listed) -> None:
        if not self.dry:
            self.ledger.incoming.delete(listed.key, listed.version_id)


def _trouble(
    listed: Listed, receipt: Receipt | None, before: str, gone: set[tuple[str, str]]
) -> Trouble | None:
    if receipt is None:
        return Trouble.WITHOUT_RECEIPT if listed.modified <= before else None
    if receipt.outcome in _SETTLED and (receipt.study_uid, receipt.sop_uid) in gone:
        return Trouble.WITHOUT_INSTANCE
    if receipt.discarded_at:
        return Trouble.DISCARDED_OBJECT
    if receipt.outcome is Outcome.PENDING and receipt.received_at <= before:
        return Trouble.PENDING
    return None


def is_stale(head: Study | None, instances: list[Instance]) -> bool:
    """Tell whether the head of a study has not seen all its instances as they are; there must be at least one."""
    if head is None:
        return True
    seen = gathering(head.study_uid, instances)
    known = head.gathering
    return (known.fingerprint, known.last_arrival) != (seen.fingerprint, seen.last_arrival)
