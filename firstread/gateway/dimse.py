"""The DICOM listener: C-ECHO, C-STORE and storage commitment as SCP."""

import errno
import logging
import socket
import ssl
import threading
from dataclasses import dataclass, field
from socketserver import BaseServer
from typing import Any, cast
from uuid import uuid4

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from firstread.errors import QuarantineError
from firstread.gateway.commitment import Commitments
from firstread.gateway.identifiers import read_identifiers
from firstread.gateway.items import Identifiers, Kind
from firstread.gateway.landing import Landing, Landings
from firstread.gateway.settings import Dimse, GatewaySettings, Source
from firstread.gateway.spool import Spool
from firstread.gateway.stack import MAXIMUM_PDU, Provider
from firstread.gateway.tls import server_context

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORIZED = 0x0124
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH_SOP_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000
DOES_NOT_MATCH_INSTANCE = 0xC001

_REJECTED_PERMANENT, _BY_USER, _CALLING_NOT_RECOGNIZED = 1, 1, 3  # PS3.8 9.3.4
_COMMENTS = {
    PROCESSING_FAILURE: "The object could not be processed",
    SOP_CLASS_NOT_SUPPORTED: "SOP class is not that of the presentation context",
    NOT_AUTHORIZED: "The sender is not known",
    OUT_OF_RESOURCES: "The spool is full or cannot be written; try again later",
    DOES_NOT_MATCH_SOP_CLASS: "SOP class of the data set is another one",
    CANNOT_UNDERSTAND: "The identifiers of the data set cannot be read",
    DOES_NOT_MATCH_INSTANCE: "SOP instance of the data set is another one",
}
_HANDSHAKE = 10.0  # seconds
_JOIN = 5.0
_IDLE = "Sta1"  # PS3.8 9.2.1: no connection
log = logging.getLogger(__name__)


