"""Storage commitment: asked by N-ACTION, answered by N-EVENT-REPORT."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from firstread.gateway.run import running
from firstread.gateway.settings import GatewaySettings
from tests.support import gateways
from tests.support.gateways import FakeService, associated, instance, send, until


class Reports:
    """What a modality is told."""

    def __init__(self) -> None:
        self.got: list[tuple[int, Dataset]] = []

    def handle(self, event: evt.Event) -> tuple[int, None]:
        self.got.append((event.event_type or 0, event.event_information))
        return 0x0000, None


def question(*sop_uids: str, transaction: str = "1.2.7", sop_class: str = "") -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    for uid in sop_uids:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class or ComputedRadiographyImageStorage
        item.ReferencedSOPInstanceUID = uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def ask(port: int, asked: Dataset, reports: Reports, *, wait: bool = True, action: int = 1) -> int:
    handlers = [(evt.EVT_N_EVENT_REPORT, reports.handle)]
    contexts = [StorageCommitmentPushModel]
    with associated(port, contexts=contexts, evt_handlers=handlers) as association:
        status, _ = association.send_n_action(
            asked, action, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if wait:
            until(lambda: reports.got)
        return int(status.Status)


@contextmanager
def listening(reports: Reports) -> Iterator[int]:
    """A modality that takes reports by associations of the gateway."""
    entity = AE(gateways.CALLER)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, reports.handle)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


def failures(report: Dataset) -> list[tuple[str, int]]:
    return [(each.ReferencedSOPInstanceUID, each.FailureReason) for each in report.FailedSOPSequence]


def test_a_way_commits_to_nothing(tmp_path: Path, service: FakeService) -> None:
    with running(gateways.settings(tmp_path / "spool"), service) as gateway:
        send(gateway.dimse.port, instance(1))
        until(lambda: service.uploads)
        reports = Reports()
        assert ask(gateway.dimse.port, question("1.2.3.9.1"), reports) == 0
    ((kind, report),) = reports.got
    assert kind == 2
    assert report.TransactionUID == "1.2.7"
    assert "ReferencedSOPSequence" not in report
    assert failures(report) == [("1.2.3.9.1", 0x0112)]


def committing(folder: Path, port: int | None = None) -> GatewaySettings:
    source: dict[str, object] = {"name": "ct1", "ae_titles": [gateways.CALLER], "peers": ["127.0.0.1"]}
    if port:
        source["report_to"] = f"127.0.0.1:{port}"
    return gateways.settings(folder / "spool", commitment={"commit_storage": True}, sources=[source])


def test_a_store_commits_to_what_was_uploaded(tmp_path: Path, service: FakeService) -> None:
    reports = Reports()
    with listening(reports) as port, running(committing(tmp_path, port), service) as gateway:
        send(gateway.dimse.port, instance(1))
        assert ask(gateway.dimse.port, question("1.2.3.9.1", "1.2.3.9.2"), reports, wait=False) == 0
        until(lambda: reports.got)
        other = question("1.2.3.9.1", transaction="1.2.8", sop_class="1.2.840.10008.5.1.4.1.1.2")
        ask(gateway.dimse.port, other, reports, wait=False)
        until(lambda: len(reports.got) == 2)
        ask(gateway.dimse.port, question("1.2.3.9.1", transaction="1.2.9"), reports, wait=False)
        until(lambda: len(reports.got) == 3)
    (kind, report), (_, conflict), (done, good) = reports.got
    assert kind == 2
    assert [each.ReferencedSOPInstanceUID for each in report.ReferencedSOPSequence] == ["1.2.3.9.1"]
    assert failures(report) == [("1.2.3.9.2", 0x0112)]
    assert failures(conflict) == [("1.2.3.9.1", 0x0119)]
    assert done == 1
    assert "FailedSOPSequence" not in good


def test_an_answer_waits_for_the_upload_and_survives_a_restart(tmp_path: Path, service: FakeService) -> None:
    service.open.clear()
    reports = Reports()
    with listening(reports) as port:
        with running(committing(tmp_path, port), service) as gateway:
            send(gateway.dimse.port, instance(1))
            ask(gateway.dimse.port, question("1.2.3.9.1"), reports, wait=False)
            threading.Event().wait(0.8)
            assert not reports.got
        service.open.set()
        with running(committing(tmp_path, port), service):
            until(lambda: reports.got)
    assert reports.got[0][0] == 1


def test_a_report_that_cannot_be_delivered_is_counted(tmp_path: Path, service: FakeService) -> None:
    with running(gateways.settings(tmp_path / "spool"), service) as gateway:
        ask(gateway.dimse.port, question("1.2.3.9.1"), Reports(), wait=False)
        until(lambda: not gateway.spool.commitments())
        found = dict(gateway.spool._all("SELECT name, value FROM counters"))
    assert found.get("commitment_undelivered", 0) + found.get("commitment_answered", 0) == 1


@pytest.mark.parametrize(
    ("asked", "action", "status"),
    [(question(), 1, 0x0115), (Dataset(), 1, 0x0115), (question("1.2"), 2, 0x0123)],
)
def test_a_question_that_is_none(
    tmp_path: Path, service: FakeService, asked: Dataset, action: int, status: int
) -> None:
    with running(gateways.settings(tmp_path / "spool"), service) as gateway:
        if not asked:
            asked.TransactionUID = "1.2"
        assert ask(gateway.dimse.port, asked, Reports(), wait=False, action=action) == status
