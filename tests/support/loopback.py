"""Services on loopback, for clients that speak HTTP: the ingest service, and S3 as whoever has no keys sees it."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import uvicorn
from fastapi import FastAPI
from python_multipart.multipart import parse_options_header

from tests.support.cloud import Cloud


@dataclass
class Store:
    """S3 POST and UploadPart over an account in this process; checks what S3 checks of a policy.

    Parameters
    ----------
    refuse
        Called with each request's path; an (status, body) answers in its place.
    """

    cloud: Cloud
    url: str = ""
    refuse: Callable[[str], tuple[int, bytes] | None] = lambda _path: None
    posts: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, bucket: str, fields: dict[str, str], content: bytes) -> tuple[int, dict[str, str], bytes]:
        """Judge a form, and write its object."""
        policy = json.loads(base64.b64decode(fields["policy"]))
        conditions: dict[str, str] = {}
        for condition in policy["conditions"]:
            if isinstance(condition, list):
                kind, low, high = condition
                assert kind == "content-length-range"
                if not low <= len(content) <= high:
                    return 400, {}, b"<Error><Code>EntityTooLarge</Code></Error>"
            else:
                conditions |= condition
        named = {**fields, "bucket": bucket}
        if any(named.get(name) != value for name, value in conditions.items()):
            return 403, {}, b"<Error><Code>AccessDenied</Code></Error>"
        covered = {"policy", "x-amz-signature"} | set(conditions)
        if set(fields) - covered:  # S3 refuses fields that the policy does not name
            return 403, {}, b"<Error><Code>AccessDenied</Code></Error>"
        if base64.b64encode(hashlib.sha256(content).digest()).decode() != fields["x-amz-checksum-sha256"]:
            return 400, {}, b"<Error><Code>BadDigest</Code></Error>"
        prefix = "x-amz-meta-"
        with self.lock:
            self.posts.append(fields)
            version = self.cloud.s3.put_object(
                Bucket=bucket,
                Key=fields["key"],
                Body=content,
                Metadata={n.removeprefix(prefix): v for n, v in fields.items() if n.startswith(prefix)},
            )["VersionId"]
        return 201, {"x-amz-version-id": version}, b"<PostResponse/>"

    def put(
        self, path: str, query: dict[str, list[str]], headers: Mapping[str, str], content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Write one part."""
        _, bucket, key = path.split("/", 2)
        signed = query["X-Amz-SignedHeaders"][0].split(";")
        if "x-amz-checksum-sha256" not in signed:
            return 403, {}, b"<Error><Code>AccessDenied</Code></Error>"
        checksum = headers["x-amz-checksum-sha256"]
        if base64.b64encode(hashlib.sha256(content).digest()).decode() != checksum:
            return 400, {}, b"<Error><Code>BadDigest</Code></Error>"
        with self.lock:
            etag = self.cloud.s3.upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=query["uploadId"][0],
                PartNumber=int(query["partNumber"][0]),
                Body=content,
            )["ETag"]
        return 200, {"etag": etag}, b""


def _form(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    boundary = parse_options_header(content_type)[1][b"boundary"]
    fields: dict[str, str] = {}
    content = b""
    for chunk in body.split(b"--" + boundary)[1:-1]:
        head, _, value = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = parse_options_header(head.split(b": ", 1)[1])[1][b"name"].decode()
        value = value.removesuffix(b"\r\n")
        if name == "file":
            content = value
        else:
            fields[name] = value.decode()
    return fields, content


@contextmanager
def store(cloud: Cloud) -> Iterator[Store]:
    """Serve S3 on loopback."""
    made = Store(cloud)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(
            self, respond: Callable[[str, dict[str, list[str]], bytes], tuple[int, dict[str, str], bytes]]
        ) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parts = urlsplit(self.path)
            refused = made.refuse(parts.path)
            found = (
                (refused[0], {}, refused[1]) if refused else respond(parts.path, parse_qs(parts.query), body)
            )
            status, headers, content = found
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            def respond(
                path: str, _query: dict[str, list[str]], body: bytes
            ) -> tuple[int, dict[str, str], bytes]:
                return made.post(path.strip("/"), *_form(self.headers["Content-Type"], body))

            self._answer(respond)

        def do_PUT(self) -> None:
            self._answer(lambda path, query, body: made.put(path, query, dict(self.headers), body))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on loopback, and give its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
