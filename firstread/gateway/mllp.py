"""The HL7 v2 listener: MLLP, with an acknowledgement after the message is on the disk (HL7 v2.5.1 2.9.2, 2.10)."""

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import hl7

from firstread.feeds import KINDS
from firstread.gateway.items import Identifiers, Kind
from firstread.gateway.landing import Landings
from firstread.gateway.settings import Hl7, is_in
from firstread.gateway.spool import Spool
from firstread.gateway.tls import server_context

START, END, RETURN = b"\x0b", b"\x1c", b"\r"
_RECEIVE = 64 * 1024
_HANDSHAKE = 10.0
_MOST_HEADER = 4096  # bytes of a plausible MSH
_CONNECTIONS = 64
log = logging.getLogger(__name__)


class TooLongError(Exception):
    """A frame that has no end within the limit."""


class Frames:
    """Cuts a stream of bytes into messages (MLLP: 0x0B, message, 0x1C 0x0D).

    Parameters
    ----------
    longest
        Bytes of a message.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._inside = False
        self._looked = 0  # bytes that hold no end

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield the messages that are complete now.

        Raises
        ------
        TooLongError
            As soon as a message passes the limit.
        """
        self._buffer += data
        while True:
            if not self._inside:
                start = self._buffer.find(START)
                del self._buffer[: start + 1 if start >= 0 else len(self._buffer)]
                if start < 0:
                    return
                self._inside = True
            end = self._buffer.find(END + RETURN, self._looked)
            if (end if end >= 0 else len(self._buffer)) > self._longest + 1:
                raise TooLongError
            if end < 0:
                self._looked = max(0, len(self._buffer) - 1)
                return
            message = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._inside, self._looked = False, 0
            yield message


@dataclass(frozen=True)
class Header:
    r"""What is read of a message: its first segment.

    Parameters
    ----------
    separators
        The field separator and the encoding characters, such as ``|^~\&``.
    sender, receiver
        Application and facility, as they are encoded.
    kind, trigger
        Of MSH-9, such as ``ADT`` and ``A40``.
    control_id
        MSH-10.
    processing, version
        MSH-11 and MSH-12.
    """

    separators: str
    sender: tuple[str, str]
    receiver: tuple[str, str]
    kind: str
    trigger: str
    control_id: str
    processing: str
    version: str

    @property
    def is_complete(self) -> bool:
        """Whether everything is there that a message needs to be answered for."""
        return bool(self.kind and self.control_id and self.version)


def header_of(message: bytes) -> Header | None:
    """Return the header of a message; None if it has none.

    The bytes are read as ISO 8859-1, whatever MSH-18 says: every byte stays itself, and what is looked at is ASCII.
    """
    segment = message[:_MOST_HEADER].partition(b"\r")[0].partition(b"\n")[0].decode("latin-1")
    if not segment.startswith("MSH") or len(segment) < 8:
        return None
    try:
        fields = hl7.parse(segment + "\r")[0]
        separator = str(fields[1])
        component = str(fields[2])[0]
        kind, _, rest = _field(fields, 9).partition(component)
        return Header(
            separators=separator + str(fields[2]),
            sender=(_field(fields, 3), _field(fields, 4)),
            receiver=(_field(fields, 5), _field(fields, 6)),
            kind=kind.strip(),
            trigger=rest.partition(component)[0].strip(),
            control_id=_field(fields, 10).strip(),
            processing=_field(fields, 11),
            version=_field(fields, 12),
        )
    except Exception:
        return None  # a parser of foreign bytes may fail in any way, and its message may quote them


def _field(fields: Any, number: int) -> str:  # noqa: ANN401 - hl7's containers
    return str(fields[number]) if number < len(fields) else ""


def answer(header: Header | None, code: str, text: str = "") -> bytes:
    """Return an acknowledgement, framed.

    Parameters
    ----------
    header
        Of the message; None where it cannot be read.
    code
        AA, AE or AR (HL7 table 0008).
    text
        For the log of the sender; nothing of the message.
    """
    if header is None:
        header = Header("|^~\\&", ("", ""), ("", ""), "", "", "", "P", "2.5.1")
    bar, component = header.separators[0], header.separators[1]
    kind = component.join(part for part in ("ACK", header.trigger) if part)
    now = datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z")
    fields = ("MSH", header.separators[1:], *header.receiver, *header.sender, now, "", kind)
    msh = bar.join((*fields, header.control_id, header.processing, header.version))
    msa = bar.join(("MSA", code, header.control_id, *([text] if text else [])))
    return START + f"{msh}\r{msa}\r".encode("latin-1", "replace") + END + RETURN


class FeedListener:
    """Takes messages into the spool.

    Parameters
    ----------
    settings
        Where to listen, and to whom.
    spool, landings
        Where messages go.

    Raises
    ------
    OSError
        If the port cannot be had.
    ConfigurationError
        If TLS cannot be set up.
    """

    def __init__(self, settings: Hl7, spool: Spool, landings: Landings) -> None:
        self.settings, self._spool, self._landings = settings, spool, landings
        self.tls = server_context(settings.tls)
        self._server = _Server((settings.host, settings.port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="hl7")

    @property
    def port(self) -> int:
        """TCP port that was bound."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; a message that is not acknowledged is sent again by its sender."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def may_connect(self, address: str) -> bool:
        """Return whether an address may say anything at all."""
        if is_in(address, self.settings.peers):
            return True
        self._spool.count("peer_refused")
        log.warning("a connection was closed: its address may not feed")
        return False

    def take(self, message: bytes) -> bytes:
        """Keep a message; return the acknowledgement."""
        header = header_of(message)
        try:
            if header is None or not header.is_complete:
                self._spool.count("feed_not_understood")
                return answer(header, "AE", "MSH-9, MSH-10 or MSH-12 cannot be read")
            # What the other side does not understand would lie there with its names, and nobody would ever need it.
            if f"{header.kind}^{header.trigger}" not in KINDS:
                self._spool.count("feed_dropped")
                return answer(header, "AA")
            self._keep(message)
        except Exception as error:
            log.error("a message could not be kept: %s", type(error).__name__)
            return answer(header, "AR", "the spool is full or cannot be written; send again later")
        return answer(header, "AA")

    def _keep(self, message: bytes) -> None:
        landing = self._landings.own(f".{Kind.FEED}")
        landing.write(message)
        self._spool.add(landing, Kind.FEED, "hl7", "", Identifiers())


class _Handler(BaseRequestHandler):
    """One connection."""

    server: "_Server"

    def handle(self) -> None:
        listener = self.server.listener
        connection: socket.socket = self.request
        try:
            connection.settimeout(_HANDSHAKE)
            if listener.tls is not None:
                connection = self.request = listener.tls.wrap_socket(connection, server_side=True)
            connection.settimeout(listener.settings.timeout)
            frames = Frames(listener.settings.message_bytes)
            while data := connection.recv(_RECEIVE):
                for message in frames.feed(data):
                    connection.sendall(listener.take(message))
        except TooLongError:
            log.warning("a connection of the feed was closed: a message is too long")
        except OSError:  # and what is wrong with TLS
            log.info("a connection of the feed has ended")
        finally:
            connection.close()


class _Server(ThreadingTCPServer):
    """Accepts connections without waiting for any of them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], listener: FeedListener) -> None:
        self.listener = listener
        self._places = threading.BoundedSemaphore(_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def verify_request(self, _request: object, client_address: Any) -> bool:  # noqa: ANN401
        return self.listener.may_connect(client_address[0]) and self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, _request: object, _client_address: object) -> None:
        log.error("a connection of the feed failed")