@dataclass
class _Sending:
    """One association: who sends, and what it is called."""

    source: Source
    batch: str = field(default_factory=lambda: str(uuid4()))
    taken: int = 0


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer other than success."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Listener:
    """Takes objects into the spool.

    Parameters
    ----------
    settings
        Who may send, and where to listen.
    spool
        Where objects go.
    landings
        Where they are received; the same as in `stack.configured`, which has to be in force.
    commitments
        Who answers storage commitment.

    Raises
    ------
    OSError
        If the port cannot be had.
    ConfigurationError
        If TLS cannot be set up.
    """

    def __init__(
        self, settings: GatewaySettings, spool: Spool, landings: Landings, commitments: Commitments
    ) -> None:
        self._settings, self._spool, self._landings = settings, spool, landings
        self._commitments = commitments
        self._sending: dict[Association, _Sending] = {}
        dimse = settings.dimse
        entity = AE(dimse.ae_title)
        entity.require_called_aet = True
        # The handler below knows addresses as well; this stands should it ever fail.
        entity.require_calling_aet = sorted({title for each in settings.sources for title in each.ae_titles})
        entity.maximum_associations = dimse.associations
        entity.maximum_pdu_size = MAXIMUM_PDU
        entity.network_timeout = entity.dimse_timeout = dimse.timeout
        entity.add_supported_context(Verification)
        entity.add_supported_context(StorageCommitmentPushModel)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_FSM_TRANSITION, _give_up),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commit),
        ]
        self._server = _Server(self, entity, dimse, handlers)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="dimse")

    @property
    def port(self) -> int:
        """TCP port that was bound."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self, grace: float = 30.0) -> None:
        """Listen no more; associations have some time to end.

        Parameters
        ----------
        grace
            Seconds until those that go on are aborted.
        """
        self._server.shutdown()
        self._thread.join()
        for association in self._server.active_associations:
            association.join(grace)
            if association.is_alive():
                association.abort(block=False)
                association.join(_JOIN)
        self._server.join(_JOIN)

    def may_connect(self, address: str) -> bool:
        """Return whether an address may say anything at all."""
        if self._settings.may_connect(address):
            return True
        self._spool.count("peer_refused")
        log.warning("a connection was closed: its address belongs to no source")
        return False

    def prepare(self, association: Association) -> None:
        """Put our bounds around an association that begins."""
        association.dimse = Provider(association, self._landings)

    def ended(self, association: Association) -> None:
        """Close the batch of an association that is over, however it ended."""
        association.dul.join(_JOIN)
        cast(Provider, association.dimse).discard()
        sending = self._sending.pop(association, None)
        if sending is None:
            return
        if association.is_rejected:
            return
        released = association.is_released
        if not released:
            self._spool.count("association_aborted")
        if sending.taken:
            self._spool.end(sending.batch, released=released)
        log.info(
            "association of %s %s after %d objects",
            sending.source.name,
            "released" if released else "aborted",
            sending.taken,
        )

    def refused_handshake(self) -> None:
        """Note that a peer could not be agreed with on TLS."""
        self._spool_counts("tls_refused")
        log.warning("a connection was closed: no agreement on TLS")

    # ---- handlers of pynetdicom

    def _admit(self, event: evt.Event) -> None:
        """Let a known AE title in from its own network; reject it from elsewhere."""
        association = event.assoc
        request = cast(A_ASSOCIATE, association.requestor.primitive)
        title = request.calling_ae_title.strip()
        source = self._settings.source_of(title, association.requestor.address)
        if source is not None:
            self._sending[association] = _Sending(source)
        elif request.called_ae_title.strip() == self._settings.dimse.ae_title:
            association.acse.send_reject(_REJECTED_PERMANENT, _BY_USER, _CALLING_NOT_RECOGNIZED)
            self._rejected(event)
            association.kill()
        # else: pynetdicom rejects it, because it calls somebody else

    def _rejected(self, _event: evt.Event) -> None:
        self._spool.count("association_rejected")
        log.warning("an association was rejected")

    def _store(self, event: evt.Event) -> Dataset:
        """Answer C-STORE: success is said when the object is on the disk (PS3.4 B.2.3)."""
        landing = self._landings.take(event.dataset_path)
        try:
            self._take(event, landing)
        except _Refused as refused:
            status = refused.status
        except OSError as error:
            log.error("an object could not be written: error %s", errno.errorcode.get(error.errno or 0, "?"))
            status = OUT_OF_RESOURCES
        except Exception as error:
            log.error("an object could not be taken: %s", type(error).__name__)
            status = PROCESSING_FAILURE
        else:
            return _status(SUCCESS)
        landing.discard()
        self._spool_counts(f"refused_{status:04x}")
        return _status(status)

    def _spool_counts(self, name: str) -> None:
        try:
            self._spool.count(name)
        except Exception:
            log.error("the index of the spool cannot be written")  # and the peer has its answer all the same

    def _take(self, event: evt.Event, landing: Landing) -> None:
        sending = self._sending.get(event.assoc)
        if sending is None:
            raise _Refused(NOT_AUTHORIZED)
        if landing.failure is not None:
            raise OSError(landing.failure, "the object was not written")
        request, context = cast(C_STORE, event.request), event.context
        if request.AffectedSOPClassUID != context.abstract_syntax:
            raise _Refused(SOP_CLASS_NOT_SUPPORTED)
        about = self._read(landing, context.transfer_syntax)
        if about.sop_class != request.AffectedSOPClassUID:
            raise _Refused(DOES_NOT_MATCH_SOP_CLASS)
        if about.sop_uid != request.AffectedSOPInstanceUID:
            raise _Refused(DOES_NOT_MATCH_INSTANCE)
        urgent = about.urgent or sending.source.urgent
        about = Identifiers(about.sop_class, about.sop_uid, about.study_uid, urgent)
        self._spool.add(landing, Kind.OBJECT, sending.source.name, sending.batch, about)
        sending.taken += 1

    @staticmethod
    def _read(landing: Landing, transfer_syntax: str) -> Identifiers:
        landing.flush_buffer()
        with landing.path.open("rb") as file:
            try:
                return read_identifiers(file, transfer_syntax)
            except QuarantineError as refused:
                log.warning("an object was refused: %s", refused.reason)
                raise _Refused(CANNOT_UNDERSTAND) from None

    def _commit(self, event: evt.Event) -> tuple[int, None]:
        """Answer N-ACTION of storage commitment; what becomes of the instances is reported later."""
        sending = self._sending.get(event.assoc)
        if sending is None:
            return NOT_AUTHORIZED, None
        return self._commitments.ask(event, sending.source), None


def _give_up(event: evt.Event) -> None:
    """Let an association end whose peer has gone without a request; it would keep its place until that is overdue."""
    association = event.assoc
    if event.next_state == _IDLE and association.requestor.primitive is None:
        association.dul.to_user_queue.put(cast(A_ASSOCIATE, None))  # what a timeout gives


def _status(code: int) -> Dataset:
    status = Dataset()
    status.Status = code
    if code != SUCCESS:
        status.ErrorComment = _COMMENTS[code]  # (0000,0902) LO: at most 64 characters
    return status


class _Handler(RequestHandler):
    """One connection, from its first byte to its last."""

    server: "_Server"

    def handle(self) -> None:
        association = self._create_association()
        self.server.listener.prepare(association)
        association.start()
        association.join()
        self.server.listener.ended(association)


class _Server(ThreadedAssociationServer):
    """Accepts connections without waiting for any of them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listener: Listener, entity: AE, dimse: Dimse, handlers: list[Any]) -> None:
        self.listener = listener
        self._running: set[threading.Thread] = set()
        super().__init__(
            entity,
            (dimse.host, dimse.port),
            dimse.ae_title,
            entity.supported_contexts,
            server_context(dimse.tls),
            handlers,
            request_handler=_Handler,
        )

    def get_request(self) -> tuple[socket.socket, Any]:
        # Without the handshake, for which one slow peer could keep all others waiting.
        return cast(socket.socket, self.socket).accept()

    def verify_request(self, _request: object, client_address: Any) -> bool:  # noqa: ANN401
        return self.listener.may_connect(client_address[0])

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        thread = threading.current_thread()
        self._running.add(thread)
        try:
            request.settimeout(_HANDSHAKE)
            request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.ssl_context:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            # A peer that vanishes in the middle of a PDU must not be waited for without end.
            request.settimeout(self.ae.network_timeout)
            self.finish_request(request, client_address)
        except (ssl.SSLError, TimeoutError, ConnectionError):
            self.listener.refused_handshake()
            self.shutdown_request(request)
        except Exception:
            self.handle_error(request, client_address)
            self.shutdown_request(request)
        finally:
            self._running.discard(thread)

    def handle_error(self, _request: object, _client_address: object) -> None:
        log.error("a connection failed", exc_info=False)

    def shutdown(self) -> None:
        BaseServer.shutdown(self)
        self.server_close()

    def server_close(self) -> None:
        cast(socket.socket, self.socket).close()

    def join(self, timeout: float) -> None:
        """Wait until the batches of all connections are closed."""
        for thread in list(self._running):
            thread.join(timeout)
