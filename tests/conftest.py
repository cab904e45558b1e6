"""What every test stands on: no network, and nothing of this machine's AWS settings."""

import logging
import os
from collections.abc import Callable, Iterator
from threading import RLock

import pytest
from botocore.client import BaseClient
from hypothesis import settings
from pytest_socket import socket_allow_hosts

from firstread import queues, refs, storage
from firstread.records import tables
from functions.alert import handler as alert
from functions.apply_feed import handler as apply_feed
from functions.clean_pixels import handler as clean_pixels
from functions.complete_study import handler as complete_study
from functions.deidentify import handler as deidentify
from functions.deliver import handler as deliver
from functions.describe_series import handler as describe_series
from functions.end_batch import handler as end_batch
from functions.escalate import handler as escalate
from functions.export_audit import handler as export_audit
from functions.gather import handler as gather
from functions.sweep import handler as sweep

_KEPT_FOR_THE_PROCESS: tuple[Callable[[], None], ...] = (
    storage.client.cache_clear,
    tables.connection.cache_clear,
    queues._sqs.cache_clear,
    queues._sns.cache_clear,
    queues._events.cache_clear,
    queues._url.cache_clear,
    refs._kms.cache_clear,
    *(
        handler.bootstrap.cache_clear
        for handler in (
            alert,
            apply_feed,
            clean_pixels,
            complete_study,
            deidentify,
            deliver,
            describe_series,
            end_batch,
            escalate,
            export_audit,
            gather,
            sweep,
        )
    ),
)

# A loaded machine is slow, not wrong.
settings.register_profile("firstread", deadline=None)
settings.load_profile("firstread")


def forget() -> None:
    """Forget what a process keeps: its clients and its wiring."""
    for clear in _KEPT_FOR_THE_PROCESS:
        clear()


@pytest.fixture(autouse=True)
def _no_network() -> None:
    socket_allow_hosts(["127.0.0.1", "localhost", "::1"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _own_log_level() -> Iterator[None]:
    """A command that lowers the voice of the model service does so for its own process, which here is everybody's."""
    logger = logging.getLogger("model_service")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dummy credentials, no settings from outside, and no client or wiring of an earlier test."""
    for name in os.environ:
        if name.startswith(("AWS_", "FIRSTREAD_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget()
    yield
    forget()


@pytest.fixture
def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each call of the AWS API be atomic, as it is there: moto takes a failed transaction back by an old copy."""
    lock, call = RLock(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def locked(self: BaseClient, operation: str, arguments: dict[str, object]) -> object:
        with lock:
            return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)
