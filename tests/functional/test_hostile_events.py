"""Whatever a queue, a stream or an object says: a typed failure of that record, and never a word of it in a log."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstread.arrival import Arrival
from firstread.handling import logger
from functions.alert import handler as alert
from functions.apply_feed import handler as apply_feed
from functions.clean_pixels import handler as clean_pixels
from functions.complete_study import handler as complete_study
from functions.deidentify import handler as deidentify
from functions.deliver import handler as deliver
from functions.end_batch import handler as end_batch
from functions.escalate import handler as escalate
from functions.gather import handler as gather
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.hospital import Hospital

QUEUES = (deidentify, clean_pixels, complete_study, end_batch, apply_feed, alert, escalate)
MARK = "Quimby"
_names = st.sampled_from(
    [
        "time",
        "detail",
        "bucket",
        "object",
        "key",
        "name",
        "version-id",
        "study_uid",
        "studies",
        "batch",
        "source",
    ]
)
_leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(MARK)
_bodies = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=6),
    max_leaves=12,
)
_FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logger.registered_handler
    before = handler.setStream(stream)  # type: ignore[attr-defined]
    yield stream
    handler.setStream(before)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("hospital")
@pytest.mark.parametrize("step", QUEUES, ids=lambda step: step.__name__.split(".")[1])
@given(body=_bodies | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
@_FEW
def test_a_body_of_any_form_fails_alone(log: io.StringIO, step: Any, body: object) -> None:  # noqa: ANN401
    text = body if isinstance(body, str) else json.dumps(body)
    batch = events.sqs(text)
    answer = step.handle(batch, events.CONTEXT)
    assert answer["batchItemFailures"] in ([], [{"itemIdentifier": batch["Records"][0]["messageId"]}])
    assert MARK not in log.getvalue()


@pytest.mark.usefixtures("hospital")
@pytest.mark.parametrize("step", [gather, deliver], ids=["gather", "deliver"])
@given(
    image=st.dictionaries(
        _names | st.just("message_id") | st.just("kind") | st.just("body"),
        st.fixed_dictionaries({"S": st.text(max_size=8) | st.just(MARK)}),
    )
)
@_FEW
def test_a_row_of_any_form_fails_alone(log: io.StringIO, step: Any, image: dict[str, Any]) -> None:  # noqa: ANN401
    keys = {"study_uid": {"S": "2.25.1"}, "sop_uid": {"S": "2.25.2"}, "message_id": {"S": "m"}}
    batch = events.stream((keys, image))
    answer = step.handle(batch, events.CONTEXT)
    assert len(answer["batchItemFailures"]) <= 1
    assert MARK not in log.getvalue()


@given(
    st.dictionaries(
        st.sampled_from(["source", "batch", "study-ref", "sop-ref", "sha256", "other"]), st.text(max_size=80)
    )
)
def test_metadata_of_any_form_is_taken_as_far_as_it_is_a_name(metadata: dict[str, str]) -> None:
    arrival = Arrival.from_metadata(metadata)
    for field, value in arrival.model_dump().items():
        assert value in ("", "event") or value == metadata[field.replace("_", "-")]
    assert Arrival.from_metadata(arrival.metadata()) == arrival
