"""Storage commitment, push model, as SCP (PS3.4 Annex J).

The gateway is a way, not a store: unless the site says that what it uploads is kept for good, every request is
answered with a failure for every instance, so that no modality deletes what it holds. A request is kept on the disk
until its answer was delivered.
"""

import json
import logging
import threading
import time
import weakref
from typing import cast

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from firstread.gateway.items import Commitment
from firstread.gateway.settings import GatewaySettings, Source
from firstread.gateway.spool import Spool
from firstread.gateway.tls import client_context

NO_SUCH_INSTANCE = 0x0112
CLASS_CONFLICT = 0x0119
PROCESSING_FAILURE = 0x0110
_NO_SUCH_ACTION = 0x0123
_INVALID_ARGUMENT = 0x0115
_NO_SUCH_SOP_INSTANCE = 0x0112
_REQUEST, _ALL_COMMITTED, _FAILURES_EXIST = 1, 1, 2  # PS3.4 J.3.2.1, J.3.3.1
_MOST_INSTANCES = 50_000
_PAUSE = 5.0  # seconds between two attempts to deliver an answer
_AFTER_ANSWER = 0.3  # the answer of N-ACTION has to be out first
_HOUR, _DAY = 3600.0, 86400.0
log = logging.getLogger(__name__)


class Commitments:
    """Answers requests for storage commitment.

    Parameters
    ----------
    settings
        What is committed, and where answers go.
    spool
        Keeps requests, and knows what was acknowledged.
    """

    def __init__(self, settings: GatewaySettings, spool: Spool) -> None:
        self._settings, self._spool = settings, spool
        self._sources = {source.name: source for source in settings.sources}
        self._open: weakref.WeakValueDictionary[str, Association] = weakref.WeakValueDictionary()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commitment")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; what waits is answered after the next start."""
        self._stopping.set()
        self._thread.join()

    def ask(self, event: evt.Event, source: Source) -> int:
        """Take a request; return the status of N-ACTION."""
        if event.action_type != _REQUEST:
            return _NO_SUCH_ACTION
        if cast(N_ACTION, event.request).RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return _NO_SUCH_SOP_INSTANCE
        try:
            asked = event.action_information
            transaction = str(asked.TransactionUID)
            instances = [
                (str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID))
                for each in asked.ReferencedSOPSequence[:_MOST_INSTANCES]
            ]
            complete = 0 < len(instances) == len(asked.ReferencedSOPSequence)
        except Exception:
            return _INVALID_ARGUMENT  # it can be anything, and its text may quote it
        if not complete or not 0 < len(transaction) <= 64:
            return _INVALID_ARGUMENT
        self._open[transaction] = event.assoc
        title = event.assoc.requestor.ae_title.strip()
        try:
            self._spool.add_commitment(transaction, source.name, title, json.dumps(instances))
        except Exception as error:
            log.error("a request for storage commitment could not be kept: %s", type(error).__name__)
            return PROCESSING_FAILURE
        return 0x0000

    def _run(self) -> None:
        looked = 0.0
        while not self._stopping.wait(0.2):
            try:
                for request in self._spool.commitments():
                    if time.time() - request.asked > _AFTER_ANSWER and not self._stopping.is_set():
                        self._answer(request)
                if time.time() - looked > _HOUR:
                    looked = time.time()
                    self._spool.forget_acknowledged(looked - self._settings.commitment.keep_days * _DAY)
            except Exception as error:
                log.error("storage commitment: %s", type(error).__name__)
            if self._spool.commitments():
                self._stopping.wait(_PAUSE if self._waits_long() else 0)

    def _waits_long(self) -> bool:
        return all(time.time() - each.asked > _PAUSE for each in self._spool.commitments())

    def _answer(self, request: Commitment) -> None:
        expired = time.time() - request.asked > self._settings.commitment.wait_hours * _HOUR
        report = self._report(request, final=expired)
        if report is None:
            return  # some are still on their way
        if self._deliver(request, report):
            self._spool.settle_commitment(request.id, "commitment_answered")
        elif expired or not self._can_be_reached(request):
            log.warning("an answer of storage commitment to %s could not be delivered", request.source)
            self._spool.settle_commitment(request.id, "commitment_undelivered")

    def _report(self, request: Commitment, *, final: bool) -> Dataset | None:
        """Return what became of the instances; None while some wait for their upload."""
        done, failed = [], []
        for sop_class, sop_uid in json.loads(request.instances):
            reason = self._reason(sop_class, sop_uid)
            if reason is None and not final:
                return None
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_uid
            if reason == 0:
                done.append(item)
            else:
                item.FailureReason = PROCESSING_FAILURE if reason is None else reason  # PS3.3 C.14.1.1
                failed.append(item)
        report = Dataset()
        report.TransactionUID = request.transaction_uid
        if done:
            report.ReferencedSOPSequence = Sequence(done)
        if failed:
            report.FailedSOPSequence = Sequence(failed)
        return report

    def _reason(self, sop_class: str, sop_uid: str) -> int | None:
        """Return 0 for an instance that is safe, a failure reason, or None while it is on its way."""
        if not self._settings.commitment.commit_storage:
            return NO_SUCH_INSTANCE
        known = self._spool.is_acknowledged(sop_uid)
        if known is not None:
            return 0 if known == sop_class else CLASS_CONFLICT
        return None if self._spool.is_waiting(sop_uid) else NO_SUCH_INSTANCE

    def _can_be_reached(self, request: Commitment) -> bool:
        source = self._sources.get(request.source)
        association = self._open.get(request.transaction_uid)
        return bool(source and source.report_to) or bool(association and association.is_established)

    def _deliver(self, request: Commitment, report: Dataset) -> bool:
        source = self._sources.get(request.source)
        if source is not None and source.report_to:
            return self._call(source, request.ae_title, report)
        association = self._open.get(request.transaction_uid)
        return association is not None and association.is_established and _send(association, report)

    def _call(self, source: Source, ae_title: str, report: Dataset) -> bool:
        """Deliver an answer by an association of our own, as the SCP (PS3.7 D.3.3.4)."""
        host, _, port = source.report_to.rpartition(":")
        entity = AE(self._settings.dimse.ae_title)
        entity.add_requested_context(StorageCommitmentPushModel)
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = self._settings.dimse.timeout
        entity.connection_timeout = _PAUSE
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        settings = self._settings.dimse.tls
        tls = (client_context(settings), host) if source.report_tls and settings else None
        association = entity.associate(host, int(port), ae_title=ae_title, ext_neg=[role], tls_args=tls)
        if not association.is_established:
            return False
        try:
            return _send(association, report)
        finally:
            association.release()


def _send(association: Association, report: Dataset) -> bool:
    event = _FAILURES_EXIST if "FailedSOPSequence" in report else _ALL_COMMITTED
    try:
        status, _ = association.send_n_event_report(
            report, event, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    except (RuntimeError, ValueError):
        return False  # the association is over, or has no such context
    return bool(status) and status.Status == 0x0000
