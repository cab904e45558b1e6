"""DICOM in by real associations, out through a fake service."""

import errno
import os
import re
import socket
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

from firstread.gateway import landing as landing_module
from firstread.gateway.landing import Watermark
from firstread.gateway.run import Gateway, running
from firstread.uploads.errors import BusyError, RefusedUploadError, UnreachableError
from tests.support import gateways
from tests.support.gateways import FakeService, associated, instance, send, until

PRIVATE = "1.2.826.0.1.3680043.8.498.77.1"


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def gateway(tmp_path: Path, service: FakeService) -> Iterator[Gateway]:
    with running(gateways.settings(tmp_path / "spool"), service) as found:
        yield found


def empty(gateway: Gateway) -> bool:
    return not list(gateway.spool.objects.iterdir())


def test_what_is_sent_arrives_and_the_end_is_told_after_it(gateway: Gateway, service: FakeService) -> None:
    assert send(gateway.dimse.port, *(instance(i) for i in range(5)), instance(0, "1.2.4")) == [0] * 6
    until(lambda: service.ends)
    ((batch, studies),) = service.ends
    assert studies == {"1.2.3": 5, "1.2.4": 1}
    assert {told for _, told, _ in service.uploads} == {batch}
    assert re.fullmatch(r"[0-9a-f-]{36}", batch)
    assert [upload.number for upload, _, _ in sorted(service.uploads, key=lambda each: each[0].sop_uid)] == [
        1, 2, 3, 4, 5, 1,
    ]  # fmt: skip
    until(lambda: empty(gateway))
    for body in service.bodies.values():
        found = dcmread(BytesIO(body))
        assert found.PatientName == "Quimby^Theodora"
        assert found.PixelData == instance(0).PixelData


def test_the_bytes_of_the_dataset_are_those_that_were_sent(gateway: Gateway, service: FakeService) -> None:
    dataset = instance(1)
    send(gateway.dimse.port, dataset)
    until(lambda: service.bodies)
    (body,) = service.bodies.values()
    assert body.endswith(gateways.encoded(dataset))


def test_the_same_instance_twice_counts_once(gateway: Gateway, service: FakeService) -> None:
    assert send(gateway.dimse.port, instance(1), instance(1)) == [0, 0]
    until(lambda: service.ends)
    assert service.ends[0][1] == {"1.2.3": 1}
    assert len(service.uploads) == 2


def test_echo(gateway: Gateway) -> None:
    with associated(gateway.dimse.port, contexts=["1.2.840.10008.1.1"]) as association:
        assert association.send_c_echo().Status == 0


@pytest.mark.parametrize(
    ("changes", "diagnostic"),
    [({"caller": "STRANGER"}, 3), ({"called": "OTHER"}, 7), ({"caller": "STRANGER", "called": "OTHER"}, 7)],
)
def test_who_is_not_known_is_rejected(gateway: Gateway, changes: dict[str, Any], diagnostic: int) -> None:
    with associated(gateway.dimse.port, **changes) as association:
        assert association.is_rejected
        answer = association.acceptor.primitive
        assert answer is not None
        assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, diagnostic)


def test_a_known_title_from_another_network_is_rejected(tmp_path: Path, service: FakeService) -> None:
    sources = [
        {"name": "here", "ae_titles": ["HERE"], "peers": ["127.0.0.0/8"]},
        {"name": "there", "ae_titles": ["THERE"], "peers": ["10.1.0.0/16"]},
    ]
    with running(gateways.settings(tmp_path / "spool", sources=sources), service) as gateway:
        with associated(gateway.dimse.port, caller="THERE") as association:
            assert association.is_rejected
            assert association.acceptor.primitive is not None
            assert association.acceptor.primitive.diagnostic == 3
        with associated(gateway.dimse.port, caller="HERE") as association:
            assert association.is_established


def test_a_connection_from_no_source_is_closed_unread(tmp_path: Path, service: FakeService) -> None:
    sources = [{"name": "there", "ae_titles": ["CT1"], "peers": ["10.1.0.0/16"]}]
    with (
        running(gateways.settings(tmp_path / "spool", sources=sources), service) as gateway,
        socket.create_connection(("127.0.0.1", gateway.dimse.port)) as connection,
    ):
        connection.settimeout(60)
        assert connection.recv(1) == b""


