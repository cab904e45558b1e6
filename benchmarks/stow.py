"""How much memory does a STOW-RS request of 2 GB take?

``python -m benchmarks stow``: the ingest service in a process of its own, S3 and the ledger on loopback in another,
which count and forget what comes. One request with four parts, one with a single part; the peak is VmHWM.
"""

import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from firstread.sources import token_digest
from tests.support.dicoms import encode, header

MIB = 1024 * 1024
TOTAL = 2 * 1000**3
BOUNDARY = "a-boundary"
TOKEN = secrets.token_hex(16)


class Sink(BaseHTTPRequestHandler):
    """S3 and DynamoDB, as far as a door needs them: everything is taken and forgotten."""

    protocol_version = "HTTP/1.1"

    def _take(self) -> None:
        left = int(self.headers.get("Content-Length", "0"))
        while left:
            left -= len(self.rfile.read(min(left, MIB)))
        target = self.headers.get("X-Amz-Target", "")
        answer = b'{"Items": [], "Count": 0, "ScannedCount": 0}' if "Dynamo" in target else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-amz-version-id", "1")
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST = _take  # noqa: N815 - names of the base class

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _body(parts: int) -> Iterator[bytes]:
    block = os.urandom(MIB)
    for number in range(parts):
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield encode(header(SOPInstanceUID=f"1.2.3.{number}"))
        for _ in range(TOTAL // parts // MIB):
            yield block
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _measured(parts: int, port: int, environment: dict[str, str]) -> str:
    service = subprocess.Popen([sys.executable, "-m", "ingest_service"], env=environment)
    try:
        time.sleep(5)
        before = _peak(service.pid)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"}
        start = time.monotonic()
        connection.request("POST", "/ingest/studies", _body(parts), headers, encode_chunked=True)
        answer = connection.getresponse()
        took = time.monotonic() - start
        stored = len(json.loads(answer.read())["00081199"]["Value"])
        assert (answer.status, stored) == (200, parts), answer.status
        peak = _peak(service.pid)
        return f"{parts} part(s), 2 GB: peak {peak:.0f} MiB, {before:.0f} MiB idle, {took:.1f} s"
    finally:
        service.terminate()
        service.wait()


def run() -> None:
    """Measure and print."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1] + 1
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "FIRSTREAD_INCOMING_BUCKET": "incoming",
            "FIRSTREAD_LEDGER_TABLE": "ledger",
            "FIRSTREAD_HINTS_QUEUE_URL": f"http://127.0.0.1:{server.server_address[1]}/hints",
            "FIRSTREAD_REFERENCE_KEY_FILE": f"{folder}/reference.key",
            "FIRSTREAD_SOURCES": json.dumps(
                {"sources": [{"name": "ct1", "token_sha256": token_digest(TOKEN)}]}
            ),
            "FIRSTREAD_INGEST_PORT": str(port),
        }
        for parts in (4, 1):
            print(_measured(parts, port, environment))
    server.shutdown()
