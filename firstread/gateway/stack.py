"""pynetdicom as a door needs it: nothing of a dataset in memory or in a log, and bounds on what a peer may send.

pynetdicom is configured by module variables, so one process has one gateway. What it lacks is put in its place here
and nowhere else: files of our own for incoming datasets (`landing`), a socket that refuses what no sane peer sends,
and a provider that bounds messages without a file.
"""

import errno
import logging
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pydicom.config
from pynetdicom import _config, dimse_messages, transport
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from firstread.gateway.landing import Landings

MAXIMUM_PDU = 256 * 1024
"""Maximum length received, as it is negotiated (PS3.8 D.1)."""
_MOST_PDU = 1024 * 1024  # an A-ASSOCIATE-RQ with 128 presentation contexts may be longer than `MAXIMUM_PDU`
_MOST_MESSAGE = 16 * 1024 * 1024  # command sets, and datasets of N-ACTION
_RECEIVE = 64 * 1024
_NOWHERE = logging.NullHandler()
log = logging.getLogger(__name__)


class Socket(AssociationSocket):
    """Reads in large pieces, and no PDU that is longer than any could be."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, or fewer where the peer has ended."""
        if nr_bytes > _MOST_PDU:
            raise OSError(errno.EMSGSIZE, "the peer sends a PDU that is too long")
        found = bytearray(nr_bytes)
        view, read = memoryview(found), 0
        connection = cast(socket.socket, self.socket)
        while read < nr_bytes:
            count = connection.recv_into(view[read:], min(_RECEIVE, nr_bytes - read))
            if not count:
                break
            read += count
        view.release()
        del found[read:]
        return found

    def _shutdown_socket(self) -> None:
        # pynetdicom leaves a socket open whose peer has gone: shutdown fails, and close is not reached.
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()


class Provider(DIMSEServiceProvider):
    """Ends an association whose messages cannot be decoded, or have no end.

    Parameters
    ----------
    assoc
        The association.
    landings
        Where its datasets go.
    """

    def __init__(self, assoc: Association, landings: Landings) -> None:
        super().__init__(assoc)
        self._landings = landings

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the next fragments of a message."""
        try:
            super().receive_primitive(primitive)
        except Exception:
            # A peer can send anything; an error here would end the thread of the network without a word.
            self._refuse()
            return
        message = self.message
        if message is None or message._data_set_file is not None:
            return
        held = message.encoded_command_set.tell() + (message.data_set.tell() if message.data_set else 0)
        if held > _MOST_MESSAGE:
            self._refuse()

    def discard(self) -> None:
        """Remove the files of messages that nobody will answer."""
        self._discard(self.message)
        while True:
            _, waiting = self.get_msg()
            if waiting is None:
                return
            self._landings.discard(cast("Path | None", waiting._dataset_path))

    def _refuse(self) -> None:
        self._discard(self.message)
        self.message = None
        self.dul.event_queue.put("Evt19")  # invalid PDU: A-ABORT (PS3.8 9.2.1)

    def _discard(self, message: dimse_messages.DIMSEMessage | None) -> None:
        if message is not None and message._data_set_file is not None:
            self._landings.discard(Path(message._data_set_file.name))


@contextmanager
def configured(landings: Landings) -> Iterator[None]:
    """Set up pynetdicom and pydicom for this process, and back.

    Parameters
    ----------
    landings
        Where incoming datasets are written.
    """

    def new_file(*_args: object, suffix: str = "", **_options: object) -> Any:  # noqa: ANN401 - a file of theirs
        return landings.new(suffix)

    changes: list[tuple[Any, str, object]] = [
        (_config, "UNRESTRICTED_STORAGE_SERVICE", True),
        (_config, "STORE_RECV_CHUNKED_DATASET", True),
        (_config, "LOG_HANDLER_LEVEL", "none"),
        (dimse_messages, "NamedTemporaryFile", new_file),
        (transport, "AssociationSocket", Socket),
        (pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE),
        (pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE),
        (threading, "excepthook", _tell_thread),
    ]
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    silenced = [(each, each.propagate) for each in map(logging.getLogger, ("pynetdicom", "pydicom"))]
    for place, name, value in changes:
        setattr(place, name, value)
    for logger, _ in silenced:
        logger.addHandler(_NOWHERE)
        logger.propagate = False  # their texts quote datasets; what matters is counted and logged by us
    try:
        with warnings.catch_warnings():
            for module in (r"pydicom\b", r"pynetdicom\b"):
                warnings.filterwarnings("ignore", module=module)
            yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
        for logger, propagate in silenced:
            logger.propagate = propagate
            logger.removeHandler(_NOWHERE)


def _tell_thread(failed: threading.ExceptHookArgs) -> None:
    # A traceback may show values of a dataset.
    log.error("a thread has ended with %s", failed.exc_type.__name__)
