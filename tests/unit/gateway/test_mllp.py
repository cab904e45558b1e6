"""MLLP framing, headers and acknowledgements, and the listener."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.feeds import KINDS
from firstread.gateway.landing import Watermark
from firstread.gateway.mllp import Frames, Header, TooLongError, answer, header_of
from firstread.gateway.run import Gateway, running
from tests.support import gateways
from tests.support.gateways import FakeService, until

MESSAGE = b"MSH|^~\\&|RIS|H|FR|C|20260101||ADT^A40^ADT_A39|42|P|2.5.1||||||UNICODE UTF-8\rPID|1||\xc3\xa9"
# A message cannot hold the bytes that frame it.
plain = st.binary(max_size=80).map(lambda data: data.replace(b"\x0b", b"").replace(b"\x1c", b""))


@given(messages=st.lists(plain, max_size=5), noise=plain, sizes=st.lists(st.integers(1, 40), min_size=1))
def test_messages_are_cut_out_however_they_come(
    messages: list[bytes], noise: bytes, sizes: list[int]
) -> None:
    stream = b"".join(noise + b"\x0b" + message + b"\x1c\r" for message in messages)
    frames, found, position, turn = Frames(200), [], 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        found += list(frames.feed(stream[position : position + size]))
        position, turn = position + size, turn + 1
    assert found == messages


@given(chunks=st.lists(st.binary(max_size=60), max_size=20))
def test_any_stream_is_bounded(chunks: list[bytes]) -> None:
    frames = Frames(64)
    try:
        for chunk in chunks:
            assert all(len(message) <= 65 for message in frames.feed(chunk))
            assert len(frames._buffer) <= 64 + 60 + 2
    except TooLongError:
        assert sum(map(len, chunks)) > 64


def test_a_message_at_the_limit_passes_and_one_beyond_does_not() -> None:
    assert list(Frames(10).feed(b"\x0b" + b"x" * 10 + b"\x1c\r")) == [b"x" * 10]
    with pytest.raises(TooLongError):
        list(Frames(10).feed(b"\x0b" + b"x" * 20))


def test_a_header_is_read() -> None:
    assert header_of(MESSAGE) == Header("|^~\\&", ("RIS", "H"), ("FR", "C"), "ADT", "A40", "42", "P", "2.5.1")


@given(
    st.binary(max_size=200).flatmap(lambda tail: st.sampled_from([tail, b"MSH" + tail, b"MSH|^~\\&" + tail]))
)
def test_any_bytes_have_an_answer(message: bytes) -> None:
    header = header_of(message)
    told = answer(header, "AE", "text")
    assert told.startswith(b"\x0bMSH") and told.endswith(b"\r\x1c\r")
    assert told.count(b"\x0b") == 1 or header is not None


def test_the_answer_turns_sender_and_receiver_around() -> None:
    msh, msa = answer(header_of(MESSAGE), "AA").strip(b"\x0b\x1c\r").decode().split("\r")
    fields = msh.split("|")
    assert fields[2:6] == ["FR", "C", "RIS", "H"]
    assert fields[8:12] == ["ACK^A40", "42", "P", "2.5.1"]
    assert msa == "MSA|AA|42"


# ---- the listener


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def gateway(tmp_path: Path, service: FakeService) -> Iterator[Gateway]:
    hl7 = {"host": "127.0.0.1", "port": 0, "peers": ["127.0.0.1"], "message_bytes": 4096}
    with running(gateways.settings(tmp_path / "spool", hl7=hl7), service) as found:
        yield found


def talk(gateway: Gateway, *messages: bytes) -> list[bytes]:
    assert gateway.feed is not None
    answers = []
    with socket.create_connection(("127.0.0.1", gateway.feed.port)) as connection:
        connection.settimeout(60)
        for message in messages:
            connection.sendall(b"\x0b" + message + b"\x1c\r")
            answers.append(connection.recv(4096))
    return answers


def code(answered: bytes) -> str:
    return answered.split(b"\rMSA|")[1][:2].decode()


def message(kind: str, number: int = 1) -> bytes:
    return b"MSH|^~\\&|A|B|C|D|2026||%s|%d|P|2.5.1\rPID|1||\xe9" % (kind.encode(), number)


def test_what_is_understood_is_handed_on_byte_by_byte(gateway: Gateway, service: FakeService) -> None:
    kinds = ["ADT^A40", "ADT^A40^ADT_A39", "ORM^O01", "OMI^O23", "ORU^R01"]
    assert {kind.removesuffix("^ADT_A39") for kind in kinds} == KINDS
    assert [code(each) for each in talk(gateway, *map(message, kinds))] == ["AA"] * 5
    until(lambda: len(service.messages) == 5)
    assert service.messages == [message(kind) for kind in kinds]  # in order, and with its bytes


def test_what_is_not_understood_is_acknowledged_and_dropped(gateway: Gateway, service: FakeService) -> None:
    others = ["SIU^S12", "ADT^A08", "ADT^A01^ADT_A01", "ADT", "ORU^R30", "OMI^O24", "A40^ADT"]
    assert [code(each) for each in talk(gateway, *map(message, others))] == ["AA"] * 7
    assert code(talk(gateway, message("ADT^A40"))[0]) == "AA"
    until(lambda: service.messages)
    assert service.messages == [message("ADT^A40")]
    assert gateway.spool._all("SELECT value FROM counters WHERE name = 'feed_dropped'") == [(7,)]


@pytest.mark.parametrize(
    "broken", [b"", b"PID|1", b"MSH", b"MSH|^~\\&|A|B|C|D|2026||ADT^A08||P|2.5.1", b"MSH|^~\\&|A"]
)
def test_what_has_no_header_is_an_error(gateway: Gateway, service: FakeService, broken: bytes) -> None:
    assert code(talk(gateway, broken)[0]) == "AE"
    assert not service.messages


def test_order_survives_failures(gateway: Gateway, service: FakeService) -> None:
    service.open.clear()
    messages = [message("ADT^A40", number) for number in range(10)]
    talk(gateway, *messages)
    service.open.set()
    until(lambda: len(service.messages) == 10)
    assert service.messages == messages


def test_a_full_disk_is_a_reject_and_the_sender_comes_again(tmp_path: Path, service: FakeService) -> None:
    class Full(Watermark):
        def reached(self, spooled: int, more: int = 0) -> bool:  # noqa: ARG002
            return True

    hl7 = {"host": "127.0.0.1", "port": 0, "peers": ["127.0.0.1"]}
    settings = gateways.settings(tmp_path / "spool", hl7=hl7)
    with running(settings, service, Full(settings.spool)) as gateway:
        assert code(talk(gateway, message("ADT^A40"))[0]) == "AR"
    assert not service.messages


def test_a_message_that_is_too_long_closes_the_connection(gateway: Gateway) -> None:
    assert gateway.feed is not None
    with socket.create_connection(("127.0.0.1", gateway.feed.port)) as connection:
        connection.settimeout(60)
        try:
            connection.sendall(b"\x0b" + b"x" * 100_000)
            assert connection.recv(10) == b""
        except ConnectionError:
            pass


def test_nobody_else_may_feed(tmp_path: Path, service: FakeService) -> None:
    hl7 = {"host": "127.0.0.1", "port": 0, "peers": ["10.0.0.0/8"]}
    with running(gateways.settings(tmp_path / "spool", hl7=hl7), service) as gateway:
        assert gateway.feed is not None
        with socket.create_connection(("127.0.0.1", gateway.feed.port)) as connection:
            connection.settimeout(60)
            assert connection.recv(10) == b""
