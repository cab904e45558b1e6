"""Look at a study: bring its head up to date, close a version where it is complete, or say when to look again.

Called by whatever may have changed something: an instance was recorded, a batch ended, a feed spoke, a timer fired,
a sweep found it overdue. Each look reads everything anew after the head, and the head is written on the condition that
nobody wrote it since; so looks may come in any order, repeatedly and at once, and the last one written saw the most.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from firstread.alert import closing_of
from firstread.clock import from_text, now, to_text
from firstread.gathering.completeness import Batch, Closing, CompletenessPolicy, Look, Seen, decide
from firstread.gathering.requests import follow_ups
from firstread.gathering.summary import gathering, present, single_image
from firstread.messages import AlertLook, QuietTimer
from firstread.order import Order, Priority
from firstread.queues import MAX_DELAY_SECONDS, Queue
from firstread.receipt import Outcome
from firstread.records.batches import BatchRepository, EndedBatch
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.models import ModelRepository
from firstread.records.orders import OrderRepository
from firstread.records.studies import StudyRepository, new_version
from firstread.records.transactions import Addition
from firstread.routing import Route, route
from firstread.study import AnalysisStatus, Instance, ReviewStatus, Risk, Study, StudyGathering, StudyVersion

_NOTHING = Look(None, None)


@dataclass(frozen=True)
class GatherStudy:
    """The one look at a study, whoever asks for it.

    Parameters
    ----------
    instances, studies, models, ledger, batches, orders
        The records.
    timers
        Queue of delayed looks.
    alerts
        Queue of alerts to be looked at, as their study was read elsewhere or withdrawn.
    policy
        When a study counts as complete.
    clock
        The present moment.
    closed
        Told of a study whose version this look closed.
    """

    instances: InstanceRepository
    studies: StudyRepository
    models: ModelRepository
    ledger: LedgerRepository
    batches: BatchRepository
    orders: OrderRepository
    timers: Queue
    alerts: Queue
    policy: CompletenessPolicy
    clock: Callable[[], datetime] = now
    closed: Callable[[Study], None] = lambda _study: None

    def look(self, study_uid: str) -> Study | None:
        """Look at a study, and return its head as it is then; None where no instance of it is recorded."""
        look = _NOTHING

        def changed(study: Study | None) -> Study | None:
            nonlocal look
            look = _NOTHING
            found = self.instances.of_study(study_uid)
            if not found:
                return None
            self._link(study, found)
            head = self._described(study, gathering(study_uid, found))
            if head.gathering.fingerprint != head.version_fingerprint:
                look = self._decide(head, found)
            elif head.status is AnalysisStatus.RECEIVING:
                look = Look(Closing.QUIET, None)  # what was new has been withdrawn or discarded since
            if look.close is not None:
                head = self._closed(head, found, look.close)
            else:
                head = _waiting(head, look.again)
            return None if head == study else head

        def version(study: Study) -> list[Addition]:
            return [new_version(frozen(study), follow_ups(study))] if look.close is not None else []

        written = self.studies.change(study_uid, changed, also=version)
        if written is not None and look.close is not None:
            self.closed(written)
        study = written or self.studies.get(study_uid)
        # Also where nothing was written: a process that died between the two writes sent no timer.
        if study is not None and look.again is not None:
            self._wake(study, look.again)
        if study is not None and study.alert_id and closing_of(study) is not None:
            self.alerts.send(
                AlertLook(alert_id=study.alert_id, correlation_id=study.gathering.correlation_id)
            )
        return study

    def is_last(self, study_uid: str, last_arrival: str) -> bool:
        """Tell whether nothing of a study was recorded after a moment, as far as its head knows."""
        study = self.studies.get(study_uid)
        return study is not None and study.gathering.last_arrival == last_arrival

    def _link(self, study: Study | None, found: list[Instance]) -> None:
        """Write down whom references stand for, before anything is read that others write under them.

        Whoever ends a batch or speaks of an order afterwards finds the study; whoever did before is read below.
        """
        known = set() if study is None else {study.gathering.study_ref, *study.gathering.order_refs}
        for ref in {each.study_ref for each in found} - {"", *known}:
            self.batches.link(ref, found[0].study_uid)
        for ref in {ref for each in found for ref in each.order_refs} - known:
            self.orders.link(ref, found[0].study_uid)

    def _described(self, study: Study | None, seen: StudyGathering) -> Study:
        if study is None:
            head = Study(gathering=seen)
        else:
            unread = study.gathering.unread_count
            head = study.model_copy(update={"gathering": seen.model_copy(update={"unread_count": unread})})
        orders = self.orders.get_many(seen.order_refs)
        said = _said_by_orders(seen, orders)
        if said["read_elsewhere_at"] != head.read_elsewhere_at:
            said["read_elsewhere_version"] = head.version
        return head.model_copy(update=said)

    def _decide(self, head: Study, found: list[Instance]) -> Look:
        seen = head.gathering
        new = [each for each in found if each.stored_at > head.completed_at] or found
        return decide(
            Seen(
                arrived=seen.arrived_count,
                expected=seen.expected_count,
                first_new=from_text(min(each.stored_at for each in new)),
                last=from_text(seen.last_arrival),
                modalities=seen.modalities,
                sources=seen.sources,
                single_image=single_image(each.facts for each in found),
                batches=self._batches(seen.study_ref, new),
            ),
            self.clock(),
            self.policy,
        )

    def _batches(self, study_ref: str, new: list[Instance]) -> dict[str, Batch]:
        """Return the batches that brought something new, and ended ones with something on its way."""
        recorded: dict[str, list[Instance]] = {}
        for instance in new:
            recorded.setdefault(instance.batch, []).append(instance)
        ended = {each.batch: each for each in self.batches.of_study(study_ref).batches} if study_ref else {}
        # A batch that ended before anything new came can only matter if part of it never came through.
        earliest = min(each.stored_at for each in new)
        found: dict[str, Batch] = {}
        for name, instances in recorded.items():
            found[name] = self._batch(study_ref, name, instances[0].source, len(instances), ended.get(name))
        for name, each in ended.items():
            if name not in found and each.ended_at >= earliest:
                batch = self._batch(study_ref, name, each.source, 0, each)
                if batch.is_missing:
                    found[name] = batch
        return found

    def _batch(self, ref: str, name: str, source: str, recorded: int, ended: EndedBatch | None) -> Batch:
        if ended is None or not name:
            return Batch(source, recorded)
        settled = recorded
        if settled < ended.count:
            # Duplicates and unreadable objects have receipts and no instance.
            receipts = [
                each for each in self.ledger.of_study_ref(ref, name) if each.outcome is not Outcome.PENDING
            ]
            settled = max(settled, len({each.sop_ref or each.object_key for each in receipts}))
        return Batch(source, settled, ended.count, from_text(ended.ended_at))

    def _closed(self, head: Study, found: list[Instance], closing: Closing) -> Study:
        # A clock that is behind that of another process must not leave out what this version has.
        at = max(to_text(self.clock()), head.gathering.last_arrival)
        seen = head.gathering.model_copy(update={"unread_count": self._unread(head.gathering.study_ref)})
        head = head.model_copy(update={"gathering": seen})
        return next_version(head, present(found), route(self.models.all(), present(found)), at, closing)

    def _unread(self, study_ref: str) -> int:
        """Count what is in quarantine without an instance and did not come in good order, too."""
        receipts = self.ledger.of_study_ref(study_ref) if study_ref else []
        read = {each.sop_ref for each in receipts if each.sop_uid}
        unread = {
            each.sop_ref or each.object_key
            for each in receipts
            if each.outcome is Outcome.QUARANTINED and not each.sop_uid and not each.discarded_at
        }
        return len(unread - read)

    def _wake(self, study: Study, at: datetime) -> None:
        wait = max(0, ceil((at - self.clock()).total_seconds()))
        self.timers.send(
            QuietTimer(
                study_uid=study.study_uid,
                last_arrival=study.gathering.last_arrival,
                correlation_id=study.gathering.correlation_id,
            ),
            delay_seconds=min(wait, MAX_DELAY_SECONDS),
        )


def _said_by_orders(seen: StudyGathering, orders: Mapping[str, Order]) -> dict[str, object]:
    newest = sorted(orders.values(), key=lambda order: order.updated_at)
    stat = seen.stat or any(order.priority is Priority.STAT for order in newest)
    urgent = any(order.priority is Priority.URGENT for order in newest)
    return {
        "priority": Priority.STAT if stat else Priority.URGENT if urgent else Priority.ROUTINE,
        "patient_class": next((o.patient_class for o in reversed(newest) if o.patient_class), ""),
        "location": next((o.location for o in reversed(newest) if o.location), ""),
        "read_elsewhere_at": next((o.read_elsewhere_at for o in newest if o.read_elsewhere_at), ""),
    }


def _waiting(head: Study, again: datetime | None) -> Study:
    if again is None:
        return head.model_copy(update={"due_at": ""})
    return head.model_copy(update={"status": AnalysisStatus.RECEIVING, "due_at": to_text(again)})


def next_version(head: Study, instances: list[Instance], chosen: Route, at: str, closing: Closing) -> Study:
    """Return the head of a study with its next version.

    Parameters
    ----------
    head
        As it is.
    instances
        What is part of the study now.
    chosen
        The routing of these instances.
    at
        The moment of closing.
    closing
        Why it is closed.
    """
    if not instances:
        status = AnalysisStatus.WITHDRAWN
    elif not any(instance.studies_key for instance in instances):
        status = AnalysisStatus.HELD
    else:
        status = AnalysisStatus.ANALYSING if chosen.models else AnalysisStatus.NO_MODEL
    return head.model_copy(
        update={
            "version": head.version + 1,
            "version_count": len(instances),
            "version_fingerprint": head.gathering.fingerprint,
            "closed_by": closing.value,
            "completed_at": at,
            "due_at": "",
            "status": status,
            # A high risk stands until the new version's own results say otherwise: a late image must not let
            # a study sink that somebody was alerted to.
            "risk": head.risk if head.risk is Risk.HIGH else Risk.UNKNOWN,
            "probability": head.probability if head.risk is Risk.HIGH else None,
            "models": chosen.models,
            "beside": chosen.beside,
            "not_applicable": chosen.not_applicable,
            # What was signed stays signed; this version has not been read.
            "review": ReviewStatus.UNREAD if head.review is ReviewStatus.SIGNED else head.review,
        }
    )


def frozen(study: Study) -> StudyVersion:
    """Return the version record of a study that was just completed."""
    seen = study.gathering
    return StudyVersion(
        study_uid=study.study_uid,
        version=study.version,
        completed_at=study.completed_at,
        instance_count=study.version_count,
        held_count=seen.held_count,
        withdrawn_count=seen.withdrawn_count,
        unread_count=seen.unread_count,
        expected_count=seen.expected_count,
        closed_by=study.closed_by,
        fingerprint=seen.fingerprint,
        models=study.models,
        beside=study.beside,
        not_applicable=study.not_applicable,
    )
