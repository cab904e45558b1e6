"""An ingest service in this process, and bodies for it."""

import json
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.environment import ReferenceSettings
from firstread.refs import References, open_references
from firstread.sources import token_digest
from ingest_service.app import create_app
from ingest_service.settings import IngestSettings

TOKENS = {"ct1": "token of ct1", "er": "token of er", "archive": "token of archive"}
BOUNDARY = "a-boundary"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def sources() -> str:
    """Return three sources: an ordinary one, an urgent one, one of backfill."""
    listed = [
        {
            "name": name,
            "token_sha256": token_digest(token),
            "urgent": name == "er",
            "backfill": name == "archive",
        }
        for name, token in TOKENS.items()
    ]
    return json.dumps({"sources": listed})


def app(folder: Path, request_bytes: int = 1024**3) -> FastAPI:
    """Make the service; the other settings come from the environment."""
    settings = IngestSettings(
        sources=sources(),
        reference_key_id="",
        reference_key_file=str(folder / "reference.key"),
        ingest_request_bytes=request_bytes,
    )
    return create_app(settings)


def references(folder: Path) -> References:
    """Return what `app` makes references with."""
    return open_references(
        ReferenceSettings(reference_key_id="", reference_key_file=str(folder / "reference.key"))
    )


def client(service: FastAPI, source: str = "ct1") -> TestClient:
    """Return a sender; no error inside the service stays unseen, but as 500."""
    headers = {"Authorization": f"Bearer {TOKENS[source]}"}
    return TestClient(service, base_url="http://ingest", headers=headers)


def body(*parts: bytes, kind: str = "application/dicom", boundary: str = BOUNDARY) -> bytes:
    """Return a multipart body."""
    head = f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
