"""The client of the ingest service, without one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import pytest

from firstread.uploads import client
from firstread.uploads.client import IngestClient, Upload
from firstread.uploads.wire import Answer, chunks_of

CONTENT = b"0123456789" * 3


class FakeWire:
    """Answers as the service and S3 do, for one object in parts of 8 bytes.

    Parameters
    ----------
    parts
        What was put.
    digests
        What the service was told of them, when it was asked and at the end.
    """

    def __init__(self, _timeout: float = 0) -> None:
        self.parts: list[bytes] = []
        self.digests: list[list[str]] = []

    def judge(self, _url: str) -> None:
        """Take any."""

    def send(self, _method: str, url: str, _headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer for the service."""
        asked = json.loads(body)
        if url.endswith("/complete"):
            self.digests.append([each["sha256"] for each in asked["parts"]])
            return Answer(200, {}, b'{"object_key": "k", "version_id": "v"}')
        self.digests.append(asked["objects"][0]["part_sha256"])
        parts = [{"url": f"part {number}", "headers": {}} for number in range(len(self.digests[0]))]
        ways = [{"object_key": "k", "parts": {"upload_id": "u", "part_bytes": 8, "parts": parts}}]
        return Answer(200, {}, json.dumps({"batch": "b", "uploads": ways}).encode())

    def put_bytes(self, _url: str, _headers: Mapping[str, str], file: IO[bytes], size: int) -> Answer:
        """Answer for S3."""
        self.parts.append(b"".join(chunks_of(file, size)))
        return Answer(200, {"etag": "e"}, b"")


def test_a_large_object_is_read_once_for_its_digests_and_once_to_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FORM_BYTES", 8)
    monkeypatch.setattr(client, "PART_BYTES", 8)
    wire, read = FakeWire(), 0
    monkeypatch.setattr(client, "Wire", lambda _timeout: wire)

    def counted(file: IO[bytes], size: int) -> Iterator[bytes]:
        nonlocal read
        for chunk in chunks_of(file, size):
            read += len(chunk)
            yield chunk

    monkeypatch.setattr(client, "chunks_of", counted)
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    upload = Upload(path, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "1.2", "1.2.3", 1, False)
    (uploaded,) = IngestClient("https://ingest", "token").upload([upload])
    assert uploaded.version_id == "v"
    assert b"".join(wire.parts) == CONTENT
    asked, completed = wire.digests
    assert asked == completed == [hashlib.sha256(part).hexdigest() for part in wire.parts]
    assert read == len(CONTENT), (
        "S3 judges each part by the digest that was signed: nothing has to be read again"
    )