def test_more_associations_than_allowed_are_rejected_for_now(tmp_path: Path, service: FakeService) -> None:
    with (
        running(gateways.settings(tmp_path / "spool", dimse={"associations": 1}), service) as gateway,
        associated(gateway.dimse.port) as first,
        associated(gateway.dimse.port) as second,
    ):
        assert first.is_established
        assert second.is_rejected
        answer = second.acceptor.primitive
        assert answer is not None
        assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, PRIVATE + ".1", DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize(
    "sop_class", [ComputedRadiographyImageStorage, PRIVATE, "1.2.840.10008.5.1.4.1.1.9999"]
)
def test_every_syntax_and_class_is_taken(
    gateway: Gateway, service: FakeService, syntax: str, sop_class: str
) -> None:
    entity = AE(gateways.CALLER)
    entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", gateway.dimse.port, ae_title=gateways.TITLE)
    (context,) = association.accepted_contexts
    assert context.transfer_syntax == [syntax]
    body = gateways.encoded(instance(1, SOPClassUID=sop_class))
    if syntax == DeflatedExplicitVRLittleEndian:
        import zlib

        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
    assert raw_store(association, body, sop_class, "1.2.3.9.1") == 0
    association.release()
    until(lambda: service.bodies)
    assert next(iter(service.bodies.values())).endswith(body)


def raw_store(association: Any, body: bytes, sop_class: str, sop_uid: str) -> int | None:  # noqa: ANN401
    """Send bytes as a dataset, whatever they are; return the status, or None for none."""
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_uid
    request.Priority = 2
    request.DataSet = BytesIO(body)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if answer is None else answer.Status


@pytest.mark.parametrize(
    ("body", "sop_class", "sop_uid", "status"),
    [
        (
            gateways.encoded(instance(1, StudyInstanceUID=None)),
            ComputedRadiographyImageStorage,
            "1.2.3.9.1",
            0xC000,
        ),
        (
            gateways.encoded(instance(1, StudyInstanceUID="é" * 3)),
            ComputedRadiographyImageStorage,
            "1.2.3.9.1",
            0xC000,
        ),
        (b"\x00" * 100, ComputedRadiographyImageStorage, "1.2.3.9.1", 0xC000),
        (gateways.encoded(instance(1)), ComputedRadiographyImageStorage, "1.2.3.9.2", 0xC001),
        (
            gateways.encoded(instance(1, SOPClassUID=CTImageStorage)),
            ComputedRadiographyImageStorage,
            "1.2.3.9.1",
            0xA900,
        ),
        (gateways.encoded(instance(1, SOPClassUID=CTImageStorage)), CTImageStorage, "1.2.3.9.1", 0x0122),
    ],
)
def test_what_cannot_be_taken_is_answered_with_its_status(
    gateway: Gateway, service: FakeService, body: bytes, sop_class: str, sop_uid: str, status: int
) -> None:
    with associated(gateway.dimse.port) as association:
        assert raw_store(association, body, sop_class, sop_uid) == status
    until(lambda: empty(gateway))
    assert not service.uploads


def test_damage_behind_the_study_uid_is_for_others_to_judge(gateway: Gateway, service: FakeService) -> None:
    body = gateways.encoded(instance(1))
    cut = body.index(struct.pack("<HH", 0x0028, 0x0010))
    broken = body[:cut] + struct.pack("<HH2sHI", 0x0028, 0x0009, b"UN", 0, 2**31)
    with associated(gateway.dimse.port) as association:
        assert raw_store(association, broken, ComputedRadiographyImageStorage, "1.2.3.9.1") == 0
    until(lambda: service.uploads)


@pytest.mark.parametrize(
    ("priority", "urgent"), [("STAT", True), ("HIGH", True), ("ROUTINE", False), (None, False)]
)
def test_stat_is_told(gateway: Gateway, service: FakeService, priority: str | None, urgent: bool) -> None:
    send(gateway.dimse.port, instance(1, RequestedProcedurePriority=priority))
    until(lambda: service.uploads)
    assert service.uploads[0][0].urgent is urgent


