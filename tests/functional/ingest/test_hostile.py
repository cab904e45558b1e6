"""Whatever is sent: a 4xx or an answer that is true; nothing half-written counts as kept, and nothing is a 500."""

import gzip
import json
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from firstread.dicom.identify import identify
from firstread.errors import QuarantineError
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header, nested_defined, nested_undefined, part10
from tests.support.ingest import BOUNDARY, MULTIPART, body

GOOD = encode(header())
WHOLE = body(GOOD, encode(header(SOPInstanceUID="1.2.3.4")))
BOUNDED = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


Send = Callable[[str, bytes, dict[str, str]], None]


@pytest.fixture
def send(cloud: Cloud, sender: TestClient) -> Send:
    def one(path: str, content: bytes, headers: dict[str, str]) -> None:
        before, puts = len(cloud.wire.sent("PutItem")), len(cloud.wire.sent("PutObject"))
        response = sender.post(path, content=content, headers=headers)
        assert response.status_code < 500, response.text
        if response.headers["content-type"] == "application/dicom+json":
            # Not by pydicom: a UID that the sender got wrong comes back as it was.
            told = len(response.json().get("00081199", {}).get("Value", []))
            assert told == len(cloud.wire.sent("PutItem")) - before
        else:
            assert response.status_code >= 400 or response.headers["content-type"] == "application/json"
        assert len(cloud.wire.sent("PutItem")) - before == len(cloud.wire.sent("PutObject")) - puts

    return one


def mutated(data: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(data)
    for at, value in changes:
        changed[at % len(changed)] = value
    return bytes(changed[: max(0, len(changed) - cut)])


CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8)
CUT = st.one_of(st.just(0), st.integers(0, len(WHOLE)))


@BOUNDED
@given(st.binary(max_size=400))
def test_any_bytes(send: Send, content: bytes) -> None:
    send("/ingest/studies", content, {"Content-Type": MULTIPART})
    send("/ingest/studies", content, {"Content-Type": "application/dicom"})


@BOUNDED
@given(CHANGES, CUT)
def test_a_changed_body(send: Send, changes: list[tuple[int, int]], cut: int) -> None:
    send("/ingest/studies", mutated(WHOLE, changes, cut), {"Content-Type": MULTIPART})


@BOUNDED
@given(CHANGES, CUT)
def test_a_changed_gzip(send: Send, changes: list[tuple[int, int]], cut: int) -> None:
    content = mutated(gzip.compress(WHOLE), changes, cut)
    send("/ingest/studies", content, {"Content-Type": MULTIPART, "Content-Encoding": "gzip"})


PIECES = st.sampled_from(
    [
        f"--{BOUNDARY}".encode(),
        b"--",
        b"\r\n",
        b"\n",
        b"Content-Type: application/dicom",
        b":",
        b" ",
        b"\r\n\r\n",
        GOOD,
    ]
)


@BOUNDED
@given(st.lists(PIECES, max_size=14))
def test_pieces_of_a_body_in_any_order(send: Send, pieces: list[bytes]) -> None:
    send("/ingest/studies", b"".join(pieces), {"Content-Type": MULTIPART})


LATIN = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60)


@BOUNDED
@given(LATIN, LATIN, LATIN)
def test_any_headers(sender: TestClient, kind: str, accept: str, coding: str) -> None:
    named = {b"Content-Type": kind, b"Accept": accept, b"Content-Encoding": coding}
    raw = {name: value.strip().encode("latin-1") for name, value in named.items()}
    assert sender.post("/ingest/studies", content=WHOLE, headers=raw).status_code < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(
            st.sampled_from(["objects", "size", "sha256", "studies", "number", "batch", "1.2"]), below
        )
    ),
    max_leaves=12,
)
PATHS = st.sampled_from(["/uploads", "/uploads/complete", "/ingest/batches/b/end"])


@BOUNDED
@given(PATHS, JSON)
def test_any_json(sender: TestClient, path: str, content: object) -> None:
    headers = {"Content-Type": "application/json"}
    response = sender.post(path, content=json.dumps(content).encode(), headers=headers)
    assert response.status_code in (200, 202, 413, 422)


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b"{", b"", b"NaN", b'{"objects": 1e999}'])
@pytest.mark.parametrize("path", ["/uploads", "/uploads/complete", "/ingest/batches/b/end"])
def test_what_is_no_json(sender: TestClient, path: str, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert sender.post(path, content=content, headers=headers).status_code == 422


@BOUNDED
@given(CHANGES, CUT)
def test_identifiers_of_a_changed_file(changes: list[tuple[int, int]], cut: int) -> None:
    try:
        found = identify(BytesIO(mutated(GOOD, changes, cut)))
    except QuarantineError:
        return
    assert all(
        set(uid) <= set("0123456789.") for uid in (found.study_uid, found.sop_uid, found.sop_class_uid)
    )


@pytest.mark.parametrize("nested", [nested_undefined, nested_defined])
def test_identifiers_behind_deep_sequences(nested: Callable[[int], bytes]) -> None:
    with pytest.raises(QuarantineError):
        identify(BytesIO(part10(nested(5_000))))
