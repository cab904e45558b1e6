"""A gateway for tests, the service it forwards to, and senders."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import urllib3
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from firstread.gateway.run import running
from firstread.gateway.settings import GatewaySettings, load
from firstread.gateway.stack import Socket
from firstread.uploads.client import Upload, Uploaded
from firstread.uploads.errors import RefusedUploadError, UnreachableError
from tests.support import dicoms

TITLE = "FIRSTREAD"
CALLER = "CT1"


def settings(where: Path, /, **changes: Any) -> GatewaySettings:  # noqa: ANN401 - of any setting
    """A configuration for loopback; `changes` replace whole parts or single settings of them."""
    parts: dict[str, Any] = {
        "dimse": {"ae_title": TITLE, "host": "127.0.0.1", "port": 0},
        "sources": [{"name": "ct1", "ae_titles": [CALLER], "peers": ["127.0.0.1"]}],
        "spool": {"path": str(where), "free_bytes": 0, "free_percent": 0},
        "forward": {"url": "http://127.0.0.1:1", "token_file": "token", "longest_pause": 0.2},
    }
    for name, change in changes.items():
        parts[name] = {**parts.get(name, {}), **change} if isinstance(change, dict) else change
    return GatewaySettings.model_validate(parts)


@dataclass
class FakeService:
    """The ingest service as the gateway sees it; each failure in `failures` is raised once, in order.

    Parameters
    ----------
    bodies
        SHA-256 -> bytes of every object that was acknowledged.
    """

    failures: list[Exception] = field(default_factory=list)
    refuses: Callable[[Upload], str] = lambda _upload: ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    uploads: list[tuple[Upload, str, bool]] = field(default_factory=list)
    ends: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def _pass(self) -> None:
        if not self.open.is_set():
            raise UnreachableError
        if self.failures:
            raise self.failures.pop(0)

    def upload(self, items: Sequence[Upload], *, batch: str = "", backfill: bool = False) -> list[Uploaded]:
        self._pass()
        done: list[Uploaded] = []
        for item in items:
            if reason := self.refuses(item):
                error = RefusedUploadError(reason)
                error.done = tuple(done)
                raise error
            body = item.path.read_bytes()
            assert hashlib.sha256(body).hexdigest() == item.sha256
            assert len(body) == item.size
            self.bodies[item.sha256] = body
            self.uploads.append((item, batch, backfill))
            done.append(Uploaded(item, "in/routine/x"))
        return done

    def end_batch(self, batch: str, studies: Mapping[str, int]) -> None:
        self._pass()
        self.ends.append((batch, dict(studies)))

    def feed(self, message: bytes) -> None:
        self._pass()
        self.messages.append(message)

    @property
    def sop_uids(self) -> set[str]:
        return {upload.sop_uid for upload, _, _ in self.uploads}


class HttpService:
    """A `FakeService` behind HTTP, for gateways in other processes."""

    def __init__(self) -> None:
        self.fake = fake = FakeService()
        self.lock = lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                about = json.loads(self.headers["X-About"])
                with lock:
                    if self.path == "/upload":
                        digest = hashlib.sha256(body).hexdigest()
                        fake.bodies[digest] = body
                        upload = Upload(Path(), digest, len(body), about["study"], about["sop"], 0, False)
                        fake.uploads.append((upload, about["batch"], False))
                    elif self.path == "/end":
                        fake.ends.append((about["batch"], about["studies"]))
                    else:
                        fake.messages.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "HttpService":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class HttpClient:
    """Talks to an `HttpService`."""

    def __init__(self, url: str) -> None:
        self._url, self._pool = url, urllib3.PoolManager(retries=False, timeout=60, maxsize=8)

    def _post(self, path: str, body: bytes, about: Mapping[str, object]) -> None:
        headers = {"X-About": json.dumps(about)}
        try:
            self._pool.request("POST", self._url + path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError:
            raise UnreachableError from None

    def upload(self, items: Sequence[Upload], *, batch: str = "", backfill: bool = False) -> list[Uploaded]:
        for item in items:
            about = {"study": item.study_uid, "sop": item.sop_uid, "batch": batch, "backfill": backfill}
            self._post("/upload", item.path.read_bytes(), about)
        return [Uploaded(item, "in/routine/x") for item in items]

    def end_batch(self, batch: str, studies: Mapping[str, int]) -> None:
        self._post("/end", b"", {"batch": batch, "studies": dict(studies)})

    def feed(self, message: bytes) -> None:
        self._post("/feed", message, {})


def serve(config: str, url: str, ports: str) -> None:
    """Run a gateway in a process of its own, until it is killed."""
    with running(load(Path(config)), HttpClient(url)) as gateway:
        feed = gateway.feed.port if gateway.feed else 0
        Path(f"{ports}.new").write_text(f"{gateway.dimse.port} {feed}")
        Path(f"{ports}.new").rename(ports)
        while True:
            time.sleep(60)


def instance(number: int, study: str = "1.2.3", **values: object) -> Dataset:
    """A small radiograph with a UID of its own, for sending."""
    uids = {"StudyInstanceUID": study, "SOPInstanceUID": f"{study}.9.{number}"}
    dataset = dicoms.header(**(uids | values))
    dataset.PixelData = dicoms.PIXELS * 2
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@contextmanager
def associated(
    port: int,
    *,
    caller: str = CALLER,
    called: str = TITLE,
    contexts: Sequence[str] = (),
    **options: Any,  # noqa: ANN401
) -> Iterator[Association]:
    """An association of ours with a gateway."""
    entity = AE(caller)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    for context in contexts or (ComputedRadiographyImageStorage,):
        entity.add_requested_context(context, ExplicitVRLittleEndian)
    with patch("pynetdicom.ae.AssociationSocket", Socket):
        association = entity.associate("127.0.0.1", port, ae_title=called, **options)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port: int, *datasets: Dataset, **options: Any) -> list[int]:  # noqa: ANN401 - of `associated`
    """Send instances in one association; return the statuses."""
    with associated(port, **options) as association:
        assert association.is_established
        return [association.send_c_store(dataset).Status for dataset in datasets]


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def encoded(dataset: Dataset) -> bytes:
    """The dataset without group 0002."""
    from pynetdicom.dsutils import encode

    found = encode(dataset, False, True)
    assert found is not None
    return found