def test_a_source_may_be_urgent_or_backfill(tmp_path: Path, service: FakeService) -> None:
    sources = [
        {"name": "er", "ae_titles": ["ER"], "peers": ["127.0.0.1"], "urgent": True},
        {"name": "archive", "ae_titles": ["ARCHIVE"], "peers": ["127.0.0.1"], "backfill": True},
    ]
    with running(gateways.settings(tmp_path / "spool", sources=sources), service) as gateway:
        send(gateway.dimse.port, instance(1), caller="ER")
        send(gateway.dimse.port, instance(2), caller="ARCHIVE")
        until(lambda: len(service.uploads) == 2)
    told = {upload.sop_uid: (upload.urgent, backfill) for upload, _, backfill in service.uploads}
    assert told == {"1.2.3.9.1": (True, False), "1.2.3.9.2": (False, True)}


@pytest.mark.parametrize("how", ["abort", "lost"])
def test_an_aborted_association_is_forwarded_without_an_end(
    gateway: Gateway, service: FakeService, how: str
) -> None:
    with associated(gateway.dimse.port) as association:
        assert association.send_c_store(instance(1)).Status == 0
        if how == "abort":
            association.abort()
        else:
            cast(Any, association.dul.socket).socket.shutdown(socket.SHUT_RDWR)
    until(lambda: service.uploads)
    send(gateway.dimse.port, instance(2, "1.2.4"))
    until(lambda: service.ends)
    assert [studies for _, studies in service.ends] == [{"1.2.4": 1}]
    until(lambda: not gateway.spool._all("SELECT * FROM batches"))


