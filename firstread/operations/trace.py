"""The whole way of one study, from its doors to the acknowledged alert, as the records tell it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from firstread.clock import from_text
from firstread.errors import NotFoundError
from firstread.operations.operator import Operator
from firstread.policy import Action
from firstread.receipt import Receipt
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.batches import BatchRepository
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.outbox import OutboxRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.result import result_id
from firstread.study import Instance, Study, StudyVersion


@dataclass(frozen=True)
class Step:
    """Something that happened to the study.

    Parameters
    ----------
    at
        When (`firstread.clock` text).
    what
        What happened, such as ``received``.
    detail
        More words; never patient data.
    """

    at: str
    what: str
    detail: str


@dataclass(frozen=True)
class Way:
    """What is known of a study, in the order of time."""

    study_uid: str
    study_ref: str
    steps: tuple[Step, ...]

    def seconds(self) -> list[float]:
        """Return the seconds from the first step to each."""
        if not self.steps:
            return []
        first = from_text(self.steps[0].at)
        return [(from_text(step.at) - first).total_seconds() for step in self.steps]


@dataclass(frozen=True)
class Tracer:
    """Reads ways.

    Parameters
    ----------
    operator
        Who asks.
    ledger, instances, batches, studies, outbox, results, alerts, audit
        The records.
    """

    operator: Operator
    ledger: LedgerRepository
    instances: InstanceRepository
    batches: BatchRepository
    studies: StudyRepository
    outbox: OutboxRepository
    results: ResultRepository
    alerts: AlertRepository
    audit: AuditTrail

    def study_of(self, study_ref: str) -> str:
        """Return the pseudonymous UID of a study that is named by its reference.

        Raises
        ------
        NotFoundError
            If no instance of it is recorded.
        """
        found = self.batches.of_study(study_ref).study_uid
        if not found:
            raise NotFoundError("no instance of this study is recorded")
        return found

    def way(self, study_uid: str) -> Way:
        """Return the way of a study by its pseudonymous UID.

        Raises
        ------
        NotFoundError
            If no instance of it is recorded.
        """
        self.operator.must(Action.LEDGER_VIEW)
        instances = self.instances.of_study(study_uid)
        if not instances:
            raise NotFoundError("no instance of this study is recorded")
        study_ref = next((each.study_ref for each in instances if each.study_ref), "")
        steps = [*_recorded(instances), *self._analysis(study_uid), *self._alerts(study_uid)]
        if study_ref:
            steps += [*_doors(self.ledger.of_study_ref(study_ref)), *self._ended(study_ref)]
        ordered = sorted((step for step in steps if step.at), key=lambda step: (step.at, step.what))
        return Way(study_uid, study_ref, tuple(ordered))

    def _ended(self, study_ref: str) -> Iterator[Step]:
        for each in self.batches.of_study(study_ref).batches:
            yield Step(each.ended_at, "batch ended", f"{each.source} {each.batch}: {each.count} instances")

    def _analysis(self, study_uid: str) -> Iterator[Step]:
        head = self.studies.get(study_uid)
        if head is None:
            return
        for number in range(1, head.version + 1):
            version = self.studies.version(study_uid, number)
            if version is not None:
                yield _closed(version)
                yield from self._requests(version)
            yield from self._results(study_uid, number)
        if head.version == 0:
            yield Step(head.gathering.last_arrival, "waiting", _waiting(head))

    def _requests(self, version: StudyVersion) -> Iterator[Step]:
        described = f"describe#{version.study_uid}#v{version.version:06d}"
        for passage in self.outbox.passages([described]).values():
            yield Step(passage.created_at, "metadata asked for", f"version {version.version}")
            yield Step(passage.delivered_at, "metadata request delivered", f"version {version.version}")
        prefix = f"analyze#{version.study_uid}#v{version.version:06d}#"
        for message_id, passage in self.outbox.passages(prefix + each for each in version.models).items():
            model = f"version {version.version}: {message_id.removeprefix(prefix)}"
            yield Step(passage.created_at, "analysis asked for", model)
            yield Step(passage.delivered_at, "analysis request delivered", model)

    def _results(self, study_uid: str, number: int) -> Iterator[Step]:
        for result in self.results.of_version(study_uid, number):
            model = f"version {number}: {result.model_id}"
            yield Step(result.started_at, "analysis started", model)
            said = f"{result.status.value}, risk {result.risk.value}" if not result.reason else result.reason
            yield Step(result.finished_at, "analysis ended", f"{model}: {said}")
            message_id = f"result#{study_uid}#{result_id(number, result.model_id)}"
            for passage in self.outbox.passages([message_id]).values():
                yield Step(passage.delivered_at, "result announced", model)

    def _alerts(self, study_uid: str) -> Iterator[Step]:
        for alert in self.alerts.of_study(study_uid):
            yield Step(alert.created_at, "alert created", f"{alert.alert_id}: {alert.risk.value}")
            yield Step(alert.delivered_at, "alert delivered", alert.alert_id)
            for call in alert.calls[1:]:
                yield Step(call.at, "alert escalated", f"{alert.alert_id}: level {call.level}, {call.group}")
            yield Step(
                alert.acknowledged_at, "alert acknowledged", f"{alert.alert_id} by {alert.acknowledged_by}"
            )
            if alert.closing is not None:
                yield Step(alert.closed_at, "alert closed", f"{alert.alert_id}: {alert.closing.value}")
        for event in self.audit.of(f"study#{study_uid}"):
            yield Step(str(event.get("at", "")), "audit", f"{event.get('action')} by {event.get('actor')}")


def _doors(receipts: list[Receipt]) -> Iterator[Step]:
    batches: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        batches[receipt.source, receipt.batch].append(receipt)
    for (source, batch), found in batches.items():
        name = f"{source} {batch}".strip()
        received = sorted(receipt.received_at for receipt in found)
        yield Step(received[0], "received", f"{name}: first of {len(found)}")
        if len(received) > 1:
            yield Step(received[-1], "received", f"{name}: last of {len(found)}")
        outcomes: dict[str, list[str]] = defaultdict(list)
        for receipt in found:
            said = f"{receipt.outcome.value} ({receipt.reason})" if receipt.reason else receipt.outcome.value
            outcomes[said].append(receipt.settled_at)
        for said, moments in outcomes.items():
            yield Step(max(moments), "settled", f"{name}: {len(moments)} {said}, the last")


def _recorded(instances: list[Instance]) -> Iterator[Step]:
    states: dict[str, list[str]] = defaultdict(list)
    for each in instances:
        states[each.state.value].append(each.stored_at)
    for state, moments in states.items():
        yield Step(min(moments), "recorded", f"first of {len(moments)} {state}")
        if len(moments) > 1:
            yield Step(max(moments), "recorded", f"last of {len(moments)} {state}")


def _closed(version: StudyVersion) -> Step:
    said = f"version {version.version}: {version.instance_count} instances"
    if version.expected_count is not None:
        said += f" of {version.expected_count}"
    if version.held_count:
        said += f", {version.held_count} held"
    if version.closed_by:
        said += f", closed by: {version.closed_by}"
    said += f", models: {', '.join(version.models) or 'none applies'}"
    return Step(version.completed_at, "complete", said)


def _waiting(head: Study) -> str:
    return f"{head.status.value}: {head.gathering.count} instances so far"