def test_half_an_object_leaves_nothing(gateway: Gateway, service: FakeService) -> None:
    with associated(gateway.dimse.port) as association:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = (
            ComputedRadiographyImageStorage,
            "1.2.3.9.1",
        )
        request.DataSet = BytesIO(b"\0" * 500_000)
        from pynetdicom.dimse_messages import C_STORE_RQ

        message = C_STORE_RQ()
        message.primitive_to_message(request)
        message.context_id = 1
        parts = list(message.encode_msg(cast(int, association.accepted_contexts[0].context_id), 16_000))
        for part in parts[: len(parts) // 2]:
            association.dul.send_pdu(part)
        until(lambda: not empty(gateway))
        association.abort()
    until(lambda: empty(gateway))
    assert not service.uploads


# ---- the disk


class FullDisk(Watermark):
    full = False

    def reached(self, spooled: int, more: int = 0) -> bool:
        return self.full or super().reached(spooled, more)


def test_at_the_watermark_objects_are_refused_and_then_taken_again(
    tmp_path: Path, service: FakeService
) -> None:
    settings = gateways.settings(tmp_path / "spool")
    disk = FullDisk(settings.spool)
    with running(settings, service, disk) as gateway:
        assert send(gateway.dimse.port, instance(1)) == [0]
        disk.full = True
        assert send(gateway.dimse.port, instance(2), instance(3)) == [0xA700, 0xA700]
        disk.full = False
        assert send(gateway.dimse.port, instance(2)) == [0]
        until(lambda: len(service.uploads) == 2)


def test_the_disk_may_fill_up_in_the_middle_of_an_object(tmp_path: Path, service: FakeService) -> None:
    settings = gateways.settings(tmp_path / "spool", spool={"max_bytes": 100_000})
    landing_module_look = landing_module._LOOK_AGAIN
    landing_module._LOOK_AGAIN = 10_000
    try:
        with running(settings, service) as gateway:
            big = instance(1)
            big.PixelData = bytes(200_000)
            assert send(gateway.dimse.port, big, instance(2)) == [0xA700, 0]
            until(lambda: len(service.uploads) == 1 and empty(gateway))
    finally:
        landing_module._LOOK_AGAIN = landing_module_look


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_is_out_of_resources(
    gateway: Gateway, service: FakeService, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fails(*_args: object) -> int:
        raise OSError(number, "injected")

    original = getattr(os, call)

    def chosen(*args: Any) -> Any:  # noqa: ANN401 - of the operating system
        is_ours = call == "fsync" or str(args[0]).endswith(".part")
        return fails() if is_ours else original(*args)

    with associated(gateway.dimse.port) as association:
        with monkeypatch.context() as patch:
            patch.setattr(os, call, chosen)
            assert association.send_c_store(instance(1)).Status == 0xA700
        assert association.send_c_store(instance(1)).Status == 0
    until(lambda: service.ends and empty(gateway))
    assert len(service.uploads) == 1


def test_success_is_said_after_the_disk_has_it(
    gateway: Gateway, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.open.clear()
    done: list[str] = []
    fsync = os.fsync

    def tells(descriptor: int) -> None:
        fsync(descriptor)
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", tells)
    send(gateway.dimse.port, instance(1))
    assert [name.rpartition("/")[2].rpartition(".")[2] for name in done] == ["part", "objects"]
    assert gateway.spool._one("PRAGMA synchronous") == (2,)  # FULL: a commit is on the disk


# ---- the other side


@pytest.mark.parametrize("failure", [BusyError(0.05), UnreachableError(), RefusedUploadError("unauthorized")])
def test_a_failure_that_is_not_the_object_s_is_tried_again(
    gateway: Gateway, service: FakeService, failure: Exception
) -> None:
    service.failures = [failure] * 4
    send(gateway.dimse.port, *(instance(i) for i in range(3)))
    until(lambda: service.ends)
    assert len(service.sop_uids) == 3
    assert not list(gateway.spool.refused.iterdir())


def test_a_refused_object_is_put_aside_and_no_other(gateway: Gateway, service: FakeService) -> None:
    service.open.clear()
    service.refuses = lambda upload: "not_understood" if upload.sop_uid.endswith(".2") else ""
    send(gateway.dimse.port, *(instance(i) for i in range(5)))
    service.open.set()
    until(lambda: service.ends)
    assert service.sop_uids == {f"1.2.3.9.{i}" for i in (0, 1, 3, 4)}
    assert service.ends[0][1] == {"1.2.3": 5}  # it must not look complete
    (refused,) = gateway.spool.refused.iterdir()
    assert dcmread(refused).SOPInstanceUID == "1.2.3.9.2"
    from firstread.gateway.status import gateway_status

    settings = gateways.settings(gateway.spool.objects.parent)
    found = gateway_status(settings)
    assert [(each.file, each.reason) for each in found.refused] == [(refused.name, "not_understood")]
    assert found.problems and found.objects == 0


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_that_changed_is_put_aside_if_it_did(
    gateway: Gateway, service: FakeService, damaged: bool
) -> None:
    service.open.clear()
    send(gateway.dimse.port, instance(1))
    if damaged:
        (path,) = gateway.spool.objects.iterdir()
        path.write_bytes(path.read_bytes()[:-1])
    answers = iter(["changed", "changed"])
    service.refuses = lambda _upload: next(answers, "") if not damaged else "changed"
    service.open.set()
    until(lambda: empty(gateway))
    assert bool(service.uploads) is not damaged
    assert bool(list(gateway.spool.refused.iterdir())) is damaged


def test_a_restart_goes_on_and_does_not_end_what_was_open(tmp_path: Path, service: FakeService) -> None:
    service.open.clear()
    settings = gateways.settings(tmp_path / "spool")
    with running(settings, service) as gateway:
        send(gateway.dimse.port, instance(1))
        until(lambda: gateway.spool._all("SELECT 1 FROM batches WHERE state = 'released'"))
        gateway.spool._connection.execute("UPDATE batches SET state = 'open'")  # as a kill leaves it
        (tmp_path / "spool/objects/orphan.part").write_bytes(b"half")
    service.open.set()
    with running(settings, service) as gateway:
        until(lambda: service.uploads and empty(gateway))
        send(gateway.dimse.port, instance(2, "1.2.4"))
        until(lambda: service.ends)
    assert [studies for _, studies in service.ends] == [{"1.2.4": 1}]


def test_names_on_the_disk_are_random_and_the_user_s_own(tmp_path: Path, service: FakeService) -> None:
    service.open.clear()
    with running(gateways.settings(tmp_path / "spool"), service) as gateway:
        send(gateway.dimse.port, instance(1))
        for path in (tmp_path / "spool", *(tmp_path / "spool").rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
        (name,) = (path.name for path in gateway.spool.objects.iterdir())
        assert re.fullmatch(r"[0-9a-f]{32}\.dcm", name)


def test_no_phi_in_the_log(
    gateway: Gateway,
    service: FakeService,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(0)
    service.failures = [ValueError("Quimby^Theodora")]
    with associated(gateway.dimse.port) as association:
        association.send_c_store(instance(1))
        raw_store(association, b"Quimby^Theodora" * 40, ComputedRadiographyImageStorage, "1.2.3.9.1")
    until(lambda: service.ends)
    told = caplog.text + "".join(capfd.readouterr())
    assert "association of ct1 released" in told
    for value in ("Quimby", "MRN-998877", "1.2.3.9", "1.2.3", "ACC4711"):
        assert value not in told


# ---- hostile peers


@given_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    body=st.one_of(
        st.binary(min_size=1, max_size=600),
        st.builds(
            lambda whole, at, with_: whole[:at] + with_ + whole[at + len(with_) :],
            st.just(gateways.encoded(instance(1))),
            st.integers(0, 700),
            st.binary(min_size=1, max_size=12),
        ),
        st.builds(lambda at: gateways.encoded(instance(1))[:at], st.integers(1, 700)),
    )
)
def test_any_bytes_as_a_dataset_get_a_status(gateway: Gateway, body: bytes) -> None:
    with associated(gateway.dimse.port) as association:
        assert association.is_established
        status = raw_store(association, body, ComputedRadiographyImageStorage, "1.2.3.9.1")
        assert status in {0, 0xC000, 0xC001, 0xA900}


@given_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=400), kind=st.sampled_from([None, 1, 4, 5, 7]))
def test_any_bytes_on_the_wire_leave_the_gateway_alive(
    gateway: Gateway, data: bytes, kind: int | None
) -> None:
    with socket.create_connection(("127.0.0.1", gateway.dimse.port)) as connection:
        if kind is not None:
            data = struct.pack(">BBL", kind, 0, len(data)) + data
        connection.sendall(data)
    with associated(gateway.dimse.port, contexts=["1.2.840.10008.1.1"]) as association:
        assert association.send_c_echo().Status == 0


def test_a_pdu_without_end_is_not_waited_for(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.dimse.port)) as connection:
        connection.settimeout(60)
        connection.sendall(struct.pack(">BBL", 1, 0, 2**32 - 1))
        try:
            assert connection.recv(100)[:1] in (b"", b"\x07")
        except ConnectionError:
            pass


def test_fragments_of_a_command_without_end_are_aborted(gateway: Gateway) -> None:
    with associated(gateway.dimse.port) as association:
        number = association.accepted_contexts[0].context_id
        from pynetdicom.pdu_primitives import P_DATA

        for _ in range(200):
            part = P_DATA()
            part.presentation_data_value_list = cast(Any, [[number, b"\x01" + bytes(120_000)]])
            association.dul.send_pdu(part)
            if association.is_aborted:
                break
        until(lambda: association.is_aborted or not association.is_established)


def test_a_context_that_was_not_accepted_is_aborted(gateway: Gateway) -> None:
    with associated(gateway.dimse.port) as association:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = (
            ComputedRadiographyImageStorage,
            "1.2.3.9.1",
        )
        request.DataSet = BytesIO(b"\0" * 500)
        association.dimse.send_msg(request, 99)
        until(lambda: not association.is_established)
    until(lambda: empty(gateway))


def test_a_peer_that_falls_silent_is_aborted(tmp_path: Path, service: FakeService) -> None:
    settings = gateways.settings(tmp_path / "spool", dimse={"timeout": 0.5})
    with (
        running(settings, service) as gateway,
        socket.create_connection(("127.0.0.1", gateway.dimse.port)) as connection,
    ):
        connection.settimeout(60)
        connection.sendall(struct.pack(">BBL", 1, 0, 1000) + b"half")
        while connection.recv(100):
            pass
